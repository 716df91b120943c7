"""The levels of audit, each with its verdict.

The truth table. `count` is the number of failures of the key, this one included; `max` and
`min` are the thresholds of the recipe. `share` is the failures' share of all uses of the key,
this one included, and `rate` is what the recipe gives, 0 where it gives none. The tests are made
from these rows.

| level  | when                                   | then            | counted |
|--------|----------------------------------------|-----------------|---------|
| Stop   | always                                 | AuditStopError  | yes     |
| Abort  | always                                 | AuditAbortError | yes     |
| Block  | count > max and share > rate           | AuditBlockError | yes     |
| Block  | 0 < min <= count <= max and share > rate | AuditWarning  | yes     |
| Block  | otherwise                              | go on           | yes     |
| Count  | always                                 | go on           | yes     |
| Ignore | always                                 | go on           | no      |

So `threshold_max=3` lets three failures pass and refuses the fourth, and `threshold_min=0`
never warns. What a success does to the count of the key:

| reset_on_success | count afterwards |
|------------------|------------------|
| True             | 0                |
| False            | as before        |

With a `window`, failures and successes that are older than that many seconds count no more.

To add a level, add a member with its letter and its verdict, and a row above.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from theus.errors import (
    AuditAbortError,
    AuditBlockError,
    AuditError,
    AuditStopError,
    AuditWarning,
    SettingsError,
)

__all__ = ["AuditLevel", "Outcome", "Thresholds"]

Outcome = type[AuditError] | type[AuditWarning] | None
"""What follows from a failure: an error to raise, a warning to give, or nothing."""


class Thresholds(Protocol):
    """What a verdict may look at: an `AuditRecipe`."""

    @property
    def threshold_max(self) -> int: ...
    @property
    def threshold_min(self) -> int: ...
    @property
    def rate(self) -> float | None: ...


_Judge = Callable[[int, float, Thresholds], Outcome]


def _stop(count: int, share: float, limits: Thresholds) -> Outcome:
    return AuditStopError


def _abort(count: int, share: float, limits: Thresholds) -> Outcome:
    return AuditAbortError


def _block(count: int, share: float, limits: Thresholds) -> Outcome:
    if limits.rate is not None and share <= limits.rate:
        return None
    if count > limits.threshold_max:
        return AuditBlockError
    if 0 < limits.threshold_min <= count:
        return AuditWarning
    return None


def _go_on(count: int, share: float, limits: Thresholds) -> Outcome:
    return None


class AuditLevel(Enum):
    """How a failure is taken. `AuditLevel("B")` and `AuditLevel.parse("block")` find one.

    `letter` is its name in recipes, `counts` says whether failures are counted at all.
    """

    Stop = ("S", _stop, True)
    Abort = ("A", _abort, True)
    Block = ("B", _block, True)
    Count = ("C", _go_on, True)
    Ignore = ("I", _go_on, False)

    letter: str
    counts: bool
    _judge: _Judge

    def __new__(cls, letter: str, judge: _Judge, counts: bool) -> AuditLevel:
        member = object.__new__(cls)
        member._value_ = letter
        member.letter = letter
        member.counts = counts
        member._judge = judge
        return member

    def verdict(self, count: int, limits: Thresholds, share: float = 1.0) -> Outcome:
        """What the failure number `count` leads to, where `share` of all uses failed."""
        return self._judge(count, share, limits)

    @classmethod
    def parse(cls, value: object) -> AuditLevel:
        """A level from a level, its letter or its name (in any case).

        Raises
        ------
        SettingsError
            There is no such level.
        """
        if isinstance(value, AuditLevel):
            return value
        if isinstance(value, str):
            for level in cls:
                if value.lower() in (level.letter.lower(), level.name.lower()):
                    return level
        known = ", ".join(f"{level.letter} ({level.name})" for level in cls)
        raise SettingsError(
            f"{value!r} is no audit level; use {known}", option="level", value=value
        )
