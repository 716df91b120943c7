"""The comparisons of audit rules, as a table.

An operator says which bounds it takes (`prepare`), whether a value keeps to a bound (`holds`)
and how the requirement reads (`text`). To add one, add an entry to `OPERATORS`; the parser of
recipes and the gate look it up there.

Arrays are compared element by element and keep to a bound if all their elements do; NaN keeps
to no bound. `regex` is matched at the beginning of a text, as `re.match` does.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from theus.errors import SettingsError

__all__ = ["OPERATORS", "Check", "Operator"]


@dataclass(frozen=True)
class Operator:
    """One way to compare a value with the bound of a rule."""

    text: str
    holds: Callable[[Any, Any], Any]
    prepare: Callable[[Any], Any]


def _ordered(bound: Any) -> Any:
    if bound is None or isinstance(bound, bool | list | dict | tuple | set) or bound != bound:
        raise ValueError("needs a number, a text or a date")
    return bound


def _anything(bound: Any) -> Any:
    return bound


def _length(bound: Any) -> int:
    if type(bound) is not int or bound < 0:
        raise ValueError("needs an integer from 0 on")
    return bound


def _pattern(bound: Any) -> re.Pattern[str]:
    if not isinstance(bound, str | re.Pattern):
        raise ValueError("needs a regular expression")
    try:
        pattern = re.compile(bound)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    if not isinstance(pattern.pattern, str):
        raise ValueError("needs a regular expression for text, not for bytes")
    return pattern


OPERATORS: dict[str, Operator] = {
    "min": Operator("at least {}", lambda value, bound: value >= bound, _ordered),
    "max": Operator("at most {}", lambda value, bound: value <= bound, _ordered),
    "eq": Operator("equal to {}", lambda value, bound: value == bound, _anything),
    "neq": Operator("different from {}", lambda value, bound: value != bound, _anything),
    "min_len": Operator("at least {} long", lambda value, bound: len(value) >= bound, _length),
    "max_len": Operator("at most {} long", lambda value, bound: len(value) <= bound, _length),
    "regex": Operator(
        "text like {}", lambda value, bound: bound.match(value) is not None, _pattern
    ),
}


@dataclass(frozen=True)
class Check:
    """One comparison of a rule: an operator of the table and its bound.

    Raises
    ------
    SettingsError
        There is no such operator, or it does not take this bound.
    """

    operator: str
    bound: Any

    def __post_init__(self) -> None:
        entry = OPERATORS.get(self.operator)
        if entry is None:
            raise SettingsError(
                f"{self.operator!r} is no comparison; use {', '.join(OPERATORS)}",
                option=self.operator,
                value=self.bound,
            )
        try:
            object.__setattr__(self, "bound", entry.prepare(self.bound))
        except ValueError as error:
            raise SettingsError(
                f"{self.operator} {error}, not {self.bound!r}",
                option=self.operator,
                value=self.bound,
            ) from error

    def requirement(self) -> str:
        """What a value must be, in words."""
        bound = self.bound.pattern if isinstance(self.bound, re.Pattern) else self.bound
        return OPERATORS[self.operator].text.format(short(bound))

    def problem(self, value: Any) -> str | None:
        """Why `value` does not keep to the bound, or None if it does."""
        try:
            result = OPERATORS[self.operator].holds(value, self.bound)
            if _all(result):
                return None
        except (TypeError, ValueError) as error:
            return f"must be {self.requirement()}, but cannot be compared with it ({error})"
        return f"must be {self.requirement()}{_share(result)}"


def _all(result: Any) -> bool:
    """The truth of a comparison; of one made element by element, whether all are true."""
    every = None if isinstance(result, bool) else getattr(result, "all", None)
    return bool(every()) if callable(every) else bool(result)


def _share(result: Any) -> str:
    """How many elements do not keep to the bound, where it was compared with many."""
    size = getattr(result, "size", None)
    if not isinstance(size, int) or size < 2:
        return ""
    return f" ({size - int(result.sum())} of {size} elements are not)"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def short(value: Any) -> str:
    """`repr(value)` in one line and not too long."""
    return " ".join(_SHORT.repr(value).split())
