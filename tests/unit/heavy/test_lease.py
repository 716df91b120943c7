"""Leases and the arenas they come from: written once, read by everybody, given back by itself."""

from __future__ import annotations

import gc
import os
import pickle
import threading
import weakref

import numpy as np
import pytest

from tests.unit.heavy.helpers import names_of
from tests.unit.heavy.test_processes import read_cell, wrapped_sum
from theus.errors import (
    HeavyGoneError,
    HeavyReadOnlyError,
    HeavyZoneError,
    HeavyZoneFullError,
    StaleHeavyError,
)
from theus.heavy import (
    BufferDescriptor,
    HeavyZoneAllocator,
    HeavyZoneWrapper,
    MemoryRegistry,
    attach_array,
)
from theus.heavy.carrying import carrying
from theus.heavy.lease import lease_of

MB = 1 << 20


def filled(zone, values, key="x"):
    source = np.asarray(values)
    lease = zone.lease(source.shape, source.dtype, key=key)
    lease.array[...] = source
    return lease.seal()


def sent(array):
    """The pickle of an array that somebody holds until it was read."""
    with carrying() as held:
        data = pickle.dumps(array)
    return data, held


def test_what_was_written_is_what_everybody_reads(zone, echo):
    lease = zone.lease((3, 4), "i4", key="grid")
    lease.array[:] = np.arange(12).reshape(3, 4)
    sealed = lease.seal()
    assert sealed.tolist() == np.arange(12).reshape(3, 4).tolist()
    assert not sealed.flags.writeable
    data, _ = sent(sealed[1:, ::2])
    assert len(data) < 400
    assert pickle.loads(data).tolist() == [[4, 6], [8, 10]]
    with carrying():
        assert echo.call(read_cell, sealed[1], 2) == 6


def test_the_sealed_array_cannot_be_made_writable(zone):
    sealed = filled(zone, [1.0, 2.0])
    with pytest.raises(ValueError, match="WRITEABLE"):
        sealed.flags.writeable = True
    with pytest.raises(HeavyReadOnlyError, match="'x' is read-only"):
        sealed[0] = 5


def test_the_array_that_was_given_out_is_read_only_afterwards(zone):
    lease = zone.lease(4, "i8", key="x")
    mine = lease.array
    mine[:] = 1
    sealed = lease.seal()
    with pytest.raises(HeavyReadOnlyError):
        mine[0] = 9
    with pytest.raises(HeavyReadOnlyError, match="has ended"):
        _ = lease.array
    assert sealed.tolist() == [1, 1, 1, 1]
    assert mine.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[1:],
        np.asarray,
        memoryview,
        lambda array: array.reshape(2, 2).T,
        lambda array: np.asarray(array[::2])[:1],
    ],
)
def test_a_view_that_was_kept_writes_for_itself_only(zone, view):
    lease = zone.lease(4, "i8", key="x")
    lease.array[:] = 7
    kept = view(lease.array)
    sealed = lease.seal()
    np.asarray(kept)[...] = 9
    assert np.asarray(kept).ravel()[0] == 9
    assert sealed.tolist() == [7, 7, 7, 7]
    assert attach_array(sealed.descriptor()).tolist() == [7, 7, 7, 7]
    other = filled(zone, [1, 2, 3, 4])  # written through another mapping from now on
    assert other.tolist() == [1, 2, 3, 4]


def test_a_block_is_not_given_back_under_a_view_of_its_lease(zone):
    lease = zone.lease(4, "i8")
    lease.array[:] = 7
    kept = lease.array[:]
    del lease
    others = [filled(zone, [index] * 4) for index in range(50)]
    assert kept.tolist() == [7] * 4
    kept[:] = 8
    assert [other.tolist() for other in others] == [[index] * 4 for index in range(50)]


def test_memory_goes_back_when_the_last_view_is_gone_and_is_used_again(zone):
    first = filled(zone, np.ones(10_000))
    where = first.descriptor().offset
    tail = first[-1:]
    del first
    in_use = zone.stats().leased
    assert in_use == 81_920
    assert tail[0] == 1
    del tail
    assert zone.stats().leased == 0
    again = filled(zone, np.zeros(10_000))
    assert again.descriptor().offset == where
    assert zone.stats().chunks == 1


