"""Shared memory and workers: hand-over of arrays, small tasks, deaths.

Numbers are the bars of the heavy zone; each figure is a ratio within one race, or a time in the
unit printed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.harness import calls, once, race
from benchmarks.table import EXTRA, Bound, goal
from theus.heavy import HeavyZoneAllocator, scan_zombies
from theus.parallel import ParallelContext, Parcel, ProcessPool

ITEMS = (64 << 20) // 8
TINY = 10_000
ROUNDS = 15


def total(array: Any) -> float:
    """The sum of an array."""
    return float(array.sum())


def double(ctx: ParallelContext, array: Any) -> Any:
    """Twice an array, written where the caller reads it."""
    made = ctx.heavy.out("made", array.shape, array.dtype)
    np.multiply(array, 2, out=made)
    return made


def nothing(value: int) -> int:
    """The smallest task."""
    return value


def own_memory_growth(array: Any) -> int:
    """Bytes of private memory that reading an array takes."""
    before = private()
    array.sum()
    return private() - before


def private() -> int:
    """Private memory of this process that was written to, in bytes."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise OSError("no Private_Dirty in smaps_rollup")


@cache
def array() -> Any:
    """64 MB of private memory."""
    return np.ones(ITEMS)


@contextmanager
def workers(size: int = 1) -> Iterator[tuple[ProcessPool, HeavyZoneAllocator]]:
    """A warm pool and its memory."""
    with (
        HeavyZoneAllocator(capacity_bytes=1 << 30) as zone,
        ProcessPool(size, heap=lambda: zone) as pool,
    ):
        pool.start(wait=True)
        yield pool, zone


