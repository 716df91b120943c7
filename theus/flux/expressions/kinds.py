"""What a value is to an expression, by its exact type.

Expressions never call code of a class they do not know: no ``__getattr__``, ``__eq__``,
``__bool__`` or ``__len__`` of user classes runs. A type is known if it is a plain scalar,
a container of the standard library or one registered as `Mapping`, `Sequence` or `Set`
(the state's own views are), a record with a table of fields, or a numpy scalar.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

__all__ = [
    "LIST",
    "MAPPING",
    "MAPPINGS",
    "NULL",
    "NUMBER",
    "OPAQUE",
    "PLAIN",
    "RECORD",
    "SCALARS",
    "SET",
    "SIZED",
    "TEXT",
    "TUPLE",
    "fields_of",
    "kind_of",
    "name_of",
    "settled",
]  # fmt: skip

NULL: Final = "null"
NUMBER: Final = "number"
TEXT: Final = "text"
PLAIN: Final = "plain"
LIST: Final = "list"
TUPLE: Final = "tuple"
MAPPING: Final = "mapping"
SET: Final = "set"
RECORD: Final = "record"
CONVERTED: Final = "converted"
OPAQUE: Final = "opaque"

_EXACT: Final[dict[type, str]] = {
    type(None): NULL,
    bool: NUMBER, int: NUMBER, float: NUMBER,
    str: TEXT,
    bytes: PLAIN, date: PLAIN, datetime: PLAIN, time: PLAIN, timedelta: PLAIN, Decimal: PLAIN,
    UUID: PLAIN,
    list: LIST, tuple: TUPLE, dict: MAPPING, set: SET, frozenset: SET,
    SimpleNamespace: RECORD,
}  # fmt: skip
_KEPT: Final = 1_024

_kinds: dict[type, str] = dict(_EXACT)
MAPPINGS: Final[set[type]] = {dict}
"""Types found to be mappings, for a quick look; none that makes up what is missing."""
SIZED: Final[set[type]] = {str, list, tuple, dict, set, frozenset}
"""Types found to be containers, for a quick look."""
SCALARS: Final[frozenset[type]] = frozenset([type(None), bool, int, float, str])
"""Types whose ``==`` needs no thought."""


def kind_of(value: object) -> str:
    """One of the kinds above. A dict lookup once the type is known."""
    cls = type(value)
    return _kinds.get(cls) or _classified(cls)


def settled(value: Any) -> Any:
    """An int, float or str of its exact type for an instance of a subclass or of numpy."""
    if kind_of(value) is not CONVERTED:
        return value
    for base in (int, float, str):
        if isinstance(value, base):
            exact: Callable[[Any], Any] = _EXACT_OF[base]
            return exact(value)
    return sys.modules["numpy"].generic.item(value)


def name_of(value: object) -> str:
    """What to call the value in a message; its content is not shown."""
    kind = kind_of(value)
    if kind is NULL:
        return "None"
    if kind in (TEXT, LIST, TUPLE, SET, MAPPING):
        return f"a {kind}"
    cls = type(value)
    return f"a value of type {cls.__name__[:80]}"


def fields_of(cls: type) -> Sequence[str] | None:
    """The declared fields of a dataclass, attrs or pydantic class, else None."""
    if (table := _attribute(cls, "__dataclass_fields__")) is not None:
        return [name for name in table if isinstance(name, str)]
    if (fields := _attribute(cls, "__attrs_attrs__")) is not None:
        return [field.name for field in fields]
    for name in ("__pydantic_fields__", "model_fields"):
        if isinstance(table := _attribute(cls, name), dict):
            return list(table)
    return None


def _attribute(cls: type, name: str) -> Any:
    """A class attribute as it stands in a class body: no descriptor or metaclass runs."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


_EXACT_OF: Final[dict[type, Callable[[Any], Any]]] = {
    int: int.__pos__,
    float: float.__pos__,
    str: str.__str__,
}


def _classified(cls: type) -> str:
    kind = _look(cls)
    if kind is not OPAQUE:
        if len(_kinds) >= _KEPT:
            _kinds.clear()
            _kinds.update(_EXACT)
            MAPPINGS.intersection_update(_EXACT)
            SIZED.intersection_update(_EXACT)
        _kinds[cls] = kind
        if kind is MAPPING and not hasattr(cls, "__missing__"):
            MAPPINGS.add(cls)
        if kind in (LIST, TUPLE, MAPPING, SET):
            SIZED.add(cls)
    return kind


def _look(cls: type) -> str:
    if issubclass(cls, (int, float, str)) or _is_numpy_scalar(cls):
        return CONVERTED
    if issubclass(cls, Mapping):
        return MAPPING
    if issubclass(cls, Set):
        return SET
    if issubclass(cls, tuple):
        return TUPLE
    if issubclass(cls, Sequence) and not issubclass(cls, (bytes, bytearray, memoryview)):
        return LIST
    return OPAQUE if fields_of(cls) is None else RECORD


def _is_numpy_scalar(cls: type) -> bool:
    numpy = sys.modules.get("numpy")
    return (
        numpy is not None
        and issubclass(cls, numpy.generic)
        and issubclass(cls, (numpy.integer, numpy.floating, numpy.bool_, numpy.str_))
        and cls is not numpy.longdouble
    )
