"""HeavyZoneWrapper: descriptors become arrays, and a process cannot change the state with it."""

from __future__ import annotations

import pickle
from types import MappingProxyType

import numpy as np
import pytest

from theus.errors import HeavyGoneError, HeavyReadOnlyError, ImmutableError
from theus.heavy import HeavyZoneWrapper, ShmArray


@pytest.fixture
def state(zone):
    zone.put("x", np.arange(6.0).reshape(2, 3))
    return {"x": zone.descriptor("x"), "model": {"weights": 3}, "array": np.zeros(3)}


def test_a_descriptor_comes_out_as_an_array_without_a_copy(zone, state):
    heavy = HeavyZoneWrapper(state)
    assert isinstance(heavy["x"], ShmArray)
    assert np.shares_memory(heavy["x"], zone.get("x"))
    assert heavy["x"] is heavy["x"]
    assert heavy["model"] is state["model"]
    assert heavy["array"] is state["array"]


def test_it_is_a_mapping(state):
    heavy = HeavyZoneWrapper(state, readonly=True)
    assert list(heavy) == ["x", "model", "array"]
    assert len(heavy) == 3
    assert "x" in heavy and "y" not in heavy
    assert heavy.get("y", 4) == 4
    assert [type(value) for value in heavy.values()] == [ShmArray, dict, np.ndarray]
    assert dict(heavy)["x"] is heavy["x"]
    with pytest.raises(KeyError, match="y"):
        heavy["y"]
    assert len(HeavyZoneWrapper()) == 0


def test_what_a_process_gets_is_read_only(zone, state):
    heavy = HeavyZoneWrapper(state, readonly=True)
    with pytest.raises(HeavyReadOnlyError):
        heavy["x"][0, 0] = 1
    with pytest.raises(ValueError):
        heavy["array"][0] = 1
    for change in (
        lambda: heavy.__setitem__("x", 1),
        lambda: heavy.__delitem__("x"),
        lambda: heavy.pop("x"),
        lambda: heavy.update(y=1),
        lambda: heavy.setdefault("y", 1),
        heavy.popitem,
        heavy.clear,
    ):
        with pytest.raises(ImmutableError, match=r"heavy\.\w+ cannot be changed"):
            change()
    assert heavy.readonly
    assert list(heavy) == ["x", "model", "array"]
    assert zone.get("x")[0, 0] == 0


def test_the_owners_own_array_comes_out_read_only_too(zone):
    heavy = HeavyZoneWrapper({"x": zone.put("x", [1.0])}, readonly=True)
    with pytest.raises(HeavyReadOnlyError):
        heavy["x"][0] = 2
    assert zone.get("x").flags.writeable


def test_on_its_own_it_writes_through_to_the_segment(zone, state):
    heavy = HeavyZoneWrapper(state)
    heavy["x"][1, 2] = 77
    assert zone.get("x")[1, 2] == 77


def test_on_its_own_keys_can_be_changed_and_the_source_stays(zone, state):
    heavy = HeavyZoneWrapper(state)
    old = heavy["x"]
    heavy["x"] = zone.put("y", [5.0]).descriptor()
    assert heavy["x"].tolist() == [5.0]
    assert old.shape == (2, 3)
    del heavy["model"]
    assert set(heavy) == {"x", "array"}
    assert set(state) == {"x", "model", "array"}


def test_a_read_only_one_looks_at_its_source_in_place(zone, state):
    heavy = HeavyZoneWrapper(MappingProxyType(state), readonly=True)
    first = heavy["x"]
    state["x"] = zone.put("x", [9.0]).descriptor()
    assert heavy["x"].tolist() == [9.0]
    assert first.shape == (2, 3)


def test_a_key_that_was_freed_says_so(zone, state):
    zone.free("x")
    heavy = HeavyZoneWrapper(state, readonly=True)
    with pytest.raises(HeavyGoneError, match="'x'"):
        heavy["x"]


def test_descriptors_can_be_had_without_attaching(zone, state):
    assert HeavyZoneWrapper(state).descriptor("x") == zone.descriptor("x")


def test_pickling_sends_descriptors_and_keeps_the_protection(state):
    for readonly in (True, False):
        heavy = HeavyZoneWrapper(state, readonly=readonly)
        got = pickle.loads(pickle.dumps(heavy))
        assert got.readonly is readonly
        assert got.descriptor("x") == state["x"]
        assert got["x"].tolist() == heavy["x"].tolist()


def test_equality_is_that_of_the_entries(zone, state):
    assert HeavyZoneWrapper(state) == HeavyZoneWrapper(dict(state), readonly=True)
    assert HeavyZoneWrapper(state) != HeavyZoneWrapper({"x": state["x"]})
    assert HeavyZoneWrapper(state) != HeavyZoneWrapper({**state, "array": np.zeros(3)})
    again = {**state, "x": type(state["x"]).from_dict(state["x"].to_dict())}
    assert HeavyZoneWrapper(state) == HeavyZoneWrapper(again)
    assert HeavyZoneWrapper(state) != state
    with pytest.raises(TypeError, match="unhashable"):
        hash(HeavyZoneWrapper(state))


def test_repr_shows_descriptors_and_attaches_nothing(zone, state):
    zone.free("x")
    assert "BufferDescriptor(name=" in repr(HeavyZoneWrapper(state))
