"""A guard is a dict, a list, a set: the same program gives the same results, errors and content."""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.programs import (
    ELEMENTS,
    KEYS,
    LEAVES,
    SETS,
    SLICES,
    VALUES,
    list_calls,
    map_calls,
    set_calls,
)
from tests.model.subject import make_engine
from tests.oracle.methods import INVOKE, RETURNS_SELF
from tests.oracle.values import clone, plain, same

Call = tuple[str, tuple[Any, ...]]


def _grow_while_iterating(container: Any) -> None:
    for entry in container:
        if hasattr(container, "add"):
            container.add(("new", entry))
        else:
            container["new", entry] = 1


def _rewrite_while_iterating(container: Any) -> list[Any]:
    """Values that change while one looks at them, without a change of size."""
    seen = []
    for key, value in container.items():
        seen.append(value)
        for other in container:
            container[other] = ("seen", key)
    return seen


def _unpack(container: Any) -> list[Any]:
    first, *rest = container
    return [first, *rest]


EXTRA_MAP: dict[str, Callable[..., Any]] = {
    "update_kwargs": lambda c, v: c.update(p=v, q=v),
    "update_both": lambda c, v: c.update({"a": v}, b=v),
    "update_bad": lambda c, v: c.update(5),
    "pop_missing": lambda c, v: c.pop("missing"),
    "setdefault_none": lambda c, v: c.setdefault("fresh"),
    "keys_and": lambda c, v: c.keys() & {"a", "b"},
    "keys_or": lambda c, v: c.keys() | {"a"},
    "items_contains": lambda c, v: ("a", v) in c.items(),
    "values_contains": lambda c, v: v in c.values(),
    "ror": lambda c, v: {"z": 1, "a": v} | c,
    "reversed_items": lambda c, v: [k for k, _ in reversed(c.items())],
    "unpack": lambda c, v: _unpack(c),
    "stars": lambda c, v: dict(**{k: 1 for k in c if isinstance(k, str)}),
    "as_dict": lambda c, v: dict(c),
    "sorted": lambda c, v: sorted(c, key=str),
    "hash": lambda c, v: hash(c),
    "less": lambda c, v: c < {},
    "grow": lambda c, v: _grow_while_iterating(c),
    "rewrite": lambda c, v: _rewrite_while_iterating(c),
    "unhashable": lambda c, v: c[[1]],
    "unhashable_in": lambda c, v: [1] in c,
    "unhashable_set": lambda c, v: c.__setitem__({}, v),
    "next_of_iter": lambda c, v: next(iter(c)),
    "deepcopy": lambda c, v: copy.deepcopy(c),
    "copy": lambda c, v: copy.copy(c),
    "repr": lambda c, v: ast.literal_eval(repr(c)),
    "equal_self": lambda c, v: c == c,
    "is_equal_copy": lambda c, v: c == clone(plain(c)),
    "len_of_views": lambda c, v: (len(c.keys()), len(c.values()), len(c.items())),
    "match": lambda c, v: _match(c),
}

EXTRA_LIST: dict[str, Callable[..., Any]] = {
    "sort_reverse": lambda c, v: c.sort(key=repr, reverse=True),
    "sort_mixed": lambda c, v: c.sort(),
    "index_range": lambda c, v: c.index(v, 1),
    "index_ends": lambda c, v: c.index(v, -2, 10),
    "radd": lambda c, v: operator.add([v], c),
    "add_guard": lambda c, v: c + c,
    "add_tuple": lambda c, v: operator.add(c, (1,)),
    "iadd_tuple": lambda c, v: _iadd(c, (v, v)),
    "iadd_self": lambda c, v: _iadd(c, c),
    "extend_self": lambda c, v: c.extend(c),
    "extend_bad": lambda c, v: c.extend(5),
    "rmul": lambda c, v: 2 * c,
    "mul_bad": lambda c, v: c * "x",
    "unpack": lambda c, v: _unpack(c),
    "float_index": lambda c, v: c[1.0],
    "text_index": lambda c, v: c["a"],
    "set_float_index": lambda c, v: c.__setitem__(1.5, v),
    "del_extended": lambda c, v: c.__delitem__(slice(None, None, 2)),
    "set_extended": lambda c, v: c.__setitem__(slice(None, None, 2), [v]),
    "set_slice_bad": lambda c, v: c.__setitem__(slice(0, 1), 5),
    "insert_far": lambda c, v: c.insert(100, v),
    "hash": lambda c, v: hash(c),
    "deepcopy": lambda c, v: copy.deepcopy(c),
    "copy": lambda c, v: copy.copy(c),
    "repr": lambda c, v: ast.literal_eval(repr(c)),
    "min": lambda c, v: min(c, key=repr),
    "zip": lambda c, v: list(zip(c, range(3), strict=False)),
    "length_hint": lambda c, v: list(enumerate(c)),
    "append_while_iterating": lambda c, v: _append_once(c, v),
    "compare": lambda c, v: (c == [v], c != [v], c == c, c == (1,), c == "a"),
    "less": lambda c, v: c < [v],
    "match": lambda c, v: _match(c),
}

