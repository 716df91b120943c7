"""Classes made by attrs, with or without slots.

Held are the fields as they are; ``__init__``, converters and validators are not run again.
What attrs keeps for itself (a cached hash, cached properties) is left out.
"""

from __future__ import annotations

from typing import Any

from theus._core.freeze import register_record
from theus.freezers._freezer import Freezer
from theus.freezers._instances import builder, is_plain_instance_class, reader, slots_of

__all__ = ["FREEZER"]

OWN = ("_attrs_cached_hash",)


def _resolve(cls: Any) -> None:
    if not is_plain_instance_class(cls):
        return
    names = [attribute.name for attribute in cls.__attrs_attrs__]
    attrs_slots = {
        name
        for owner in cls.__mro__
        if "__attrs_attrs__" in vars(owner)
        for name in slots_of(owner)
    }
    hidden = (*OWN, *(attrs_slots - set(names)))
    register_record(cls, reader(cls, names, hidden), builder(cls), frozen=_is_frozen(cls))


def _is_frozen(cls: Any) -> bool:
    return getattr(cls.__setattr__, "__name__", "") == "_frozen_setattrs"


FREEZER = Freezer(_resolve)
