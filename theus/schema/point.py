"""Where in a schema a change is checked: as far down as its neighbours have no say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple, Protocol

from theus.schema.problem import GetPlain, Problem

__all__ = [
    "FREE",
    "Added",
    "Forbidden",
    "Point",
    "Records",
    "check_touched",
    "no_records",
    "required",
]

Where = tuple[Any, ...]
Records = Callable[[Where], Iterable[tuple[int, type]]]
"""``records(path)`` -> (depth, class) of the records that a path leads through."""


class Added(NamedTuple):
    """Values that came to a list or a set, which otherwise is as it was."""

    where: Where
    values: Collection[Any]


class Point(Protocol):
    """What a schema says of one place."""

    @property
    def free(self) -> bool:
        """Whether everything fits here, and below."""

    def step(self, key: Any) -> Point | None:
        """What it says of a key or an item; None where that takes its neighbours too."""

    def is_for(self, record: type) -> bool:
        """Whether it says all of a record of this class, so that fields can be looked at alone."""

    def check(self, value: Any, where: Where) -> Iterable[Problem]:
        """What does not fit."""

    def gone(self, where: Where) -> Iterable[Problem]:
        """The same where there is no value."""


class _Free:
    """Everything fits."""

    free = True

    def step(self, key: Any) -> Point:
        return self

    def is_for(self, record: type) -> bool:
        return True

    def check(self, value: Any, where: Where) -> Iterable[Problem]:
        return ()

    def gone(self, where: Where) -> Iterable[Problem]:
        return ()


class Forbidden(_Free):
    """Nothing fits: a key that the schema does not know and does not allow."""

    free = False

    def __init__(self, text: str) -> None:
        self._text = text

    def check(self, value: Any, where: Where) -> Iterable[Problem]:
        return [Problem(where, self._text, "extra", value)]


FREE: Point = _Free()


def no_records(path: Where) -> list[tuple[int, type]]:
    """For states without records."""
    return []


def required(where: Where) -> list[Problem]:
    """The problem of a place that has to have a value and has none."""
    return [Problem(where, "Field required", "missing")]


def check_touched(
    top: Callable[[Any], Point | None],
    changed: Iterable[Where],
    added: Iterable[Added],
    get_plain: GetPlain,
    records: Records = no_records,
) -> list[Problem] | None:
    """Problems of the places that were touched, each looked at once; None where the schema looks
    across areas. `top(key)` is what it says of an area."""
    spots: dict[Where, Point] = {}
    items: list[tuple[Where, Point, Any]] = []
    for path in changed:
        spot = _locate(top, path, records)
        if spot is None:
            return None
        spots[spot[0]] = spot[1]
    for path, values in added:
        spot = _locate(top, path, records)
        if spot is None:
            return None
        where, point = spot
        item = point.step(0) if where == path else None
        if item is None:
            spots[where] = point
        else:
            items += [((*path, n - len(values)), item, one) for n, one in enumerate(values)]
    problems: list[Problem] = []
    for where, point in spots.items():
        if not point.free and not _is_inside(where, spots):
            problems += _look(point, where, get_plain)
    for where, point, value in items:
        if not _is_inside(where, spots):
            problems += point.check(value, where)
    return problems


def _locate(
    top: Callable[[Any], Point | None], path: Where, records: Records
) -> tuple[Where, Point] | None:
    """The deepest place on a path that can be checked alone, and what is said of it."""
    point = top(path[0])
    if point is None:
        return None
    classes = dict(records(path))
    for depth in range(1, len(path)):
        if depth in classes and not point.is_for(classes[depth]):
            return path[:depth], point
        below = point.step(path[depth])
        if below is None:
            return path[:depth], point
        point = below
    return path, point


def _is_inside(where: Where, spots: dict[Where, Point]) -> bool:
    return any(where[:depth] in spots for depth in range(1, len(where)))


def _look(point: Point, where: Where, get_plain: GetPlain) -> Iterable[Problem]:
    try:
        value = get_plain(where)
    except LookupError:
        return point.gone(where)
    return point.check(value, where)
