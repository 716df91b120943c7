"""ShmArray on the other side: a spawned process sees the same bytes and cannot change them."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.unit.heavy.helpers import SHM, facts_of
from theus.errors import HeavyGoneError, HeavyReadOnlyError
from theus.heavy import HeavyZoneWrapper, ShmArray, attach_array
from theus.heavy.window import cache_stats, forget, forget_gone

DTYPES = [
    *("bool", "i1", "u8", "f2", "f8", "c16", ">i4", ">f8", "M8[ns]", "m8[s]", "S7", "U3", "V5"),
    [("x", "i4"), ("y", ">f8"), ("z", "u1", (2, 3))],
    {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [3, 16], "itemsize": 40},
]


def seen(array):
    """Child: what an array looks like there."""
    return facts_of(array)


def doubled(array):
    return array * 2


def back(array):
    return array[::2]


def write(array):
    array[0] = 1


def make_writable(array):
    array.flags.writeable = True


def add_in_place(array):
    np.add(array, 1, out=array)


def unlink(array):
    array.shm.unlink()


def read_cell(array, index):
    return float(array[index])


def wrapped_sum(heavy, key):
    return float(heavy[key].sum())


def set_through(descriptor, index, value):
    HeavyZoneWrapper({"x": descriptor})["x"][index] = value


def counts():
    return cache_stats()


def drop(names):
    return forget(names)


def drop_gone():
    return forget_gone()


def check(echo, array):
    got = echo.call(seen, array)
    want = facts_of(array)
    assert (got["dtype"], got["shape"], got["bytes"]) == (
        want["dtype"],
        want["shape"],
        want["bytes"],
    )
    return got


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 4)], ids=str)
def test_every_kind_of_array_arrives(zone, echo, dtype, shape):
    kind = np.dtype(dtype)
    count = int(np.prod(shape)) * kind.itemsize
    source = np.frombuffer(bytes(i % 2 for i in range(count)), kind).reshape(shape)
    got = check(echo, zone.put("x", source))
    assert got["type"] == "ShmArray"
    assert not got["writeable"] or source.size == 0


@st.composite
def views(draw):
    """A dtype, a shape and the steps that lead to a view."""
    kind = draw(
        (hnp.scalar_dtypes() | hnp.array_dtypes(min_size=1, max_size=3)).filter(
            lambda dtype: dtype.itemsize > 0 and "0" not in _lengths(dtype)
        )
    )
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=5))
    index = draw(hnp.basic_indices(shape, allow_newaxis=True))
    return kind, shape, index, draw(st.booleans())


def _lengths(dtype):
    parts = [dtype] if dtype.names is None else [dtype[name] for name in dtype.names]
    return {str(part.base.itemsize) for part in parts}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(view=views(), random=st.binary(min_size=16, max_size=16))
def test_any_view_of_any_type_arrives(zone, echo, view, random):
    kind, shape, index, transpose = view
    array = zone.alloc("x", shape, kind)
    raw = np.asarray(array).reshape(-1).view("u1") if array.size else np.empty(0, "u1")
    raw[:] = np.resize(np.frombuffer(random, "u1") & 1, raw.shape)
    part = array[index]
    if isinstance(part, ShmArray):
        check(echo, part.T if transpose else part)


def test_a_result_comes_back_as_itself(zone, echo):
    array = zone.put("x", np.arange(10.0))
    result = echo.call(doubled, array)
    assert result.tolist() == (np.arange(10.0) * 2).tolist()
    assert result.flags.writeable


def test_a_view_that_comes_back_is_the_owners_memory(zone, echo):
    array = zone.put("x", np.arange(10.0))
    view = echo.call(back, array)
    assert np.shares_memory(view, array)
    assert not view.flags.writeable


def test_what_the_owner_writes_is_seen_at_once(zone, echo):
    array = zone.alloc("x", 4)
    assert echo.call(read_cell, array, 2) == 0
    array[2] = 42
    assert echo.call(read_cell, array, 2) == 42


@pytest.mark.parametrize("attempt", [write, make_writable, add_in_place])
def test_a_borrower_cannot_write(zone, echo, attempt):
    array = zone.alloc("x", 4)
    with pytest.raises(ValueError) as caught:
        echo.call(attempt, array)
    if attempt is write:
        assert isinstance(caught.value, HeavyReadOnlyError)
        assert "copy()" in str(caught.value)
    assert array.tolist() == [0] * 4


def test_a_borrower_cannot_unlink(zone, echo):
    array = zone.alloc("x", 4)
    with pytest.raises(PermissionError, match="owner"):
        echo.call(unlink, array)
    assert (SHM / array.shm.name).exists()


def test_a_wrapper_of_its_own_writes_through(zone, echo):
    array = zone.alloc("x", 4)
    echo.call(set_through, zone.descriptor("x"), 1, 8.5)
    assert array[1] == 8.5


def test_a_context_travels_as_descriptors(zone, echo):
    zone.put("x", np.ones(1_000_000))
    heavy = HeavyZoneWrapper({"x": zone.descriptor("x"), "n": 3}, readonly=True)
    assert len(pickle.dumps(heavy)) < 600
    assert echo.call(wrapped_sum, heavy, "x") == 1_000_000


def test_an_old_generation_is_gone_for_a_borrower_and_never_mistaken(zone, echo):
    old = zone.put("x", np.zeros(8))
    stale = zone.descriptor("x")
    zone.put("x", np.ones(8))
    assert old[0] == 0
    del old
    with pytest.raises(HeavyGoneError, match=r"'x' \(generation 1\) is gone"):
        echo.call(wrapped_sum, HeavyZoneWrapper({"x": stale}, readonly=True), "x")
    assert echo.call(read_cell, zone.get("x"), 0) == 1


def test_a_generation_that_was_replaced_can_be_sent_while_it_is_held(zone, echo):
    old = zone.put("x", np.zeros(8))
    zone.put("x", np.ones(8))
    assert echo.call(read_cell, old, 0) == 0


def test_a_segment_is_mapped_once_and_let_go_when_it_was_freed(zone, echo):
    echo.call(drop_gone)
    before = echo.call(counts)
    array = zone.alloc("cached", 100_000)
    for index in range(5):
        echo.call(read_cell, array[index:], 0)
    after = echo.call(counts)
    assert after.entries == before.entries + 1
    assert (after.misses, after.hits) == (before.misses + 1, before.hits + 4)
    zone.free("cached")
    assert echo.call(drop_gone) == 1
    assert echo.call(counts).bytes == before.bytes


def test_a_worker_forgets_by_name(zone, echo):
    array = zone.alloc("x", 4)
    echo.call(read_cell, array, 0)
    name = array.shm.name
    assert echo.call(drop, [name, "theus:0123456789abcdef:1:never"]) == 1
    assert echo.call(drop, [name]) == 0


def test_short_names_carry_their_key(zone, echo):
    array = zone.put("dữ liệu/1", np.arange(3.0))
    stale = zone.descriptor("dữ liệu/1")
    assert echo.call(read_cell, array, 2) == 2
    echo.call(drop, [stale.name])
    zone.free("dữ liệu/1")
    with pytest.raises(HeavyGoneError, match="heavy array 'dữ liệu/1' is gone"):
        echo.call(read_cell, array, 2)
    with pytest.raises(HeavyGoneError, match="heavy array 'dữ liệu/1' is gone"):
        echo.call(wrapped_sum, HeavyZoneWrapper({"x": stale}, readonly=True), "x")


def test_attached_twice_is_the_same_memory(zone):
    array = zone.put("x", np.arange(4.0))
    first, second = (attach_array(zone.descriptor("x")) for _ in range(2))
    array[0] = 9
    assert first[0] == second[0] == 9
    del array, first, second
    gc.collect()
    assert zone.get("x")[0] == 9
