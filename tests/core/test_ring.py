"""The bounded log: what it keeps, in which order, under threads and under the collector."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus._core.ring import LARGEST, Ring
from theus.errors import SettingsError


def contents(ring, since=0):
    return [(number, key, message) for number, _, key, message in ring.entries(since)]


def test_entries_come_oldest_first_with_numbers_from_one():
    ring = Ring(10)
    ring.append("a", 1)
    ring.append("b", 2)
    assert contents(ring) == [(1, "a", 1), (2, "b", 2)]
    assert (len(ring), ring.sequence, ring.dropped, ring.capacity) == (2, 2, 0, 10)


def test_a_full_ring_replaces_its_oldest_entry():
    ring = Ring(3)
    for number in range(5):
        ring.append("k", number)
    assert contents(ring) == [(3, "k", 2), (4, "k", 3), (5, "k", 4)]
    assert (len(ring), ring.dropped) == (3, 2)


def test_times_are_those_of_the_clock():
    ring = Ring(2)
    before = time.time()
    ring.append("k", "m")
    [(_, stamp, _, _)] = ring.entries()
    assert before - 1e-6 <= stamp <= time.time() + 1e-6


@given(
    capacity=st.integers(1, 9),
    steps=st.lists(st.one_of(st.integers(0, 99), st.none()), max_size=60),
    since=st.integers(-2, 70),
)
def test_it_equals_a_list_of_which_the_end_is_kept(capacity, steps, since):
    ring = Ring(capacity)
    reference = deque(maxlen=capacity)
    added = 0
    for step in steps:
        if step is None:
            assert contents(ring) == list(reference)
        else:
            added += 1
            ring.append(f"key {step}", step)
            reference.append((added, f"key {step}", step))
        assert len(ring) == len(reference)
        assert ring.sequence == added
        assert ring.dropped == added - len(reference)
    assert contents(ring, since) == [entry for entry in reference if entry[0] > since]


@pytest.mark.parametrize("capacity", [0, -1, 1.5, "3", None, True, LARGEST + 1])
def test_a_capacity_that_makes_no_sense_is_refused(capacity):
    with pytest.raises(SettingsError, match="capacity") as caught:
        Ring(capacity)
    assert caught.value.value == capacity


def test_the_log_cannot_be_cleared_or_changed():
    names = {name for name in dir(Ring) if not name.startswith("_")}
    assert names == {"append", "capacity", "dropped", "entries", "sequence"}
    ring = Ring(2)
    for name in ("sequence", "capacity", "dropped"):
        with pytest.raises(AttributeError):
            setattr(ring, name, 0)


def test_what_entries_gives_does_not_reach_the_ring():
    ring = Ring(2)
    ring.append("a", 1)
    ring.entries().clear()
    assert contents(ring) == [(1, "a", 1)]


def test_iterating_shows_what_was_there_at_the_start():
    ring = Ring(4)
    ring.append("a", 1)
    seen = []
    for entry in ring:
        ring.append("b", 2)
        seen.append(entry[2])
    assert seen == ["a"]


class Thing:
    """Can be referred to weakly, and can do something with its ring when it goes."""

    def __init__(self, ring=None, last_words=None):
        self.ring = ring
        self.last_words = last_words

    def __del__(self):
        if self.last_words is not None:
            self.last_words(self.ring)


def test_replaced_entries_are_released_and_kept_ones_are_not():
    ring = Ring(2)
    things = [Thing() for _ in range(4)]
    watched = [weakref.ref(thing) for thing in things]
    for thing in things:
        ring.append(thing, thing)
    del thing
    things.clear()
    assert [watch() is None for watch in watched] == [True, True, False, False]
    del ring
    assert all(watch() is None for watch in watched)


def test_a_destructor_may_append_to_the_ring_that_releases_it():
    ring = Ring(2)
    ring.append(Thing(ring, lambda ring: ring.append("last", "words")), "x")
    ring.append("second", 2)
    ring.append("third", 3)
    assert contents(ring) == [(3, "third", 3), (4, "last", "words")]


def test_a_cycle_through_a_ring_is_collected():
    gc.collect()
    ring = Ring(3)
    thing = Thing(ring)
    ring.append("k", thing)
    watched = weakref.ref(thing)
    del thing, ring
    gc.collect()
    assert watched() is None


def test_a_destructor_in_a_collected_cycle_still_finds_a_whole_ring():
    gc.collect()
    seen = []

    def look(ring):
        ring.append("late", 0)
        seen.append([key for _, _, key, _ in ring.entries()])

    ring = Ring(3)
    thing = Thing(ring, look)
    ring.append("early", thing)
    ring.append("own", ring)
    del thing, ring
    gc.collect()
    assert seen == [["early", "own", "late"]]


def test_threads_lose_no_entry_and_tear_none():
    writers, each = 8, 2000
    ring = Ring(500)
    torn = []
    done = threading.Event()

    def write(writer):
        for number in range(each):
            ring.append((writer, number), (writer, number))

    def read():
        while not done.is_set():
            entries = ring.entries()
            numbers = [number for number, *_ in entries]
            if numbers != list(range(numbers[0], numbers[0] + len(numbers)) if numbers else []):
                torn.append(numbers)
            torn.extend(entry for entry in entries if entry[2] != entry[3])

    reader = threading.Thread(target=read)
    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in [reader, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert not torn
    assert ring.sequence == writers * each
    assert ring.dropped == writers * each - 500
    last = {}
    for _, _, (writer, number), _ in ring.entries():
        assert number > last.get(writer, -1)
        last[writer] = number


def test_repr_says_how_full_it_is():
    ring = Ring(2)
    for _ in range(3):
        ring.append("k", "m")
    assert repr(ring) == "<Ring 2 of 2, 1 dropped>"