EXTRA_SET: dict[str, Callable[..., Any]] = {
    "union_many": lambda c, v: c.union([v], {1, 2}, ()),
    "update_many": lambda c, v: c.update([v], {1, 2}),
    "intersection_many": lambda c, v: c.intersection([v, 1], {1, 2}),
    "difference_update_many": lambda c, v: c.difference_update([v], {1}),
    "ror": lambda c, v: {v} | c,
    "rand": lambda c, v: {v, 1} & c,
    "rsub": lambda c, v: {v, 1} - c,
    "rxor": lambda c, v: {v, 1} ^ c,
    "or_list": lambda c, v: c | [v],
    "eq_frozen": lambda c, v: c == frozenset(plain(c)),
    "compare_bad": lambda c, v: c < 5,
    "unhashable": lambda c, v: c.add([v]),
    "unhashable_in": lambda c, v: {} in c,
    "unhashable_discard": lambda c, v: c.discard([1]),
    "hash": lambda c, v: hash(c),
    "deepcopy": lambda c, v: copy.deepcopy(c),
    "copy": lambda c, v: copy.copy(c),
    "sorted": lambda c, v: sorted(c, key=repr),
    "as_set": lambda c, v: frozenset(c),
    "grow": lambda c, v: _grow_while_iterating(c),
    "isub_self": lambda c, v: INVOKE["isub"](c, c),
    "ixor_self": lambda c, v: INVOKE["ixor"](c, c),
    "remove_missing": lambda c, v: c.remove("missing"),
    "iter": lambda c, *_: sorted(c, key=repr),
}


def _iadd(container: Any, other: Any) -> None:
    container += other


def _append_once(container: Any, value: Any) -> int:
    seen = 0
    for _ in container:
        seen += 1
        if seen == 1:
            container.append(value)
    return seen


def _match(container: Any) -> Any:
    match container:
        case {"a": value}:
            return "mapping", value
        case [first, *_]:
            return "sequence", first
    return None


def outcome(name: str, action: Callable[..., Any], container: Any, args: Any) -> tuple[str, Any]:
    """What an action gave: a plain value, or the builtin classes of its error."""
    try:
        result = action(container, *clone(list(args)))
    except Exception as error:  # noqa: BLE001 - the kind of error is the result
        names = {cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins"}
        return "error", names - {"object", "BaseException", "Exception"}
    return "done", None if name in RETURNS_SELF else plain(result)


def agrees(found: tuple[str, Any], expected: tuple[str, Any]) -> bool:
    """Equal; an error may be more than the builtin's, not less."""
    if expected[0] == "error":
        return found[0] == "error" and expected[1] <= found[1]
    if found[0] == "error":
        return False
    return same(found[1], expected[1])


def check_program(start: Any, program: list[Call], extra: dict[str, Callable[..., Any]]) -> None:
    """Run a program on a builtin and through a guard; then commit and compare."""
    engine = make_engine({"domain": {"it": start}, "global": {}})
    mine = clone(start)
    with engine.transaction() as tx:
        guard = tx.domain["it"]
        for name, args in program:
            action = extra.get(name) or INVOKE[name]
            expected = outcome(name, action, mine, args)
            found = outcome(name, action, guard, args)
            assert agrees(found, expected), f"{name}{args!r}: {found}, not {expected}"
            assert same(plain(guard), clone(mine)), f"after {name}{args!r}"
    assert same(plain(engine.state.domain["it"]), clone(mine))
    engine.shutdown()


def with_extra(calls: Any, extra: dict[str, Any], values: Any) -> Any:
    """Calls of both tables."""
    more = st.tuples(st.sampled_from(sorted(extra)), st.tuples(values))
    return st.lists(st.one_of(calls, calls, more), max_size=8)


@given(st.dictionaries(KEYS, VALUES, max_size=5), with_extra(map_calls(VALUES), EXTRA_MAP, VALUES))
def test_a_guard_of_a_mapping_is_a_dict(start: dict[Any, Any], program: list[Call]) -> None:
    check_program(start, program, EXTRA_MAP)


@given(st.lists(VALUES, max_size=5), with_extra(list_calls(VALUES), EXTRA_LIST, LEAVES))
def test_a_guard_of_a_list_is_a_list(start: list[Any], program: list[Call]) -> None:
    check_program(start, program, EXTRA_LIST)


@given(SETS, with_extra(set_calls(), EXTRA_SET, ELEMENTS))
def test_a_guard_of_a_set_is_a_set(start: set[Any], program: list[Call]) -> None:
    check_program(start, program, EXTRA_SET)


@given(st.lists(LEAVES, max_size=6), SLICES, st.lists(LEAVES, max_size=4))
def test_slices_of_every_kind(start: list[Any], where: slice, values: list[Any]) -> None:
    program = [("getitem", (where,)), ("setitem", (where, values)), ("delitem", (where,))]
    check_program(start, program, {})


@pytest.mark.parametrize("name", sorted(EXTRA_MAP))
@pytest.mark.parametrize("start", [{}, {"a": 1, "b": [1, {"c": 2}], "x": {"y": 1}}], ids=str)
def test_mapping(name: str, start: dict[str, Any]) -> None:
    check_program(start, [(name, (1,))], EXTRA_MAP)


@pytest.mark.parametrize("name", sorted(EXTRA_LIST))
@pytest.mark.parametrize("start", [[], [3, 1, 2], [1, [2], {"a": 3}]], ids=str)
def test_list(name: str, start: list[Any]) -> None:
    check_program(start, [(name, (1,))], EXTRA_LIST)


@pytest.mark.parametrize("name", sorted(EXTRA_SET))
@pytest.mark.parametrize("start", [set(), {1}, {1, 2, "p"}], ids=["empty", "one", "mixed"])
def test_set(name: str, start: set[Any]) -> None:
    check_program(start, [(name, (1,))], EXTRA_SET)


@pytest.mark.parametrize("kind", [dict, list, set])
def test_every_public_method_is_there(kind: type) -> None:
    engine = make_engine({"domain": {"it": kind()}, "global": {}})
    with engine.transaction() as tx:
        guard = tx.domain["it"]
        missing = [
            name
            for name in dir(kind)
            if not name.startswith("_")
            and name != "fromkeys"
            and not callable(getattr(guard, name, None))
        ]
    assert missing == []
