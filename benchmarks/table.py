"""The table of goals: what each compares, its floor, target and gate, and how it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["EXTRA", "GOALS", "Bound", "Goal", "NotMeasured", "Row", "goal", "verdict_of"]

EXTRA = 100
"""Goals from this number on are not among the thirty; they are printed and gated as well."""


class NotMeasured(Exception):
    """Something that a goal needs is not installed; the message says what."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure of a goal. Without target and gate it is printed for information."""

    floor: str
    target: float | None
    gate: float | None
    what: str = ""
    at_most: bool = True
    unit: str = "x"

    def verdict(self, measured: float) -> str:
        """ "target", "gate", "miss", or "info" where nothing is asked."""
        for name, bound in (("target", self.target), ("gate", self.gate)):
            if bound is not None and (measured <= bound if self.at_most else measured >= bound):
                return name
        return "info" if self.gate is None else "miss"


Measure = Callable[[], "float | tuple[float, ...]"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal: one figure per bound, in the order of the bounds."""

    number: int
    title: str
    bounds: tuple[Bound, ...]
    measure: Measure

    def rows(self) -> list[Row]:
        """Measure. Raises NotMeasured."""
        figures = self.measure()
        if not isinstance(figures, tuple):
            figures = (figures,)
        pairs = zip(self.bounds, figures, strict=True)
        return [Row(self, bound, figure, bound.verdict(figure)) for bound, figure in pairs]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    goal: Goal
    bound: Bound
    measured: float
    verdict: str


GOALS: dict[int, Goal] = {}


def goal(number: int, title: str, *bounds: Bound) -> Callable[[Measure], Measure]:
    """Register the function that measures a goal."""

    def register(measure: Measure) -> Measure:
        assert number not in GOALS, number
        GOALS[number] = Goal(number, title, bounds, measure)
        return measure

    return register


def verdict_of(rows: Iterable[Row]) -> str:
    """The verdict of a whole goal: that of its worst figure."""
    found = {row.verdict for row in rows}
    return next(name for name in ("miss", "gate", "target", "info") if name in found)
