"""Operators on numbers, texts and lists, with sizes checked before anything is made."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, NoReturn

from theus.flux.expressions.faults import Site
from theus.flux.expressions.kinds import LIST, NUMBER, TEXT, TUPLE, kind_of, name_of, settled
from theus.flux.expressions.limits import BITS, RESULT
from theus.flux.expressions.values import size_of

__all__ = ["BINARY", "UNARY", "BinaryOperator", "bounded"]

BinaryOperator = Callable[[Any, Any, Site], Any]


def bounded(number: Any, site: Site) -> Any:
    """`number`, unless it is an integer too large to calculate with."""
    if type(number) is int and number.bit_length() > BITS:
        site.fail("limit", f"An integer of more than {BITS:,} bits.")
    return number


def _wrong(symbol: str, left: Any, right: Any, site: Site) -> NoReturn:
    site.fail("type", f"Cannot do {name_of(left)} {symbol} {name_of(right)}.")


def _calculated(symbol: str, compute: Callable[[Any, Any], Any]) -> BinaryOperator:
    """An operator on two numbers."""

    def apply(left: Any, right: Any, site: Site) -> Any:
        left, right = settled(left), settled(right)
        if kind_of(left) is not NUMBER or kind_of(right) is not NUMBER:
            _wrong(symbol, left, right, site)
        return _computed(compute, bounded(left, site), bounded(right, site), site)

    return apply


def _computed(compute: Callable[[Any, Any], Any], left: Any, right: Any, site: Site) -> Any:
    try:
        result = compute(left, right)
    except ZeroDivisionError:
        site.fail("zero-division", "Division by zero.")
    except OverflowError:
        site.fail("limit", "The result is too large.")
    if type(result) is complex:
        site.fail("type", "The result is not a real number.")
    return bounded(result, site)


_plus: Final = _calculated("+", operator.add)
_times: Final = _calculated("*", operator.mul)


def _add(left: Any, right: Any, site: Site) -> Any:
    kind = kind_of(settled(left))
    if kind not in (TEXT, LIST, TUPLE) or kind is not kind_of(settled(right)):
        return _plus(left, right, site)
    left, right = settled(left), settled(right)
    _check_length(size_of(left, site) + size_of(right, site), site)
    if kind is LIST:
        return [*left, *right]
    return (*left, *right) if kind is TUPLE else left + right


def _multiply(left: Any, right: Any, site: Site) -> Any:
    left, right = settled(left), settled(right)
    if kind_of(right) in (TEXT, LIST, TUPLE):
        left, right = right, left
    kind = kind_of(left)
    if kind not in (TEXT, LIST, TUPLE):
        if type(left) is int and type(right) is int:
            _check_bits(left.bit_length() + right.bit_length(), site)
        return _times(left, right, site)
    if type(right) not in (int, bool):
        _wrong("*", left, right, site)
    _check_length(size_of(left, site) * max(right, 0), site)
    if kind is LIST:
        return list(left) * right
    return tuple(left) * right if kind is TUPLE else left * right


def _check_length(length: int, site: Site) -> None:
    if length > RESULT:
        site.fail("limit", f"A result of more than {RESULT:,} elements or characters.")


def _check_bits(bits: int, site: Site) -> None:
    if bits > BITS:
        site.fail("limit", f"An integer of more than {BITS:,} bits.")


_raised: Final = _calculated("**", operator.pow)


def _power(left: Any, right: Any, site: Site) -> Any:
    left, right = settled(left), settled(right)
    if type(left) is int and type(right) is int and abs(left) > 1:
        _check_bits(bounded(left, site).bit_length() * abs(right), site)
    return _raised(left, right, site)


def _on_integers(symbol: str, compute: Callable[[Any, Any], Any]) -> BinaryOperator:
    """An operator on two integers; booleans count."""

    def apply(left: Any, right: Any, site: Site) -> Any:
        left, right = settled(left), settled(right)
        if type(left) not in (int, bool) or type(right) not in (int, bool):
            _wrong(symbol, left, right, site)
        return _computed(compute, bounded(left, site), bounded(right, site), site)

    return apply


def _shift(symbol: str, compute: Callable[[Any, Any], Any]) -> BinaryOperator:
    inner = _on_integers(symbol, compute)

    def apply(left: Any, right: Any, site: Site) -> Any:
        left, right = settled(left), settled(right)
        if type(right) is int:
            if right < 0:
                site.fail("type", "Cannot shift by a negative number.")
            if right > BITS:
                site.fail("limit", f"Cannot shift by more than {BITS:,}.")
        return inner(left, right, site)

    return apply


BINARY: Final[dict[str, BinaryOperator]] = {
    "+": _add,
    "-": _calculated("-", operator.sub),
    "*": _multiply,
    "/": _calculated("/", operator.truediv),
    "//": _calculated("//", operator.floordiv),
    "%": _calculated("%", operator.mod),
    "**": _power,
    "<<": _shift("<<", operator.lshift),
    ">>": _shift(">>", operator.rshift),
    "&": _on_integers("&", operator.and_),
    "^": _on_integers("^", operator.xor),
    "|": _on_integers("|", operator.or_),
}


def _signed(symbol: str, compute: Callable[[Any], Any]) -> Callable[[Any, Site], Any]:
    def apply(operand: Any, site: Site) -> Any:
        operand = settled(operand)
        allowed = type(operand) is int if symbol == "~" else kind_of(operand) is NUMBER
        if not allowed:
            site.fail("type", f"Cannot do {symbol} {name_of(operand)}.")
        return compute(bounded(operand, site))

    return apply


UNARY: Final[dict[str, Callable[[Any, Site], Any]]] = {
    "+": _signed("+", operator.pos),
    "-": _signed("-", operator.neg),
    "~": _signed("~", operator.invert),
}