@contextmanager
def executor(size: int = 1) -> Iterator[ProcessPoolExecutor]:
    """The standard executor, warm."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(size, mp_context=context) as made:
        list(made.map(nothing, range(8)))
        yield made


def sealed(zone: HeavyZoneAllocator, source: Any) -> Any:
    """A version in shared memory."""
    lease = zone.lease(source.shape, source.dtype)
    np.copyto(lease.array, source)
    return lease.seal()


@goal(
    EXTRA + 11,
    "64 MB handed to a warm worker and summed, against",
    Bound("1.5", 1.8, 2.5, "the sum in the caller; it lies in shared memory"),
    Bound("68", 50, 25, "pickling it through ProcessPoolExecutor", at_most=False),
    Bound("1.3", 1.5, 2.2, "copy and sum in the caller; it lies in private memory"),
)
def hand_over() -> tuple[float, ...]:
    """The same array by all ways in turns."""
    source, target = array(), np.empty(ITEMS)
    with workers() as (pool, zone), executor() as other:
        resident = sealed(zone, source)
        cases: dict[str, Callable[[], object]] = {
            "sum": lambda: source.sum(),
            "copy": lambda: (np.copyto(target, source), target.sum()),
            "resident": lambda: pool.submit(total, resident).result(),
            "private": lambda: pool.submit(total, source).result(),
            "pickled": lambda: other.submit(total, source).result(),
        }
        best = race({name: once(case) for name, case in cases.items()}, ROUNDS)
    return (
        best["resident"] / best["sum"],
        best["pickled"] / best["resident"],
        best["private"] / best["copy"],
    )


@goal(
    EXTRA + 12,
    "64 MB computed by a worker into leased memory, against np.multiply(out=) in the caller",
    Bound("1.2", 1.5, 2.2),
)
def leased_result() -> float:
    """A worker writes what the caller reads."""
    source, target = array(), np.empty(ITEMS)
    with workers() as (pool, zone):
        parcel = Parcel(double, (sealed(zone, source),), context=ParallelContext(writes=True))
        best = race(
            {
                "here": once(lambda: np.multiply(source, 2, out=target)),
                "worker": once(lambda: pool.submit(parcel).result().value),
            },
            ROUNDS,
        )
    return best["worker"] / best["here"]


@goal(
    EXTRA + 13,
    "a task that does nothing, against that of ProcessPoolExecutor",
    Bound("0.2", 1 / 3, 0.8),
)
def empty_task() -> float:
    """One after the other, each awaited."""
    with workers(2) as (pool, _), executor(2) as other:
        best = race(
            {
                "ours": calls(lambda: pool.submit(nothing, 1).result(), 20),
                "theirs": calls(lambda: other.submit(nothing, 1).result(), 20),
            },
            100,
        )
    return best["ours"] / best["theirs"]


@goal(
    EXTRA + 14,
    "10,000 tiny tasks, against submits to ProcessPoolExecutor",
    Bound("465", 100, 50, "in groups (map)", at_most=False),
    Bound("4.9", 2.5, 1.5, "one by one (submit)", at_most=False),
    Bound("", None, None, "multiprocessing.Pool.map in chunks of 128, the same", at_most=False),
)
def tiny_tasks() -> tuple[float, ...]:
    """All of them, until the last answer is there."""
    context = multiprocessing.get_context("spawn")
    with workers(2) as (pool, _), executor(2) as other, context.Pool(2) as third:
        submit, theirs = pool.submit, other.submit
        cases: dict[str, Callable[[], object]] = {
            "map": lambda: sum(pool.map(nothing, range(TINY))),
            "submit": lambda: [one.result() for one in [submit(nothing, i) for i in range(TINY)]],
            "theirs": lambda: [one.result() for one in [theirs(nothing, i) for i in range(TINY)]],
            "third": lambda: third.map(nothing, range(TINY), chunksize=128),
        }
        best = race({name: once(case) for name, case in cases.items()}, ROUNDS)
    theirs_best = best["theirs"]
    return theirs_best / best["map"], theirs_best / best["submit"], theirs_best / best["third"]


@goal(
    EXTRA + 15,
    "arenas: 64 KB taken and given back; against a shared_memory segment of that size",
    Bound("3.4", 5, 10, "time", unit="us"),
    Bound("", None, None, "ratio"),
)
def arena() -> tuple[float, ...]:
    """Warm memory, untouched."""
    from multiprocessing.shared_memory import SharedMemory

    def standard() -> None:
        made = SharedMemory(create=True, size=1 << 16)
        made.close()
        made.unlink()

    with HeavyZoneAllocator() as zone:
        zone.block(1 << 16)
        best = race(
            {
                "arena": calls(lambda: zone.block(1 << 16).release(), 200),
                "standard": calls(standard, 5),
            },
            100,
        )
    return best["arena"] * 1e6, best["arena"] / best["standard"]


@goal(EXTRA + 16, "private memory that a worker needs to read 512 MB", Bound("", 1, 2, unit="MB"))
def reading() -> float:
    """One reading before, so that what is loaded once does not count."""
    with workers() as (pool, zone):
        large = zone.lease(64 << 20)
        large.array[:] = 1
        version = large.seal()
        pool.submit(own_memory_growth, version).result()
        return float(pool.submit(own_memory_growth, version).result()) / (1 << 20)


@goal(
    EXTRA + 17,
    "from SIGKILL of the only busy worker to the next result, with a warm spare",
    Bound("6", 30, 60, unit="ms"),
)
def death() -> float:
    """The best of several deaths."""
    found = []
    with workers() as (pool, _):
        for _ in range(7):
            pool.submit(nothing, 1).result()
            while len(pool.pids()) < 2:  # worker and spare
                pool.submit(nothing, 1).result()
            (pid,) = {pool.submit(os.getpid).result()}
            began = perf_counter()
            os.kill(pid, signal.SIGKILL)
            pool.submit(nothing, 1).result()
            found.append(perf_counter() - began)
    return min(found) * 1000


DEAD = """
import os, signal, sys
from theus.heavy import HeavyZoneAllocator, MemoryRegistry
zone = HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1]))
for number in range(1000):
    zone.alloc(str(number), 16)
os.kill(os.getpid(), signal.SIGKILL)
"""


@goal(EXTRA + 18, "scan of 1,000 dead segments", Bound("", 100, 200, unit="ms"))
def zombies() -> float:
    """They are removed; the best of several."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o700)
        for _ in range(3):
            subprocess.run([sys.executable, "-c", DEAD, directory], check=False)
            began = perf_counter()
            report = scan_zombies(directory)
            found.append(perf_counter() - began)
            if len(report.reclaimed) != 1000:
                raise AssertionError(report)
    return min(found) * 1000
