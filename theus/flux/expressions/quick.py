"""Comparisons with a constant, in line: the forms that most conditions have.

One closure for each symbol, written out: a call of `operator.lt` costs as much as all the
rest of ``domain.count < 5``. Each does the case that the value has exactly the constant's
type and leaves every other to `slow`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from theus.flux.expressions.values import Names

__all__ = ["FIELDS", "VALUES"]

_Value = Callable[[Names], Any]
_Slow = Callable[[Any, Any, Names], bool]
_Run = Callable[[Names], bool]


# --- any value -------------------------------------------------------------------------------


def _less(value_of: _Value, kind: type, constant: Any, slow: _Slow) -> _Run:
    def run(names: Names) -> bool:
        value = value_of(names)
        return value < constant if type(value) is kind else slow(value, constant, names)

    return run


def _at_most(value_of: _Value, kind: type, constant: Any, slow: _Slow) -> _Run:
    def run(names: Names) -> bool:
        value = value_of(names)
        return value <= constant if type(value) is kind else slow(value, constant, names)

    return run


def _more(value_of: _Value, kind: type, constant: Any, slow: _Slow) -> _Run:
    def run(names: Names) -> bool:
        value = value_of(names)
        return value > constant if type(value) is kind else slow(value, constant, names)

    return run


def _at_least(value_of: _Value, kind: type, constant: Any, slow: _Slow) -> _Run:
    def run(names: Names) -> bool:
        value = value_of(names)
        return value >= constant if type(value) is kind else slow(value, constant, names)

    return run


def _same(value_of: _Value, kind: type, constant: Any, slow: _Slow) -> _Run:
    def run(names: Names) -> bool:
        value = value_of(names)
        return value == constant if type(value) is kind else slow(value, constant, names)

    return run


def _other(value_of: _Value, kind: type, constant: Any, slow: _Slow) -> _Run:
    def run(names: Names) -> bool:
        value = value_of(names)
        return value != constant if type(value) is kind else slow(value, constant, names)

    return run


VALUES: Final[dict[str, Callable[[_Value, type, Any, _Slow], _Run]]] = {
    "<": _less,
    "<=": _at_most,
    ">": _more,
    ">=": _at_least,
    "==": _same,
    "!=": _other,
}
"""Symbol -> maker of ``value < constant``."""


# --- a field of a root -----------------------------------------------------------------------


def _field_less(
    root: str, field: str, kind: type, constant: Any, missing: _Value, slow: _Slow
) -> _Run:
    def run(names: Names) -> bool:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return value < constant if type(value) is kind else slow(value, constant, names)

    return run


def _field_at_most(
    root: str, field: str, kind: type, constant: Any, missing: _Value, slow: _Slow
) -> _Run:
    def run(names: Names) -> bool:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return value <= constant if type(value) is kind else slow(value, constant, names)

    return run


def _field_more(
    root: str, field: str, kind: type, constant: Any, missing: _Value, slow: _Slow
) -> _Run:
    def run(names: Names) -> bool:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return value > constant if type(value) is kind else slow(value, constant, names)

    return run


def _field_at_least(
    root: str, field: str, kind: type, constant: Any, missing: _Value, slow: _Slow
) -> _Run:
    def run(names: Names) -> bool:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return value >= constant if type(value) is kind else slow(value, constant, names)

    return run


def _field_same(
    root: str, field: str, kind: type, constant: Any, missing: _Value, slow: _Slow
) -> _Run:
    def run(names: Names) -> bool:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return value == constant if type(value) is kind else slow(value, constant, names)

    return run


def _field_other(
    root: str, field: str, kind: type, constant: Any, missing: _Value, slow: _Slow
) -> _Run:
    def run(names: Names) -> bool:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return value != constant if type(value) is kind else slow(value, constant, names)

    return run


FIELDS: Final[dict[str, Callable[[str, str, type, Any, _Value, _Slow], _Run]]] = {
    "<": _field_less,
    "<=": _field_at_most,
    ">": _field_more,
    ">=": _field_at_least,
    "==": _field_same,
    "!=": _field_other,
}
"""Symbol -> maker of ``domain.field < constant``; `missing` looks again, and fails."""
