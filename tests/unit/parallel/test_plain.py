"""Plain patterns mean the same with and without the compiled core."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus._core.path import parse_path
from theus._core.pattern import compile_patterns, find
from theus.parallel.plain import flags_at, plain_path, plain_table

names = st.sampled_from(["domain", "global", "heavy", "a", "b", "a_b", "B"])
keys = st.one_of(names, st.integers(0, 2), st.none())
patterns = st.lists(st.lists(names, min_size=1, max_size=4).map(".".join), max_size=4)


@given(patterns, patterns, st.lists(keys, min_size=1, max_size=5).map(tuple))
def test_rights_are_those_of_the_core(reads, writes, path):
    table = plain_table(reads, writes)
    position = compile_patterns(reads, writes, strict=False)
    assert table is not None
    assert flags_at(table, path) == find(position, path).flags


places = st.one_of(names.map(".{}".format), st.integers(-20, 20).map("[{}]".format))


@given(names, st.lists(places, max_size=4).map("".join))
def test_keys_are_those_of_the_core(name, rest):
    assert plain_path(name + rest) == parse_path(name + rest)


@pytest.mark.parametrize(
    "text",
    [
        "domain.*",
        "domain.0",
        "domain.rows[01]",
        "domain.rows[-0]",
        "domain.rows[x]",
        "domain.rows[0]x",
        "domain_ctx.a",
        "global_.a",
        "global_ctx",
        'a."b"',
        "a..b",
        "",
        "domain.größe",
        "a.b\n",
        ("domain", "a"),
    ],
)
def test_what_is_not_plain_is_left_to_the_core(text):
    assert plain_path(text) is None
    assert plain_table([text], []) is None


def test_numbers_in_patterns_are_left_to_the_core():
    assert plain_table(["domain.rows[0]"], []) is None
