"""Goals 7 to 12: what a commit costs, at any size, depth, number of keys and of noted reads."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Any

from benchmarks.harness import Turn, calls, race, ratio, repeated
from benchmarks.states import WRITE_PATHS, commit_key, engine_of, entries, read_key, store_of
from benchmarks.table import Bound, goal
from theus._core.transaction import Transaction

SMALL, LARGE = 10, 1_000_000
READS = 100
COLD = 500
"""Cold keys in one turn."""
COLD_ROUNDS = 200


def _sizes(action: Callable[[Any, int], object]) -> float:
    """What an action on an engine costs at 1,000,000 keys against 10 keys."""
    values = count(10_000)
    small, large = engine_of(SMALL), engine_of(LARGE)
    return ratio(
        calls(lambda: action(large, next(values))), calls(lambda: action(small, next(values)))
    )


@goal(
    7,
    "one hot key at 1,000,000 keys / at 10 keys",
    *(Bound("1.07", 1.5, 2.0, f"commit, {name}") for name in WRITE_PATHS),
    Bound("1.0", 1.5, 2.0, "read in a process"),
    Bound("1.0", 1.5, 2.0, "read of engine.state"),
)
def sizes() -> tuple[float, ...]:
    """Each way to write one key, and two ways to read one."""
    reads = (lambda engine, _: read_key(engine), lambda engine, _: engine.state.domain["k3"])
    return tuple(_sizes(action) for action in (*WRITE_PATHS.values(), *reads))


@goal(
    8,
    "cold keys of 1,000,000 / cold dict set",
    Bound("1.0-1.2", 2.0, 3.0, "begin + commit of one key"),
    Bound("", None, None, "100 keys in one commit, per key"),
    Bound("", None, None, "the dict set itself", unit="ns"),
)
def cold_keys() -> tuple[float, float, float]:
    """Every key is used once, and drawn long before, so that no side finds it in the cache."""
    flat = entries(LARGE)
    store = store_of(flat)
    keys = list(flat)
    random.Random(7).shuffle(keys)
    fresh = iter(keys)

    over = Transaction.over

    def one_by_one(chosen: list[str]) -> None:
        for key in chosen:
            tx = over(store)
            tx.domain[key] = 1
            tx.commit()

    def by_hundreds(chosen: list[str]) -> None:
        for first in range(0, COLD, 100):
            tx = over(store)
            domain = tx.domain
            for key in chosen[first : first + 100]:
                domain[key] = 1
            tx.commit()

    def of_dict(chosen: list[str]) -> None:
        for key in chosen:
            flat[key] = 1

    def turn(work: Callable[[list[str]], None]) -> Turn:
        chunks = [[next(fresh) for _ in range(COLD)] for _ in range(COLD_ROUNDS)]

        def run() -> float:
            chosen = chunks.pop()
            start = perf_counter()
            work(chosen)
            return (perf_counter() - start) / COLD

        return run

    works = {"dict": of_dict, "one": one_by_one, "hundred": by_hundreds}
    best = race({name: turn(work) for name, work in works.items()}, COLD_ROUNDS)
    return best["one"] / best["dict"], best["hundred"] / best["dict"], best["dict"] * 1e9


@goal(
    9,
    "begin + commit of one key with delta record and meta entry",
    Bound("7", 35.0, 60.0, "/ dict set"),
    Bound("0.12", None, None, "time", unit="us"),
)
def one_commit() -> tuple[float, float]:
    """The bare transaction: opened, one key written, committed; then an entry in the meta log."""
    store, flat = store_of(entries(10)), entries(10)
    commit = "tx = over(store); tx.domain['k3'] = store.ver; tx.commit(); log('k', 'm')"
    names = {"over": Transaction.over, "store": store, "log": store.meta.append}
    best = race(
        {
            "commit": repeated(commit, names, loops=5),
            "dict": repeated("d['k3'] = 2", {"d": flat}),
        }
    )
    assert len(store.history) == store.history.capacity
    return best["commit"] / best["dict"], best["commit"] * 1e6


@goal(10, "commit at depth 5, width 1000 / width 10", Bound("1.03", 1.3, 2.0))
def deep() -> float:
    """Each of the five mappings on the way is that wide."""

    def commits(width: int) -> Turn:
        inner: dict[str, Any] = entries(width)
        for _ in range(4):
            inner = {**entries(width - 1), "down": inner}
        store = store_of(inner)

        def commit() -> None:
            tx = Transaction.over(store)
            tx.domain["down"]["down"]["down"]["down"]["k3"] = store.ver
            tx.commit()

        return calls(commit)

    return ratio(commits(1000), commits(10))


@goal(11, "commit of 100 hot keys, per key / of one key", Bound("0.31", 0.5, 0.8))
def many_keys() -> float:
    """One transaction that writes 100 keys, per key, against one that writes one."""
    store = store_of(entries(100))
    keys = list(entries(100))

    def hundred() -> None:
        tx, value = Transaction.over(store), store.ver
        domain = tx.domain
        for key in keys:
            domain[key] = value
        tx.commit()

    one = calls(lambda: commit_key(store, "k3", store.ver))
    best = race({"one": one, "hundred": calls(hundred, 10)})
    return best["hundred"] / 100 / best["one"]


@goal(
    12,
    f"what {READS} noted reads add to commit() / {READS} dict reads",
    Bound("0.4", 3.0, 6.0, "container untouched since"),
    Bound("0.9-1.8", 3.0, 6.0, "container touched since"),
)
def noted_reads() -> tuple[float, float]:
    """Only commit() is timed, of 40 transactions that write different keys elsewhere."""
    store = store_of({"read": entries(READS + 1), "written": entries(40)})
    keys = list(entries(READS))

    def open_one(number: int, reads: bool) -> Transaction:
        tx = Transaction.over(store)
        if reads:
            container = tx.domain["read"]
            for key in keys:
                container[key]
        tx.domain["written"][f"k{number}"] = store.ver
        return tx

    def turn(reads: bool, touch: bool) -> Turn:
        def run() -> float:
            waiting = [open_one(number, reads) for number in range(40)]
            if touch:
                other = Transaction.over(store)
                other.domain["read"][f"k{READS}"] = store.ver
                other.commit()
            start = perf_counter()
            for tx in waiting:
                tx.commit()
            return (perf_counter() - start) / 40

        return run

    best = race(
        {
            "dict": repeated("d['k3']", {"d": entries(READS)}),
            **{
                (reads, touch): turn(reads, touch)
                for reads in (True, False)
                for touch in (True, False)
            },
        }
    )
    reference = READS * best["dict"]
    return (
        (best[True, False] - best[False, False]) / reference,
        (best[True, True] - best[False, True]) / reference,
    )
