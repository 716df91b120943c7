"""Plain patterns mean the same with and without the compiled core."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus._core.path import parse_path
from theus._core.pattern import compile_patterns, find, pattern_keys
from theus.parallel.plain import flags_at, plain_keys, plain_table

names = st.sampled_from(["domain", "global", "heavy", "a", "b", "a_b", "B"])
keys = st.one_of(names, st.integers(0, 2), st.none())
patterns = st.lists(st.lists(names, min_size=1, max_size=4).map(".".join), max_size=4)


@given(patterns, patterns, st.lists(keys, min_size=1, max_size=5).map(tuple))
def test_rights_are_those_of_the_core(reads, writes, path):
    table = plain_table(reads, writes)
    position = compile_patterns(reads, writes, strict=False)
    assert table is not None
    assert flags_at(table, path) == find(position, path).flags


@given(st.lists(names, min_size=1, max_size=4).map(".".join))
def test_keys_are_those_of_the_core(text):
    assert plain_keys(text) == parse_path(text) == pattern_keys(text)


@pytest.mark.parametrize(
    "text",
    [
        "domain.*",
        "domain.rows[0]",
        "domain.0",
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
    assert plain_keys(text) is None
    assert plain_table([text], []) is None
