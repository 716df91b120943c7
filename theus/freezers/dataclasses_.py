"""Dataclasses: with slots, frozen, with fields that ``__init__`` does not take.

Held are the fields as they are, not the arguments they were made from: ``__init__`` and
``__post_init__`` are not run again, so `InitVar` and ``field(init=False)`` need no care.
Attributes added to an instance are kept, too.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from theus._core.freeze import register_record
from theus.freezers._freezer import Freezer
from theus.freezers._instances import Reader, builder, is_plain_instance_class, reader

__all__ = ["FREEZER"]


def _resolve(cls: Any) -> None:
    if is_plain_instance_class(cls):
        fields = dataclasses.fields(cls)
        names = tuple(item.name for item in fields)
        read = reader(cls, names)
        on_class = {item.name: item.default for item in fields if _is_on_class(item)}
        if on_class:
            read = functools.partial(_read_complete, read, names, on_class)
        frozen = bool(cls.__dataclass_params__.frozen)
        register_record(cls, read, builder(cls), frozen=frozen)


def _is_on_class(item: dataclasses.Field[Any]) -> bool:
    """Whether a field has its value from the class until it is assigned."""
    return not item.init and item.default is not dataclasses.MISSING


def _read_complete(
    read: Reader, names: tuple[str, ...], on_class: dict[str, Any], value: Any
) -> dict[str, Any]:
    found = on_class | read(value)
    return {name: found.pop(name) for name in names if name in found} | found


FREEZER = Freezer(_resolve)
