"""Goals 28 to 30: fairness under contention, and histories without anomalies. Mostly counted."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.table import Bound, goal
from tests.histories.checker import check
from tests.histories.layouts import LAYOUTS
from tests.histories.workload import Shape, one_history
from theus.contracts import process
from theus.engine import TheusEngine
from theus.errors import ConflictError

WORKERS = 32
WRITERS = 16
COUNTERS = 8
SUSPENSIONS = 30
SECONDS = 1.5
RUNS = 3
SEEDS = 40


@process(inputs=["domain.c0"], outputs=["domain.c0"])
async def increment(ctx: Any, attempts: list[int]) -> None:
    """Read, let others run, write."""
    attempts[-1] += 1
    value = ctx.domain["c0"]
    await asyncio.sleep(0)
    ctx.domain["c0"] = value + 1


@process(inputs=["domain.*"], outputs=["domain.*"])
async def increment_one(ctx: Any, key: str) -> None:
    """A short writer on one of the counters."""
    value = ctx.domain[key]
    await asyncio.sleep(0)
    ctx.domain[key] = value + 1


@process(inputs=["domain.*"], outputs=["domain.*"])
async def increment_all(ctx: Any, attempts: list[int]) -> None:
    """All counters, with many suspensions between reading and writing."""
    attempts[-1] += 1
    values = {f"c{number}": ctx.domain[f"c{number}"] for number in range(COUNTERS)}
    for _ in range(SUSPENSIONS):
        await asyncio.sleep(0)
    for key, value in values.items():
        ctx.domain[key] = value + 1


def _engine() -> TheusEngine:
    counters = {f"c{number}": 0 for number in range(COUNTERS)}
    engine = TheusEngine({"domain": counters, "global": {}})
    for each in (increment, increment_one, increment_all):
        engine.register(each)
    return engine


async def _workers(engine: TheusEngine) -> list[list[int]]:
    """Attempts of every call, for each worker."""
    end = perf_counter() + SECONDS

    async def work() -> list[int]:
        attempts: list[int] = []
        while perf_counter() < end:
            attempts.append(0)
            await engine.execute(increment, attempts)
        return attempts

    return await asyncio.gather(*(work() for _ in range(WORKERS)))


@goal(
    28,
    f"{WORKERS} workers on one counter",
    Bound("6", 7, 7, "most attempts of a call", unit=""),
    Bound("0.99", 0.9, 0.8, "Jain index of their commits", at_most=False, unit=""),
    Bound("", None, None, "commits per second", unit=""),
)
def one_counter() -> tuple[float, float, float]:
    """One suspension between read and write; no increment may be lost.

    The index is the median of the runs: in a short run it depends on who happens to start a
    streak, so each takes a while.
    """
    most, fairness, commits = 0, [], 0
    for _ in range(RUNS):
        engine = _engine()
        attempts = asyncio.run(_workers(engine))
        counts = [len(each) for each in attempts]
        assert engine.state.domain["c0"] == sum(counts), "an increment was lost"
        fairness.append(sum(counts) ** 2 / (WORKERS * sum(count * count for count in counts)))
        most = max(most, *map(max, attempts))
        commits += sum(counts)
    return most, round(median(fairness), 3), round(commits / RUNS / SECONDS)


async def _long_against_short(engine: TheusEngine) -> tuple[list[int], int]:
    """Attempts of the long calls, and how many short ones committed."""
    end = perf_counter() + SECONDS
    attempts: list[int] = []

    async def short(number: int) -> int:
        done = 0
        while perf_counter() < end:
            await engine.execute(increment_one, f"c{(number + done) % COUNTERS}")
            done += 1
        return done

    async def long() -> None:
        while perf_counter() < end:
            attempts.append(0)
            await engine.execute(increment_all, attempts)

    done = await asyncio.gather(*(short(number) for number in range(WRITERS)), long())
    return attempts, sum(done[:-1])


@goal(
    29,
    f"a long transaction against {WRITERS} hot writers",
    Bound("128-177", 50, 1, "its commits per second", at_most=False, unit=""),
    Bound("6", 7, 7, "most attempts of a call", unit=""),
    Bound("", None, None, "commits per second of the writers", unit=""),
)
def long_transaction() -> tuple[float, float, float]:
    """8 keys, 30 suspensions, writers on the same keys; no increment may be lost."""
    engine = _engine()
    attempts, short = asyncio.run(_long_against_short(engine))
    total = sum(engine.state.domain.values())
    assert total == len(attempts) * COUNTERS + short, "an increment was lost"
    return round(len(attempts) / SECONDS), max(attempts), round(short / SECONDS)


@goal(
    30,
    "anomalies in checked random histories",
    Bound("0", 0, 0, "found", unit=""),
    Bound("", None, None, "histories", unit=""),
)
def histories() -> tuple[float, float]:
    """Every layout of the histories' tests with seeds of its own; see `tests/histories`."""
    shape = Shape()
    found = checked = 0
    for layout in LAYOUTS.values():
        for seed in range(1000, 1000 + SEEDS):
            history = one_history(TheusEngine, layout, seed, shape, ConflictError)
            found += len(check(history, realtime=True))
            checked += 1
    return found, checked
