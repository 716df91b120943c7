"""The functions and methods of the language: one table each, nothing of Python's own."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any, Final

from theus.flux.expressions.arithmetic import BINARY, bounded
from theus.flux.expressions.faults import Site
from theus.flux.expressions.kinds import (
    MAPPING,
    NULL,
    NUMBER,
    RECORD,
    TEXT,
    kind_of,
    name_of,
    settled,
)
from theus.flux.expressions.limits import DIGITS, NODES, PLACES
from theus.flux.expressions.values import (
    ABSENT,
    Names,
    charge,
    elements_of,
    looked_up,
    ordered,
    size_of,
    truth,
)

__all__ = ["FUNCTIONS", "METHODS", "Function"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function and how many arguments it takes (for a method, without its owner)."""

    least: int
    most: int
    call: Callable[[list[Any], Names, Site], Any]


def _len(arguments: list[Any], names: Names, site: Site) -> int:
    return size_of(arguments[0], site)


def _number(value: Any, site: Site, function: str) -> Any:
    value = settled(value)
    if kind_of(value) is not NUMBER:
        site.fail("type", f"{function} takes a number, not {name_of(value)}.")
    return bounded(value, site)


def _abs(arguments: list[Any], names: Names, site: Site) -> Any:
    return abs(_number(arguments[0], site, "abs"))


def _extreme(
    compare: Callable[[Any, Any], Any],
) -> Callable[[list[Any], Names, Site], Any]:
    def call(arguments: list[Any], names: Names, site: Site) -> Any:
        found = ABSENT
        values = elements_of(arguments[0], names, site) if len(arguments) == 1 else arguments
        for value in values:
            if found is ABSENT or ordered(value, found, compare, names, site):
                found = value
        if found is ABSENT:
            site.fail("type", "There is no largest or smallest element of an empty list.")
        return found

    return call


def _sum(arguments: list[Any], names: Names, site: Site) -> Any:
    total: Any = 0
    for value in elements_of(arguments[0], names, site):
        total = BINARY["+"](total, _number(value, site, "sum"), site)
    return total


def _round(arguments: list[Any], names: Names, site: Site) -> Any:
    value = _number(arguments[0], site, "round")
    places = settled(arguments[1]) if len(arguments) == 2 else None
    if places is not None and type(places) is not int:
        site.fail("type", f"round takes a number of places, not {name_of(places)}.")
    if places is not None and abs(places) > PLACES:
        site.fail("limit", f"round takes at most {PLACES} places.")
    try:
        return round(value) if places is None else round(value, places)
    except (OverflowError, ValueError):
        site.fail("type", "This number cannot be rounded.")


def _converted(convert: type[int] | type[float]) -> Callable[[list[Any], Names, Site], Any]:
    name = convert.__name__

    def call(arguments: list[Any], names: Names, site: Site) -> Any:
        value = settled(arguments[0])
        if kind_of(value) not in (NUMBER, TEXT):
            site.fail("type", f"{name} takes a number or a text, not {name_of(value)}.")
        if type(value) is str and len(value) > DIGITS:
            site.fail("limit", f"{name} takes a text of at most {DIGITS} characters.")
        bounded(value, site)
        try:
            return convert(value)
        except OverflowError:
            site.fail("limit", f"{name}: the number is too large.")
        except ValueError:
            site.fail("type", f"{name}: this text is no such number.")

    return call


def _str(arguments: list[Any], names: Names, site: Site) -> str:
    value = settled(arguments[0])
    if kind_of(value) not in (NULL, NUMBER, TEXT):
        site.fail("type", f"str takes a number, a text or None, not {name_of(value)}.")
    return str(bounded(value, site))


def _bool(arguments: list[Any], names: Names, site: Site) -> bool:
    return truth(arguments[0], site)


def _any(arguments: list[Any], names: Names, site: Site) -> bool:
    return any(truth(value, site) for value in elements_of(arguments[0], names, site))


def _all(arguments: list[Any], names: Names, site: Site) -> bool:
    return all(truth(value, site) for value in elements_of(arguments[0], names, site))


def _sorted(arguments: list[Any], names: Names, site: Site) -> list[Any]:
    values = [settled(value) for value in elements_of(arguments[0], names, site)]
    kinds = {kind_of(value) for value in values}
    if kinds in ({NUMBER}, {TEXT}):
        return sorted(values)

    def compare(left: Any, right: Any) -> int:
        charge(names, 1, site)
        if ordered(left, right, operator.lt, names, site):
            return -1
        return 1 if ordered(right, left, operator.lt, names, site) else 0

    return sorted(values, key=cmp_to_key(compare))


FUNCTIONS: Final = {
    "len": Function(1, 1, _len),
    "abs": Function(1, 1, _abs),
    "min": Function(1, NODES, _extreme(operator.lt)),
    "max": Function(1, NODES, _extreme(operator.gt)),
    "sum": Function(1, 1, _sum),
    "round": Function(1, 2, _round),
    "int": Function(1, 1, _converted(int)),
    "float": Function(1, 1, _converted(float)),
    "str": Function(1, 1, _str),
    "bool": Function(1, 1, _bool),
    "any": Function(1, 1, _any),
    "all": Function(1, 1, _all),
    "sorted": Function(1, 1, _sorted),
}


# --- methods: the owner comes first ---------------------------------------------------------


def _get(arguments: list[Any], names: Names, site: Site) -> Any:
    owner = arguments[0]
    if kind_of(owner) not in (MAPPING, RECORD):
        site.fail("type", f"There is no .get() of {name_of(owner)}.")
    found = looked_up(owner, arguments[1], site)
    if found is not ABSENT:
        return found
    return arguments[2] if len(arguments) == 3 else None


def _of_text(name: str) -> Callable[[list[Any], Names, Site], Any]:
    method: Callable[..., Any] = getattr(str, name)

    def call(arguments: list[Any], names: Names, site: Site) -> Any:
        values = [settled(value) for value in arguments]
        for value in values:
            if type(value) is not str:
                site.fail("type", f".{name}() is for texts only, not {name_of(value)}.")
        return method(*values)

    return call


METHODS: Final = {
    "get": Function(1, 2, _get),
    "startswith": Function(1, 1, _of_text("startswith")),
    "endswith": Function(1, 1, _of_text("endswith")),
    "lower": Function(0, 0, _of_text("lower")),
    "upper": Function(0, 0, _of_text("upper")),
    "strip": Function(0, 1, _of_text("strip")),
}
