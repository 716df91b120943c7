"""The attach cache: bounded, least recently used first out, never closing what is in use."""

from __future__ import annotations

import secrets
import threading

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from theus.errors import HeavyGoneError
from theus.heavy.segment import Segment
from theus.heavy.window import AttachCache, held, window_of


@pytest.fixture
def names(zone):
    for index in range(6):
        zone.put(f"k{index}", np.full(512, index, "f8"))
    return [zone.descriptor(f"k{index}").name for index in range(6)]


def first_value(pinned):
    return pinned.view("f8")[0]


def test_a_hit_is_the_same_window(names):
    cache = AttachCache()
    first = cache.attach(names[3], 1)
    again = cache.attach(names[3], 1)
    assert again is first
    assert again.window is first.window
    assert first_value(first) == 3
    assert (cache.stats().hits, cache.stats().misses) == (1, 1)


def test_read_only_and_writable_windows_are_kept_apart(names):
    cache = AttachCache()
    reading = cache.attach(names[0], 1)
    writing = cache.attach(names[0], 1, readonly=False)
    assert reading is not writing
    writing.view("f8")[1] = 5
    assert reading.view("f8")[1] == 5
    assert not reading.flags.writeable


def test_above_the_count_the_least_recently_used_goes(names):
    cache = AttachCache(max_entries=3)
    windows = [cache.attach(name, 1).window for name in names[:3]]
    cache.attach(names[0], 1)
    cache.attach(names[3], 1)
    assert [window.segment.buf is None for window in windows] == [False, True, False]
    assert cache.stats().entries == 3
    assert cache.stats().closed == 1


def test_above_the_bytes_too(names):
    cache = AttachCache(max_bytes=2 * 4096)
    for name in names:
        cache.attach(name, 1)
    assert cache.stats().bytes == 2 * 4096


def test_what_is_in_use_is_never_closed(names):
    cache = AttachCache(max_entries=1)
    pinned = [cache.attach(name, 1) for name in names]
    assert [first_value(one) for one in pinned] == [0, 1, 2, 3, 4, 5]
    assert cache.stats().entries == 6
    del pinned
    cache.attach(names[0], 1)
    assert cache.forget(names[1:]) == 5
    assert cache.stats().entries == 1


def test_a_view_of_a_view_counts_as_use(names):
    cache = AttachCache(max_entries=1)
    view = memoryview(np.asarray(cache.attach(names[2], 1))[8:16])
    cache.attach(names[3], 1)
    assert np.frombuffer(view, "f8")[0] == 2


def test_freed_segments_are_let_go_at_the_next_miss(zone, names):
    cache = AttachCache()
    cache.attach(names[0], 1)
    zone.free("k0")
    cache.attach(names[1], 1)
    assert cache.stats().entries == 1
    with pytest.raises(HeavyGoneError):
        cache.attach(names[0], 1)


def test_a_freed_segment_in_use_stays_readable(zone, names):
    cache = AttachCache()
    pinned = cache.attach(names[5], 1)
    zone.free("k5")
    assert cache.forget_gone() == 0
    assert first_value(pinned) == 5
    del pinned
    assert cache.forget_gone() == 1


def test_a_window_that_its_user_closed_is_mapped_again(names):
    cache = AttachCache()
    cache.attach(names[1], 1).window.segment.close()
    assert first_value(cache.attach(names[1], 1)) == 1
    assert cache.stats().bytes == 4096


def test_the_owner_gets_its_own_window(zone, names):
    own = held(names[2])
    assert own is not None
    assert own.segment is zone.get("k2").shm
    assert held("theus:0123456789abcdef:1:nobody") is None


VIEWS = {
    "itself": lambda a: a,
    "view": lambda a: a[3:9],
    "view of a view": lambda a: np.asarray(a)[3:].reshape(-1)[1:].T,
    "through a memoryview": lambda a: np.asarray(memoryview(a))[2:],
    "through the array interface": lambda a: as_strided(a, (2, 2), (8, 8)),
    "broadcast": lambda a: np.broadcast_to(a[:2], (3, 2)),
}
OTHERS = {
    "copy": lambda a: a.copy(),
    "view of a copy": lambda a: np.array(a)[1:],
    "fancy index": lambda a: a[[1, 2]],
    "same type": lambda a: a.astype(a.dtype),
    "result": lambda a: np.add(a, 1),
    "own data": lambda a: np.zeros(3),
    "other memory": lambda a: np.frombuffer(bytes(16), "u1"),
}


@pytest.mark.parametrize("case", VIEWS)
def test_every_view_knows_its_window(zone, names, case):
    assert window_of(VIEWS[case](zone.get("k1"))) is held(names[1])


def test_views_of_the_bytes_themselves_know_it_too(names):
    pinned = AttachCache().attach(names[1], 1)
    assert window_of(np.asarray(pinned[8:])[8:].view("f8")) is pinned.window


@pytest.mark.parametrize("case", OTHERS)
def test_nothing_else_has_one(zone, names, case):
    assert window_of(OTHERS[case](zone.get("k1"))) is None


def test_names_that_can_come_back_are_mapped_anew():
    cache, name = AttachCache(), f"theus_test_comes_back_{secrets.token_hex(4)}"
    for value in (1, 2):
        segment = Segment(name, 8)
        segment.buf[0] = value
        pinned = cache.attach(segment.name, 1)
        assert pinned[0] == value
        segment.unlink()
    assert cache.stats().entries == 0


def test_many_threads_share_a_small_cache(names):
    cache = AttachCache(max_entries=2)
    wrong = []

    def work(seed):
        for step in range(200):
            index = (seed + step) % 6
            pinned = cache.attach(names[index], 1)
            if first_value(pinned) != index or pinned.window.segment.name != names[index]:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    cache.forget_gone()
    cache.attach(names[0], 1)
    assert cache.stats().entries <= 2 + 6
