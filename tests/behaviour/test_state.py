"""Promise: a `State` is one immutable version; versions share what did not change."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from theus import TheusEncoder, TheusEngine
from theus.errors import ContextError, SystemBusyError, TheusError
from theus.structures import FrozenDict, FrozenList, MetaLogEntry, State

CONTENT = {
    "domain": {"user": {"name": "ann", "tags": ["a", "b"]}, "n": 1, "other": {"x": [1]}},
    "global": {"limit": 5},
}


@pytest.fixture
def state() -> State:
    return State(CONTENT)


def test_a_state_of_its_own_has_what_it_was_given() -> None:
    thing = object()
    state = State(CONTENT, heavy={"thing": thing}, signal={"stop": 1}, version=7)
    assert state.data == CONTENT
    assert state.domain == CONTENT["domain"]
    assert state.global_ == CONTENT["global"]
    assert getattr(state, "global") == CONTENT["global"]
    assert state.heavy["thing"] is thing
    assert state.signals == {"stop": 1}
    assert state.version == 7


def test_without_arguments_it_is_empty_at_version_1() -> None:
    state = State()
    assert (state.version, dict(state.heavy), state.meta) == (1, {}, [])


def test_a_name_that_is_no_area_is_an_attribute_error(state: State) -> None:
    with pytest.raises(AttributeError, match="nothing"):
        state.nothing


@pytest.mark.parametrize(
    "change",
    [
        lambda state: setattr(state, "version", 9),
        lambda state: setattr(state, "data", {}),
        lambda state: setattr(state, "new", 1),
        lambda state: delattr(state, "data"),
        lambda state: setattr(state.domain, "n", 2),
        lambda state: state.domain.__setitem__("n", 2),
        lambda state: state.domain.__delitem__("n"),
        lambda state: setattr(state.domain.user, "name", "bob"),
        lambda state: state.data["domain"]["user"].__setitem__("name", "bob"),
        lambda state: setattr(state.restrict_view(), "domain", 1),
    ],
)
def test_assignment_of_any_kind_is_refused(state: State, change: Callable[[State], Any]) -> None:
    with pytest.raises(ContextError, match="Immutable"):
        change(state)
    assert state.data == CONTENT


@pytest.mark.parametrize("name", ["append", "extend", "insert", "pop", "remove", "clear", "sort"])
def test_mutators_of_lists_are_refused(state: State, name: str) -> None:
    with pytest.raises((ContextError, AttributeError, TypeError)):
        getattr(state.domain.user.tags, name)()
    assert state.data == CONTENT


@pytest.mark.parametrize("name", ["update", "pop", "popitem", "clear", "setdefault"])
def test_mutators_of_mappings_are_refused(state: State, name: str) -> None:
    with pytest.raises((ContextError, AttributeError, TypeError)):
        getattr(state.domain.user, name)("name")
    assert state.data == CONTENT


def test_containers_come_out_frozen(state: State) -> None:
    user = state.domain.user
    assert type(user) is FrozenDict
    assert isinstance(user, Mapping)
    assert type(user.tags) is FrozenList
    assert isinstance(user.tags, Sequence)


def test_they_are_equal_to_plain_containers_of_the_same_content(state: State) -> None:
    user = state.domain.user
    assert user == {"name": "ann", "tags": ["a", "b"]}
    assert user != {"name": "ann", "tags": ["a"]}
    assert user.tags == ["a", "b"]
    assert user.tags != ["b", "a"]
    assert dict(user) == {"name": "ann", "tags": ["a", "b"]}
    assert type(dict(user)) is dict
    assert list(user.tags) == ["a", "b"]
    assert type(list(user.tags)) is list


def test_identifier_keys_are_attributes(state: State) -> None:
    assert state.domain.user.name == state.domain["user"]["name"] == "ann"
    with pytest.raises(AttributeError):
        state.domain.user.nobody


@pytest.mark.parametrize(
    "way", [copy.deepcopy, copy.copy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_they_can_be_copied_and_pickled(state: State, way: Callable[[Any], Any]) -> None:
    for value in (state.domain, state.domain.user.tags):
        again = way(value)
        assert again == value
        assert type(again) is type(value)


def test_a_deep_copy_belongs_to_nobody() -> None:
    with TheusEngine(CONTENT) as engine:
        kept = copy.deepcopy(engine.state.domain)
        engine.compare_and_swap(1, data={"domain.user.name": "bob"})
        assert kept.user.name == "ann"


def test_they_are_written_as_json(state: State) -> None:
    assert json.loads(json.dumps(state.data, cls=TheusEncoder)) == CONTENT


def test_their_repr_shows_the_content(state: State) -> None:
    assert "ann" in repr(state.domain.user)
    assert "'a'" in repr(state.domain.user.tags)
    assert "version=1" in repr(state)


def test_frozen_containers_of_ones_own() -> None:
    made = FrozenDict({"a": {"b": [1]}})
    assert made == {"a": {"b": [1]}}
    assert made.a.b[0] == 1
    with pytest.raises(ContextError, match="Immutable"):
        made["a"] = 1
    assert FrozenList([1, [2]]) == [1, [2]]


def test_what_was_passed_in_is_detached() -> None:
    own = {"domain": {"xs": [1], "map": {"k": 1}}}
    state = State(own)
    newer = state.update(data={"domain": {"map": own["domain"]["map"]}})
    own["domain"]["xs"].append(2)
    own["domain"]["map"]["k"] = 2
    assert state.data == newer.data == {"domain": {"xs": [1], "map": {"k": 1}}}


def test_arrays_in_the_data_come_out_read_only() -> None:
    own = np.arange(3)
    state = State({"domain": {"xs": own}})
    own[0] = 9
    assert state.domain.xs.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        state.domain.xs[0] = 9


# --- update -----------------------------------------------------------------------------------


def test_update_makes_a_new_version_and_leaves_the_old_one(state: State) -> None:
    newer = state.update(data={"domain": {"n": 2}})
    assert newer is not state
    assert (state.version, newer.version) == (1, 2)
    assert (state.domain.n, newer.domain.n) == (1, 2)


@pytest.mark.parametrize(
    ("data", "domain", "others"),
    [
        ({"domain": {"n": 2}}, {**CONTENT["domain"], "n": 2}, {}),
        ({"domain": {"user": {"age": 3}}}, {**CONTENT["domain"], "user": {"age": 3}}, {}),
        (
            {"domain.user.name": "bob"},
            {**CONTENT["domain"], "user": {"name": "bob", "tags": ["a", "b"]}},
            {},
        ),
        ({"plans": {"a": 1}}, CONTENT["domain"], {"plans": {"a": 1}}),
    ],
)
def test_rules_of_merging(
    state: State, data: dict[str, Any], domain: dict[str, Any], others: dict[str, Any]
) -> None:
    newer = state.update(data=data)
    assert newer.data == {"domain": domain, "global": CONTENT["global"], **others}


def test_another_top_level_key_is_replaced_whole(state: State) -> None:
    newer = state.update(data={"plans": {"a": 1}}).update(data={"plans": {"b": 2}})
    assert newer.data["plans"] == {"b": 2}


def test_update_of_the_global_zone_keeps_fields_not_named(state: State) -> None:
    newer = state.update(data={"global": {"new": 1}})
    assert newer.global_ == {"limit": 5, "new": 1}


def test_update_of_heavy_and_signals(state: State) -> None:
    thing = object()
    newer = state.update(heavy={"thing": thing}, signal={"stop": 1})
    assert newer.heavy["thing"] is thing
    assert newer.signals == {"stop": 1}
    assert "thing" not in state.heavy


def test_heavy_is_held_by_reference_through_all_versions(state: State) -> None:
    own = [1, 2]
    newer = state.update(heavy={"own": own})
    own.append(3)
    assert newer.heavy["own"] is own
    assert newer.update(data={"domain": {"n": 5}}).heavy["own"] is own


def test_a_dotted_key_that_leads_through_a_leaf_is_refused(state: State) -> None:
    with pytest.raises(TheusError):
        state.update(data={"domain.n.deeper": 1})
    assert state.data == CONTENT


# --- versions of an engine --------------------------------------------------------------------


def test_a_new_engine_is_at_version_1_and_each_change_adds_one() -> None:
    with TheusEngine(CONTENT) as engine:
        assert engine.state.version == 1
        for number in range(2, 6):
            engine.compare_and_swap(number - 1, data={"domain": {"n": number * 10}})
            assert engine.state.version == number


def test_a_commit_that_changes_nothing_adds_none() -> None:
    def there_and_back(tx: Any) -> None:
        tx.domain.n = 5
        tx.domain.n = 1

    writes: list[Callable[[Any], Any]] = [
        lambda tx: None,
        lambda tx: tx.domain.n,
        lambda tx: setattr(tx.domain, "n", 1),
        there_and_back,
        lambda tx: tx.update(data={"domain": {"user": {"name": "ann", "tags": ["a", "b"]}}}),
    ]
    with TheusEngine(CONTENT) as engine:
        before = engine.state
        for write in writes:
            with engine.transaction() as tx:
                write(tx)
        engine.compare_and_swap(1, data={"domain": {"n": 1}})
        assert engine.state is before


def test_every_version_keeps_its_content_as_long_as_it_lives() -> None:
    with TheusEngine(CONTENT) as engine:
        kept = [engine.state]
        for number in range(20):
            engine.compare_and_swap(number + 1, data={"domain.other.x": [number]})
            kept.append(engine.state)
        assert [list(one.domain.other.x) for one in kept] == [[1], *([n] for n in range(20))]
        assert [one.version for one in kept] == list(range(1, 22))


def test_a_view_taken_before_a_commit_stays_as_it_was() -> None:
    with TheusEngine(CONTENT) as engine:
        user, tags = engine.state.domain.user, engine.state.domain.user.tags
        with engine.transaction() as tx:
            tx.domain.user.name = "bob"
            tx.domain.user.tags.append("c")
        assert (user.name, list(tags)) == ("ann", ["a", "b"])
        assert engine.state.domain.user == {"name": "bob", "tags": ["a", "b", "c"]}


def test_a_version_nobody_holds_is_let_go() -> None:
    class Thing:
        pass

    with TheusEngine() as engine:
        thing = Thing()
        engine.compare_and_swap(1, heavy={"thing": thing})
        gone = weakref.ref(thing)
        held = engine.state
        engine.compare_and_swap(2, heavy={"thing": None})
        del thing
        gc.collect()
        assert gone() is held.heavy["thing"]
        del held
        engine.collect()
        gc.collect()
        assert gone() is None


def test_untouched_values_are_the_same_objects_in_both_versions() -> None:
    text = "".join(["long ", "text"])
    with TheusEngine({"domain": {"text": text, "n": 1, "deep": {"text": text}}}) as engine:
        before = engine.state
        engine.compare_and_swap(1, data={"domain": {"n": 2}})
        after = engine.state
        assert after.domain.text is before.domain.text
        assert after.domain.deep.text is before.domain.deep.text


def test_an_untouched_branch_is_the_same_object_in_both_versions() -> None:
    with TheusEngine(CONTENT) as engine:
        before = engine.state
        branch = before.domain.other
        engine.compare_and_swap(1, data={"domain": {"n": 2}})
        assert engine.state.domain.other is branch
        engine.compare_and_swap(2, data={"domain.other.x": [2]})
        assert engine.state.domain.other is not branch


def test_equality_and_hashing_follow_version_and_content(state: State) -> None:
    assert state == State(CONTENT)
    assert hash(state) == hash(State(CONTENT))
    assert state != State(CONTENT, version=2)
    assert state != State({"domain": {"n": 2}})
    assert state != CONTENT


def test_a_state_can_be_pickled_and_copied(state: State) -> None:
    again = pickle.loads(pickle.dumps(state))
    assert (again, again.version) == (state, 1)
    assert copy.copy(state) is state
    assert copy.deepcopy(state) is state


def test_the_restricted_view_has_the_data_and_neither_signals_nor_meta(state: State) -> None:
    view = state.restrict_view()
    assert (view.data, view.domain, view.version) == (state.data, state.domain, 1)
    for name in ("signal", "signals", "meta", "log_meta", "get_meta_logs", "update"):
        assert not hasattr(view, name)


def test_to_dict_gives_a_detached_plain_copy(state: State) -> None:
    plain = state.to_dict()
    assert plain == CONTENT
    plain["domain"]["user"]["tags"].append("c")
    assert state.data == CONTENT


# --- meta log ---------------------------------------------------------------------------------


def test_the_meta_log_is_shared_by_all_versions_and_bounded() -> None:
    state = State(CONTENT, meta_capacity=3)
    newer = state.update(data={"domain": {"n": 2}})
    for number in range(5):
        (state if number % 2 else newer).log_meta("key", f"message {number}")
    for one in (state, newer):
        assert [entry[3] for entry in one.get_meta_logs()] == [f"message {n}" for n in (2, 3, 4)]
        assert one.meta == one.get_meta_logs()


def test_entries_of_the_meta_log_have_names_and_cannot_be_changed() -> None:
    state = State(CONTENT)
    state.log_meta("disk", "full")
    (entry,) = state.meta
    assert (entry.sequence, entry.key, entry.message) == (1, "disk", "full")
    assert abs(entry.timestamp - time.time()) < 60
    assert isinstance(entry, MetaLogEntry)
    assert pickle.loads(pickle.dumps(entry)) == entry
    with pytest.raises(AttributeError):
        entry.message = "empty"  # type: ignore[misc]


def test_the_meta_log_cannot_be_cleared() -> None:
    state = State(CONTENT)
    state.log_meta("key", "message")
    state.meta.clear()
    assert len(state.meta) == 1
    assert not hasattr(state, "clear_meta")


def test_the_signal_hub_of_an_engine_is_that_of_its_states() -> None:
    with TheusEngine() as engine:
        assert engine.state.signal is engine.signal


def test_the_error_of_a_state_is_one_class() -> None:
    assert issubclass(SystemBusyError, ContextError)
    assert issubclass(ContextError, (TheusError, RuntimeError))
