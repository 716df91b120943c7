"""Goals 13 to 16: what is kept, what is left behind, what letting go costs, and loading."""

from __future__ import annotations

import copy
import gc
import tracemalloc
from collections.abc import Callable
from time import thread_time

from benchmarks.harness import no_collector, once, ratio
from benchmarks.states import commit_key, entries, store_of, tree
from benchmarks.table import Bound, goal
from theus._core.store import Store
from theus._core.transaction import Transaction

KEPT = 20_000
NAMES = 100_000
PINNED = 300_000
WARM = 6_000
"""More commits than the log of deltas keeps: from then on its size stays."""


def _traced(work: Callable[[], None]) -> int:
    """Bytes that are there after `work` and were not before."""
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    work()
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@goal(
    13,
    "bytes per kept change",
    Bound("175-183", 300.0, 400.0, "undo record, a reader pins the old version", unit="B"),
    Bound("", None, None, "delta record, while the log fills", unit="B"),
)
def kept_change() -> tuple[float, float]:
    """Traced memory of commits of one key each, another key every time; values are shared."""
    tracemalloc.start()
    try:
        keys = list(entries(KEPT))
        store = store_of(entries(KEPT))
        log = _traced(lambda: [commit_key(store, key, 1) for key in keys[:4000]] and None)
        for key in keys[:WARM]:
            commit_key(store, key, 1)
        reader = Transaction.over(store)
        assert reader.domain["k1"] == 1
        undo = _traced(lambda: [commit_key(store, key, 2) for key in keys] and None)
        assert store.undo_records >= KEPT
        reader.rollback()
    finally:
        tracemalloc.stop()
    return undo / KEPT, log / 4000


def _come_and_go(store: Store, first: int, names: int) -> None:
    """Set and delete names that were never used before, with readers opening and ending."""
    reader = Transaction.over(store)
    for number in range(first, first + names):
        key = f"name{number}"
        commit_key(store, key, 1)
        tx = Transaction.over(store)
        del tx.domain[key]
        tx.commit()
        if number % 50 == 0:
            reader.rollback()
            reader = Transaction.over(store)
            len(reader.domain)
    reader.rollback()
    store.collect()


@goal(
    14, f"bytes left per name set and deleted ({NAMES:,} names)", Bound("0-0.6", 2.0, 8.0, unit="B")
)
def dead_names() -> float:
    """After a warm-up that fills the log of deltas and the free lists."""
    tracemalloc.start()
    try:
        store = store_of(entries(10))
        _come_and_go(store, 0, WARM)
        left = _traced(lambda: _come_and_go(store, WARM, NAMES))
    finally:
        tracemalloc.stop()
    return max(left, 0) / NAMES


@goal(
    15,
    f"a reader that pinned {PINNED:,} records goes",
    Bound("0.042", 0.1, 1.0, "its release", unit="ms"),
    Bound("0.35", 1.0, 5.0, "slowest commit after it", unit="ms"),
)
def release() -> tuple[float, float]:
    """Best of 5 times: the commits are timed until no record is left.

    Time of this thread on a processor: a worst case of many thousand commits would otherwise be
    the turn that the system gives to another program.
    """
    store = store_of(entries(PINNED))
    keys = list(entries(PINNED))
    releases, slowest = [], []
    for turn in range(1, 6):
        reader = Transaction.over(store)
        len(reader.domain)
        for key in keys:
            commit_key(store, key, -turn)
        assert store.undo_records >= PINNED
        with no_collector():
            start = thread_time()
            reader.rollback()
            releases.append(thread_time() - start)
            slowest.append(_slowest_commit(store))
    return min(releases) * 1e3, min(slowest) * 1e3


def _slowest_commit(store: Store) -> float:
    """Commit until the records are gone; seconds of the slowest."""
    worst, commits = 0.0, 0
    while store.undo_records > 1:
        start = thread_time()
        commit_key(store, "k3", commits)
        worst = max(worst, thread_time() - start)
        commits += 1
        assert commits <= PINNED, "the records do not go"
    return worst


@goal(16, "loading a tree of 2,000 x 10 / copy.deepcopy", Bound("0.11", 0.2, 0.4))
def loading() -> float:
    """A store made of nested plain data, against a deep copy of the same data."""
    data = {"domain": tree(2_000, 10), "global": {}}
    return ratio(once(lambda: Store(data)), once(lambda: copy.deepcopy(data)), 30)
