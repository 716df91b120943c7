"""Rules for the values that belong to libraries or to the user: how the state holds them.

One file per library, named after it (``numpy_``, ``pydantic_``), loaded when a value of it
first shows up; no library is imported here. Programs add rules of their own with
`register_record`, `register_leaf` and `register_copy`.
"""

from __future__ import annotations

from theus._core.freeze import register_copy, register_leaf, register_record
from theus._shelf import Shelf
from theus.freezers._freezer import Freezer

__all__ = ["Freezer", "register_copy", "register_leaf", "register_record", "resolve"]

SHELF: Shelf[Freezer] = Shelf("theus.freezers", "FREEZER", kind=Freezer, group="theus.freezers")

# Kinds of class without a base class of a library; the first two carry an attribute.
MARKERS = {"__attrs_attrs__": "attrs", "__dataclass_fields__": "dataclasses"}
KINDS = frozenset({"plain", *MARKERS.values()})


def resolve(cls: type) -> None:
    """Register the rule for a class, if values of it can be held.

    Asks the library one of its bases comes from, then the kinds known by a marker, then the
    rule for plain classes. Called once per class by the core, under its lock.
    """
    for owner in cls.__mro__:
        library = (owner.__module__ or "").partition(".")[0]
        if library in SHELF and library not in KINDS:
            SHELF[library].resolve(cls)
            return
    for marker, kind in MARKERS.items():
        if hasattr(cls, marker):
            SHELF[kind].resolve(cls)
            return
    SHELF["plain"].resolve(cls)
