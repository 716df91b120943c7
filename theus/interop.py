"""State to JSON, by the standard library or by whichever encoder takes a `default` hook."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

__all__ = ["TheusEncoder", "json_default"]


def _in_order(value: Set[Any]) -> list[Any]:
    """Members of a set in an order that does not change from run to run."""
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__qualname__, repr(item)))


def _base64(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _mapping(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """Containers of the state have `to_dict`, which makes all levels plain at once."""
    whole = getattr(type(value), "to_dict", None)
    return dict(value) if whole is None else whole(value)


def _sequence(value: Sequence[Any]) -> list[Any]:
    whole = getattr(type(value), "to_list", None)
    return list(value) if whole is None else whole(value)


CONVERTERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Mapping, _mapping),
    (enum.Enum, lambda value: value.value),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    (datetime.timedelta, lambda value: value.total_seconds()),
    ((uuid.UUID, decimal.Decimal, fractions.Fraction, pathlib.PurePath), str),
    ((bytes, bytearray, memoryview), _base64),
    (Set, _in_order),
    (Sequence, _sequence),
    (re.Pattern, lambda value: value.pattern),
    (types.SimpleNamespace, lambda value: dict(vars(value))),
)


class TheusEncoder(json.JSONEncoder):
    """JSON encoder for everything a state can hold: ``json.dumps(x, cls=TheusEncoder)``.

    =============================================  ==========================================
    value                                          JSON
    =============================================  ==========================================
    frozen and guarded mappings, other mappings    object
    frozen and guarded lists, other sequences      array
    dataclass, pydantic, attrs and plain records   object of the fields
    set, frozenset                                 array, sorted
    datetime, date, time                           text, ISO 8601
    timedelta                                      seconds
    UUID, Decimal, Fraction, path                  text
    Enum                                           its value
    bytes, bytearray, memoryview                   text, Base64
    numpy scalar, array                            number, nested array
    torch tensor                                   number or nested array
    object with ``to_dict()``                      what that returns
    =============================================  ==========================================

    Other values raise TypeError, as do mappings with keys that JSON has no text for (tuples,
    bytes). An instance may be used by several threads.
    """

    def default(self, o: Any) -> Any:
        """What JSON can express instead of `o`; raises TypeError."""
        return json_default(o)


def json_default(value: Any) -> Any:
    """What JSON can express instead of `value`, as `TheusEncoder` says: a hook for encoders.

    For example ``orjson.dumps(state.domain, default=json_default)``. Raises TypeError for what
    has no JSON form. Containers of the state come out whole, so that a limit of the encoder on
    nested calls of the hook does not matter.
    """
    for kinds, convert in CONVERTERS:
        if isinstance(value, kinds):
            return convert(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.generic):
            return value.item()
        if isinstance(value, numpy.ndarray):
            return value.tolist()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.tolist()
    fields = _fields(value)
    if fields is None:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return fields


def _fields(value: Any) -> Any:
    """Fields of a record as a dict; None where the value is no record."""
    cls = value.__class__  # a view of a record answers with the record's class
    if isinstance(value, type):
        return None
    if callable(getattr(cls, "to_dict", None)):
        return value.to_dict()
    if hasattr(cls, "model_fields") and hasattr(cls, "model_dump"):
        extra = getattr(value, "model_extra", None) or {}
        return {name: getattr(value, name) for name in cls.model_fields} | extra
    if dataclasses.is_dataclass(cls):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(cls)}
    if hasattr(cls, "__attrs_attrs__"):
        return {item.name: getattr(value, item.name) for item in cls.__attrs_attrs__}
    return _plain_fields(value, cls)


def _plain_fields(value: Any, cls: type) -> dict[str, Any] | None:
    from theus._core.freeze import rule_for  # loads the rules of records, and the core

    rule = rule_for(cls)
    if rule is None or rule.fields is None:
        return None
    return dict(rule.fields(value))
