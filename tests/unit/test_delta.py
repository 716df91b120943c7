"""`theus.delta`: the entries that turn one value into another, and their application."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theus import TheusEngine
from theus.delta import DeltaEntry, apply, diff
from theus.errors import PathError, TheusError

LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.floats(0, 1)
)
KEYS = st.text("abc", max_size=2) | st.integers(0, 3)
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(TREES, TREES)
def test_what_differs_turns_one_into_the_other(before: Any, after: Any) -> None:
    kept = copy.deepcopy((before, after))
    entries = diff(before, after)
    assert apply(before, entries) == after
    assert (before, after) == kept
    assert entries or before == after
    assert not diff(before, before)


@pytest.mark.parametrize(
    ("before", "after", "entries"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("set", ("a",), 1, 2)]),
        ({"a": 1}, {}, [("delete", ("a",), 1, None)]),
        ({}, {"a": 1}, [("insert", ("a",), None, 1)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("set", ("a", "b", 1), 2, 3)]),
        ([1, 2, 3], [1], [("delete", (2,), 3, None), ("delete", (1,), 2, None)]),
        ([1], [1, 2], [("insert", (1,), None, 2)]),
        ({"a": 1}, {"a": True}, [("set", ("a",), 1, True)]),
        (1, [1], [("set", (), 1, [1])]),
    ],
)
def test_entries_name_path_and_both_sides(before: Any, after: Any, entries: Any) -> None:
    assert [(one.op, one.path, one.old, one.new) for one in diff(before, after)] == entries


def test_versions_of_a_state_can_be_compared() -> None:
    with TheusEngine({"domain": {"n": 1, "user": {"name": "ann"}, "xs": [1]}}) as engine:
        before = engine.state
        with engine.transaction() as tx:
            tx.domain.user.name = "bob"
            tx.domain.xs.append(2)
            pending = {(entry.op, entry.path) for entry in tx.delta_log}
        entries = diff(before.data, engine.state.data)
        assert {entry.path for entry in entries} == {
            ("domain", "user", "name"),
            ("domain", "xs", 1),
        }
        assert ("set", ("domain", "user", "name")) in pending
        assert apply(before.data, entries) == engine.state.to_dict()


def test_entries_are_immutable() -> None:
    [entry] = diff(1, 2)
    assert entry == DeltaEntry("set", (), 1, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.new = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "entry",
    [
        DeltaEntry("set", ("nothing", "below"), None, 1),
        DeltaEntry("delete", ("nothing",), 1, None),
        DeltaEntry("delete", ("xs", 7), 1, None),
        DeltaEntry("set", ("n", "below"), None, 1),
    ],
)
def test_an_entry_that_does_not_fit_is_refused(entry: DeltaEntry) -> None:
    value = {"n": 1, "xs": [1]}
    with pytest.raises(PathError) as caught:
        apply(value, [entry])
    assert isinstance(caught.value, TheusError)
    assert value == {"n": 1, "xs": [1]}


def test_paths_in_a_list_that_changes_as_a_whole_are_those_of_before() -> None:
    with TheusEngine({"domain": {"rows": [{"x": 0}, {"x": 1}, {"x": 2}]}}) as engine:
        before = engine.state
        with engine.transaction() as tx:
            rows = tx.domain["rows"]
            last = rows[2]
            del rows[0]
            last["x"] = 20
            rows[0]["x"] = 10
            assert [(entry.op, entry.path) for entry in tx.delta_log] == [
                ("set", ("domain", "rows", 2, "x")),
                ("set", ("domain", "rows", 1, "x")),
                ("replace", ("domain", "rows")),
            ]
        assert engine.state.domain["rows"] == [{"x": 10}, {"x": 20}]
        assert before.domain["rows"] == [{"x": 0}, {"x": 1}, {"x": 2}]
