"""Random operations on containers, for guards and for the oracle alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.oracle.values import Path

KEYS = st.sampled_from(["a", "b", "a", "b", "c", "items", 1, (1, "t"), b"k"])
LEAVES = st.one_of(
    st.integers(-3, 3), st.sampled_from([None, True, False, 1.0, 0.5, "s", "t", b"b", (1, 2)])
)
ELEMENTS = st.one_of(st.integers(0, 5), st.sampled_from(["p", "q", (1, 2)]))
SETS = st.sets(ELEMENTS, max_size=3)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3), SETS
    ),
    max_leaves=4,
)
INDEXES = st.integers(-4, 5)
SLICES = st.builds(
    slice,
    st.none() | st.integers(-4, 4),
    st.none() | st.integers(-4, 4),
    st.none() | st.sampled_from([1, 2, -1]),
)
PLAIN_SLICES = st.builds(slice, st.none() | st.integers(-4, 4), st.none() | st.integers(-4, 4))


@dataclass(frozen=True)
class Alias:
    """In place of a value: the container at this path."""

    path: Path


Calls = st.SearchStrategy[tuple[str, tuple[Any, ...]]]


def _call(name: str, *args: st.SearchStrategy[Any]) -> Calls:
    return st.tuples(st.just(name), st.tuples(*args))


def _maps(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Any, Any]]:
    return st.dictionaries(KEYS, values, max_size=3)


def map_calls(values: st.SearchStrategy[Any]) -> Calls:
    """Calls on a mapping; `values` is what may be assigned."""
    return st.one_of(
        *[_call("setitem", KEYS, values)] * 3,
        _call("delitem", KEYS),
        _call("pop", KEYS, st.none()),
        _call("pop", KEYS),
        _call("getitem", KEYS),
        _call("get", KEYS),
        _call("get", KEYS, st.just(0)),
        _call("contains", KEYS),
        _call("len"),
        _call("bool"),
        _call("iter"),
        _call("reversed"),
        _call("keys"),
        _call("values"),
        _call("items"),
        _call("eq", _maps(LEAVES)),
        _call("setdefault", KEYS, values),
        _call("popitem"),
        _call("clear"),
        _call("update", _maps(values)),
        _call("ior", _maps(values)),
        _call("or", _maps(LEAVES)),
        _call("update", st.lists(st.tuples(KEYS, values), max_size=2)),
        _call("copy"),
    )


def list_calls(values: st.SearchStrategy[Any]) -> Calls:
    """Calls on a list."""
    several = st.lists(values, max_size=3)
    return st.one_of(
        *[_call("append", values)] * 2,
        *[_call("setitem", INDEXES, values)] * 2,
        _call("extend", several),
        _call("iadd", several),
        _call("insert", INDEXES, values),
        _call("setitem", PLAIN_SLICES, several),
        _call("getitem", INDEXES),
        _call("getitem", SLICES),
        _call("delitem", INDEXES),
        _call("delitem", SLICES),
        _call("pop"),
        _call("pop"),
        _call("pop", INDEXES),
        _call("remove", LEAVES),
        _call("index", LEAVES),
        _call("count", LEAVES),
        _call("contains", LEAVES),
        _call("len"),
        _call("bool"),
        _call("iter"),
        _call("reversed"),
        _call("eq", several),
        _call("reverse"),
        _call("sort"),
        _call("clear"),
        _call("copy"),
        _call("add_list", several),
        _call("imul", st.integers(0, 2)),
        _call("mul", st.integers(0, 2)),
    )


def set_calls() -> Calls:
    """Calls on a set."""
    return st.one_of(
        _call("add", ELEMENTS),
        _call("add", ELEMENTS),
        _call("discard", ELEMENTS),
        _call("remove", ELEMENTS),
        _call("contains", ELEMENTS),
        _call("len"),
        _call("bool"),
        _call("iter"),
        _call("clear"),
        _call("copy"),
        *(
            _call(name, SETS)
            for name in (
                "update",
                "ior",
                "difference_update",
                "isub",
                "intersection_update",
                "iand",
                "symmetric_difference_update",
                "ixor",
                "or",
                "and",
                "sub",
                "xor",
                "union",
                "intersection",
                "difference",
                "symmetric_difference",
                "issubset",
                "issuperset",
                "isdisjoint",
                "eq",
                "le",
                "lt",
                "ge",
                "gt",
            )
        ),
    )