def test_ten_thousand_leases_take_no_more_memory_than_one(zone):
    for number in range(10_000):
        assert filled(zone, [number])[0] == number
    assert zone.stats().leases == 10_000
    assert zone.stats().chunks == 1
    assert zone.stats().leased == 0


def test_a_descriptor_that_outlived_its_array_is_told_so(zone, echo):
    old = filled(zone, [1, 2, 3])
    stale = old.descriptor()
    del old
    for readers in (attach_array, lambda one: echo.call(wrapped_sum, *wrapped(one))):
        with pytest.raises(StaleHeavyError, match="'x' is gone"):
            readers(stale)
    kept = filled(zone, [4, 5, 6])
    assert kept.descriptor().offset == stale.offset
    for readers in (attach_array, lambda one: echo.call(wrapped_sum, *wrapped(one))):
        with pytest.raises(StaleHeavyError):
            readers(stale)
    assert echo.call(wrapped_sum, *wrapped(kept.descriptor())) == 15


def wrapped(descriptor):
    return HeavyZoneWrapper({"x": descriptor}, readonly=True), "x"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"block": 4096 * 9}, (HeavyGoneError, ValueError)),
        ({"block": 0}, (HeavyGoneError, ValueError)),
        ({"block": 1}, (HeavyGoneError, ValueError)),
        ({"generation": 77}, StaleHeavyError),
        ({"offset": 2**20}, ValueError),
        ({"shape": (4096,)}, ValueError),
        ({"strides": (4096,)}, ValueError),
        ({"strides": (-8,)}, ValueError),
    ],
)
def test_a_false_descriptor_never_gives_foreign_bytes(zone, echo, change, error):
    mine = filled(zone, [1.0, 2.0, 3.0])
    other = filled(zone, np.full(4096, 9.0))
    false = BufferDescriptor.from_dict({**mine.descriptor().to_dict(), **change})
    with pytest.raises(error):
        attach_array(false)
    with pytest.raises(error):
        echo.call(wrapped_sum, *wrapped(false))
    assert other[0] == 9


def test_a_named_array_is_no_chunk(zone, echo):
    named = zone.put("named", np.full(4096, 5.0))
    false = BufferDescriptor.from_dict(
        {
            **named.descriptor().to_dict(),
            "block": 4096,
            "generation": 5,
            "offset": 4096,
            "shape": [1],
        }
    )
    with pytest.raises(HeavyGoneError, match="holds no block"):
        echo.call(wrapped_sum, *wrapped(false))


def test_a_version_cannot_be_attached_for_writing(zone):
    with pytest.raises(ValueError, match="nobody may write into it"):
        attach_array(filled(zone, [1]).descriptor(), readonly=False)


def test_where_nobody_vouches_for_it_an_array_is_pickled_as_data(zone):
    array = filled(zone, np.arange(100))
    data = pickle.dumps(array)
    assert len(data) > 800
    copy = pickle.loads(data)
    assert type(copy) is np.ndarray
    assert copy.tolist() == array.tolist()
    with carrying() as held:
        pickle.dumps(array[3:5])
    assert [one.tolist() for one in held] == [[3, 4]]


def test_empty_and_single_arrays(zone):
    for shape in [(0,), (0, 5), ()]:
        lease = zone.lease(shape, "f4")
        lease.array[...] = 3
        sealed = lease.seal()
        assert sealed.shape == shape
        assert not sealed.flags.writeable
        assert pickle.loads(sent(sealed)[0]).tolist() == sealed.tolist()


@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [((-1,), "f8", ValueError), (4, object, TypeError), ((2**40, 2**40), "f8", ValueError)],
)
def test_what_cannot_be_is_refused_before_anything_is_taken(zone, shape, dtype, error):
    with pytest.raises(error):
        zone.lease(shape, dtype)
    assert zone.stats().chunks == 0


