"""Parts to closures: an expression is taken apart once, then only called.

A closure takes the names of one evaluation and returns a value. The forms that conditions
are made of (a field compared with a constant, a length, a chain of fields) have closures of
their own, which do the exact-type case in line and leave everything else to `values`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, TypeGuard

from theus.flux.expressions.arithmetic import BINARY, UNARY
from theus.flux.expressions.faults import Site, Source
from theus.flux.expressions.functions import FUNCTIONS, METHODS
from theus.flux.expressions.kinds import (
    LIST,
    MAPPINGS,
    SCALARS,
    SIZED,
    TEXT,
    TUPLE,
    kind_of,
    name_of,
    settled,
)
from theus.flux.expressions.limits import RESULT
from theus.flux.expressions.nodes import (
    Binary,
    Boolean,
    Call,
    Choice,
    Comparison,
    Constant,
    Display,
    Expr,
    Item,
    Method,
    Name,
    Slice,
    Unary,
)
from theus.flux.expressions.quick import FIELDS, VALUES
from theus.flux.expressions.values import (
    Names,
    charge,
    contains,
    equal,
    item,
    ordered,
    size_of,
    truth,
)

__all__ = ["ROOTS", "Closure", "closure_of", "truth_of"]

Closure = Callable[[Names], Any]

ROOTS: Final = ("domain", "global", "signal", "cmd")
"""Names that every expression may use. What they stand for is always a mapping."""

_QUICK: Final = frozenset([int, float, str])
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def closure_of(part: Expr, source: Source) -> Closure:
    """The closure of a part and, with it, of everything below."""
    return _MAKERS[type(part)](part, source)


def truth_of(part: Expr, source: Source) -> Callable[[Names], bool]:
    """A closure that gives the truth of a part as True or False."""
    run = closure_of(part, source)
    if _gives_bool(part):
        return run
    site = _site(part, source)
    return lambda names: truth(run(names), site)


def _gives_bool(part: Expr) -> bool:
    if isinstance(part, Boolean):
        return all(_gives_bool(each) for each in part.parts)
    if isinstance(part, Call):
        return part.name in ("any", "all", "bool")
    return isinstance(part, Comparison) or (isinstance(part, Unary) and part.symbol == "not")


def _site(part: Expr, source: Source) -> Site:
    return Site(source, part.start, part.end)


def _below(part: Expr, source: Source) -> list[Closure]:
    return [closure_of(each, source) for each in part.parts]


# --- values -------------------------------------------------------------------------------


def _constant(part: Constant, source: Source) -> Closure:
    value = part.value
    return lambda names: value


def _name(part: Name, source: Source) -> Closure:
    return operator.itemgetter(part.name)


def _item(part: Item, source: Source) -> Closure:
    owner, key = part.parts
    site = _site(key, source)
    look = closure_of(owner, source)
    if not _is_field(key):
        find = closure_of(key, source)
        return lambda names: item(look(names), find(names), site)
    root_field = _root_field(part)
    if root_field is not None:
        return _field_of_root(*root_field, site)
    field = key.value

    def run(names: Names) -> Any:
        value = look(names)
        if type(value) in MAPPINGS:
            try:
                return value[field]
            except LookupError:
                pass
        return item(value, field, site)

    return run


def _field_of_root(root: str, field: str, site: Site) -> Closure:
    def run(names: Names) -> Any:
        try:
            return names[root][field]
        except LookupError:
            return item(names[root], field, site)

    return run


def _root_field(part: Expr) -> tuple[str, str] | None:
    """The names in ``domain.field``; None for any other part.

    Roots are mappings: whoever evaluates has made sure of it.
    """
    if isinstance(part, Item):
        owner, key = part.parts
        if isinstance(owner, Name) and owner.name in ROOTS and _is_field(key):
            return owner.name, key.value
    return None


def _is_field(key: Expr) -> TypeGuard[Constant]:
    return isinstance(key, Constant) and type(key.value) is str and not key.value.startswith("_")


def _slice(part: Slice, source: Source) -> Closure:
    look, low, high = _below(part, source)
    site = _site(part, source)

    def run(names: Names) -> Any:
        value = settled(look(names))
        bounds = settled(low(names)), settled(high(names))
        kind = kind_of(value)
        if kind not in (TEXT, LIST, TUPLE):
            site.fail("type", f"Only lists and texts have slices, not {name_of(value)}.")
        if not all(bound is None or type(bound) is int for bound in bounds):
            site.fail("type", "The bounds of a slice are integers.")
        first, last, _ = slice(*bounds).indices(size_of(value, site))
        if last - first > RESULT:
            site.fail("limit", f"A result of more than {RESULT:,} elements or characters.")
        charge(names, max(0, last - first), site)
        if type(value) in (str, list, tuple):
            return value[first:last]
        found = [value[index] for index in range(first, last)]
        return tuple(found) if kind is TUPLE else found

    return run


def _display(part: Display, source: Source) -> Closure:
    below = _below(part, source)
    if part.kind == "list":
        return lambda names: [each(names) for each in below]
    if part.kind == "tuple":
        return lambda names: tuple([each(names) for each in below])
    site = _site(part, source)

    def scalar(value: Any) -> Any:
        value = settled(value)
        if type(value) not in SCALARS:
            site.fail("type", f"A key or element of a set cannot be {name_of(value)}.")
        return value

    if part.kind == "set":
        return lambda names: {scalar(each(names)) for each in below}
    pairs = list(zip(below[::2], below[1::2], strict=True))
    return lambda names: {scalar(key(names)): value(names) for key, value in pairs}


def _call(part: Call, source: Source) -> Closure:
    site = _site(part, source)
    below = _below(part, source)
    if part.name == "len":
        return _length(part.parts[0], below[0], site)
    call = FUNCTIONS[part.name].call
    return lambda names: call([each(names) for each in below], names, site)


def _length(part: Expr, measured: Closure, site: Site) -> Closure:
    if (field := _root_field(part)) is not None:
        return _length_of_field(*field, measured, site)

    return lambda names: _size(measured(names), site)


def _size(value: Any, site: Site) -> int:
    if type(value) in SIZED:
        try:
            return len(value)
        except OverflowError:
            pass
    return size_of(value, site)


def _length_of_field(root: str, field: str, missing: Closure, site: Site) -> Closure:
    def run(names: Names) -> int:
        try:
            value = names[root][field]
        except LookupError:
            value = missing(names)
        return len(value) if type(value) is list else _size(value, site)

    return run


def _method(part: Method, source: Source) -> Closure:
    site = _site(part, source)
    below = _below(part, source)
    call = METHODS[part.name].call
    return lambda names: call([each(names) for each in below], names, site)


# --- operators ----------------------------------------------------------------------------


def _unary(part: Unary, source: Source) -> Closure:
    if part.symbol == "not":
        test = truth_of(part.parts[0], source)
        return lambda names: not test(names)
    site = _site(part, source)
    operand = closure_of(part.parts[0], source)
    apply = UNARY[part.symbol]
    return lambda names: apply(operand(names), site)


def _binary(part: Binary, source: Source) -> Closure:
    left, right = _below(part, source)
    site = _site(part, source)
    apply = BINARY[part.symbol]

    def run(names: Names) -> Any:
        value = apply(left(names), right(names), site)
        if type(value) in SIZED:
            charge(names, len(value), site)
        return value

    return run


def _boolean(part: Boolean, source: Source) -> Closure:
    wanted = part.symbol == "or"
    *firsts, (last, _) = [(closure_of(each, source), _site(each, source)) for each in part.parts]
    if len(firsts) == 1:
        return _boolean_of_two(wanted, *firsts[0], last)

    def run(names: Names) -> Any:
        for operand, site in firsts:
            value = operand(names)
            if truth(value, site) is wanted:
                return value
        return last(names)

    return run


def _boolean_of_two(wanted: bool, first: Closure, site: Site, last: Closure) -> Closure:
    unwanted = not wanted

    def run(names: Names) -> Any:
        value = first(names)
        if value is unwanted:
            return last(names)
        if value is wanted:
            return value
        return value if truth(value, site) is wanted else last(names)

    return run


def _choice(part: Choice, source: Source) -> Closure:
    test = truth_of(part.parts[0], source)
    yes, no = (closure_of(each, source) for each in part.parts[1:])
    return lambda names: yes(names) if test(names) else no(names)


# --- comparisons --------------------------------------------------------------------------


def _comparison(part: Comparison, source: Source) -> Closure:
    site = _site(part, source)
    if len(part.symbols) > 1:
        return _chain(part, source, site)
    symbol = part.symbols[0]
    left, right = part.parts
    if symbol in _COMPARE and isinstance(right, Constant) and type(right.value) in _QUICK:
        return _with_constant(left, symbol, right.value, source, site)
    first, second = _below(part, source)
    compare = _comparer(symbol, site)
    return lambda names: compare(first(names), second(names), names)


def _comparer(symbol: str, site: Site) -> Callable[[Any, Any, Names], bool]:
    """A function of two values and the names of the evaluation."""
    if symbol == "==":
        return lambda left, right, names: equal(left, right, names, site)
    if symbol == "!=":
        return lambda left, right, names: not equal(left, right, names, site)
    if symbol == "in":
        return lambda left, right, names: contains(right, left, names, site)
    if symbol == "not in":
        return lambda left, right, names: not contains(right, left, names, site)
    if symbol in ("is", "is not"):
        positive = symbol == "is"
        return lambda left, right, names: (settled(left) is right) is positive
    compare = _COMPARE[symbol]

    def run(left: Any, right: Any, names: Names) -> bool:
        kind = type(left)
        if kind is type(right) and kind in _QUICK:
            return compare(left, right)  # type: ignore[no-any-return]
        return ordered(left, right, compare, names, site)

    return run


def _chain(part: Comparison, source: Source, site: Site) -> Closure:
    first, *rest = _below(part, source)
    links = [
        (_comparer(symbol, site), operand)
        for symbol, operand in zip(part.symbols, rest, strict=True)
    ]

    def run(names: Names) -> bool:
        left = first(names)
        for compare, operand in links:
            right = operand(names)
            if not compare(left, right, names):
                return False
            left = right
        return True

    return run


def _with_constant(part: Expr, symbol: str, constant: Any, source: Source, site: Site) -> Closure:
    """A part compared with a number or text: in line where the type is the same."""
    slow = _comparer(symbol, site)
    kind = type(constant)
    value_of = closure_of(part, source)
    if (field := _root_field(part)) is not None:
        return FIELDS[symbol](*field, kind, constant, value_of, slow)
    return VALUES[symbol](value_of, kind, constant, slow)


_MAKERS: Final[dict[type[Expr], Callable[[Any, Source], Closure]]] = {
    Constant: _constant,
    Name: _name,
    Item: _item,
    Slice: _slice,
    Display: _display,
    Call: _call,
    Method: _method,
    Unary: _unary,
    Binary: _binary,
    Boolean: _boolean,
    Choice: _choice,
    Comparison: _comparison,
}