def test_the_limit_counts_arenas_and_named_arrays_together(directory):
    registry = MemoryRegistry(directory=str(directory))
    with HeavyZoneAllocator(registry=registry, capacity_bytes=8 * MB) as zone:
        held = filled(zone, np.ones(3 * MB // 8))
        named = zone.alloc("named", 3 * MB // 8)
        with pytest.raises(HeavyZoneFullError, match="has no room for 'big'") as full:
            zone.lease(5 * MB // 8, key="big")
        assert ("(leases and versions)", 3 * MB) in full.value.holders
        with pytest.raises(HeavyZoneFullError):
            zone.alloc("big", 5 * MB // 8)
        del held
        zone.alloc("big", 5 * MB // 8)  # the empty chunk made room for it
        assert zone.stats().chunks == 0
        assert named[0] == 0


def test_a_lease_may_wait_for_room(directory):
    registry = MemoryRegistry(directory=str(directory))
    with HeavyZoneAllocator(registry=registry, capacity_bytes=2 * MB) as zone:
        held = [filled(zone, np.ones(MB // 8))]
        with pytest.raises(HeavyZoneFullError):
            zone.lease(3 * MB // 2 // 8, timeout=0.01)
        letting_go = threading.Timer(0.05, held.clear)
        letting_go.start()
        lease = zone.lease(3 * MB // 2 // 8, timeout=30)
        assert lease.array.size == 3 * MB // 2 // 8
        letting_go.join()


def test_what_only_a_cycle_holds_is_found_when_room_is_short(directory):
    registry = MemoryRegistry(directory=str(directory))
    with HeavyZoneAllocator(registry=registry, capacity_bytes=2 * MB) as zone:
        gc.disable()
        try:
            ring = [filled(zone, np.ones(MB // 8))]
            ring.append(ring)
            del ring
            zone.lease(3 * MB // 2 // 8)
        finally:
            gc.enable()


def test_trim_gives_back_what_is_only_kept(zone):
    kept = filled(zone, [1.0])
    big = filled(zone, np.ones(8 * MB // 8))
    assert zone.stats().chunks == 2
    assert zone.trim() == 0
    del big
    assert zone.trim() > 8 * MB
    assert zone.stats().chunks == 1
    assert len(names_of(zone.session)) == 1
    assert kept[0] == 1


def test_views_outlive_the_allocator(directory):
    registry = MemoryRegistry(directory=str(directory))
    zone = HeavyZoneAllocator(registry=registry)
    array = filled(zone, [1.0, 2.0])
    open_lease = zone.lease(2)
    mine = open_lease.array
    zone.cleanup()
    assert names_of(zone.session) == set()
    assert array.tolist() == [1, 2]
    mine[:] = 5
    watched = weakref.ref(array)
    del array, mine, open_lease
    gc.collect()
    assert watched() is None


def test_eight_threads_take_and_give(zone):
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        kept = []
        for number in range(300):
            value = seed * 1000 + number
            array = filled(zone, np.full(int(rng.integers(1, 5000)), value))
            kept.append((value, array))
            if len(kept) > 5:
                value, array = kept.pop(int(rng.integers(0, 5)))
                if not (array == value).all():
                    wrong.append(value)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    gc.collect()
    assert zone.stats().leased == 0


def test_a_forked_child_reads_and_does_not_take(zone):
    array = filled(zone, [3.0])
    child = os.fork()
    if child == 0:
        try:
            good = array[0] == 3
            try:
                zone.lease(1)
            except HeavyZoneError:
                os._exit(0 if good else 2)
            os._exit(3)
        finally:
            os._exit(4)
    assert os.waitpid(child, 0)[1] == 0
    assert names_of(zone.session)


def test_lease_of_tells_what_is_written_through_a_lease(zone):
    lease = zone.lease(4)
    assert lease_of(lease.array) is lease
    assert lease_of(lease.array[1:]) is lease
    assert lease_of(np.asarray(lease.array)) is lease
    assert lease_of(zone.alloc("named", 4)) is None
    assert lease_of(lease.sealed) is None
    assert lease_of([1]) is None
    assert "open" in repr(lease)
    lease.seal()
    assert "sealed" in repr(lease)
    assert lease.seal() is lease.sealed
