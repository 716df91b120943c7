"""Goals 17 to 21: what a call of a process costs, in awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from benchmarks.harness import awaits, calls_with, race_async
from benchmarks.states import entries
from benchmarks.table import Bound, goal
from theus.contracts import process
from theus.engine import TheusEngine

SMALL, LARGE = 10, 100_000
CALL_ROUNDS = 400


async def nothing(argument: object) -> None:
    """What is awaited in the reference."""


@process
async def empty(ctx: Any) -> None:
    """A process that does nothing."""


@process(inputs=["domain.k1"], outputs=["domain.k2"])
async def one_of_each(ctx: Any) -> int:
    """One read, one output; every call changes the state."""
    return ctx.domain["k1"] + ctx.version


@process(inputs=["domain.k1"], outputs=["domain.k2"])
def one_of_each_sync(ctx: Any) -> int:
    """The same as a plain function."""
    return ctx.domain["k1"] + ctx.version


def plain() -> int:
    """What the reference runs in a thread."""
    return 5


def engine_with_processes(size: int) -> TheusEngine:
    """An engine with `size` keys and the processes of this file.

    What they return differs in every call, so every call commits: writing a value that is there
    already would change nothing.
    """
    engine = TheusEngine({"domain": {**entries(size), "k1": -1}, "global": {}})
    for each in (empty, one_of_each, one_of_each_sync):
        engine.register(each)
    return engine


@cache
def coroutine_calls() -> dict[str, float]:
    """Seconds of an await and of the calls of goals 17 to 19, from one race."""
    small, large = engine_with_processes(SMALL), engine_with_processes(LARGE)
    cases = {
        "await": awaits(nothing, empty),
        "empty": awaits(small.execute, empty),
        "small": awaits(small.execute, one_of_each),
        "large": awaits(large.execute, one_of_each),
    }
    best = asyncio.run(race_async(cases, CALL_ROUNDS))
    assert_commits(small, large)
    return best


def assert_commits(*engines: TheusEngine) -> None:
    """Every call with an output must have made a version."""
    for engine in engines:
        assert engine.stats()["commits"] == CALL_ROUNDS * 50, engine.stats()


@goal(17, "execute() of an empty coroutine process / await", Bound("6.0", 10.0, 20.0))
def empty_process() -> float:
    """Nothing read, nothing written."""
    best = coroutine_calls()
    return best["empty"] / best["await"]


@goal(
    18,
    "execute() with one read and one output / await",
    Bound("12.4", 20.0, 35.0, f"{SMALL} keys"),
    Bound("12.4", 20.0, 35.0, f"{LARGE:,} keys"),
)
def read_and_output() -> tuple[float, float]:
    """One key read in the body, one value mapped to an output and committed."""
    best = coroutine_calls()
    return best["small"] / best["await"], best["large"] / best["await"]


@goal(19, f"the same at {LARGE:,} keys / at {SMALL} keys", Bound("1.0", 1.2, 1.5))
def state_size() -> float:
    """The price of a call does not grow with the state."""
    best = coroutine_calls()
    return best["large"] / best["small"]


@goal(20, "execute() of a sync process / asyncio.to_thread of a function", Bound("1.01", 1.10, 1.3))
def through_a_thread() -> float:
    """One read and one output in a thread, against an empty function in a thread."""
    engine = engine_with_processes(SMALL)
    cases = {
        "to_thread": awaits(asyncio.to_thread, plain, 10),
        "execute": awaits(engine.execute, one_of_each_sync, 10),
    }
    best = asyncio.run(race_async(cases))
    return best["execute"] / best["to_thread"]


async def _awaits_in(turns: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Race turns that need a thread without a loop against an await.

    The await is timed in a loop of its own that stands still meanwhile.
    """
    loop = asyncio.get_running_loop()

    def without_loop(turn: Callable[[], float]) -> Callable[[], Awaitable[float]]:
        async def run() -> float:
            asyncio._set_running_loop(None)
            try:
                return turn()
            finally:
                asyncio._set_running_loop(loop)

        return run

    cases: dict[str, Callable[[], Awaitable[float]]] = {"await": awaits(nothing, empty)}
    cases.update({name: without_loop(turn) for name, turn in turns.items()})
    return await race_async(cases, CALL_ROUNDS)


@goal(
    21,
    "run() of a sync process, one read and one output / await",
    Bound("6.3", 12.0, 20.0, f"{SMALL} keys"),
    Bound("6.3", 12.0, 20.0, f"{LARGE:,} keys"),
    Bound("", None, None, "empty body"),
)
def inline() -> tuple[float, float, float]:
    """On the caller's thread, which runs no event loop."""
    small, large = engine_with_processes(SMALL), engine_with_processes(LARGE)
    bare = TheusEngine({"domain": {}, "global": {}})

    @process
    def empty_sync(ctx: Any) -> None:
        """Nothing."""

    bare.register(empty_sync)
    best = asyncio.run(
        _awaits_in(
            {
                "small": calls_with(small.run, one_of_each_sync),
                "large": calls_with(large.run, one_of_each_sync),
                "bare": calls_with(bare.run, empty_sync),
            }
        )
    )
    assert_commits(small, large)
    return tuple(best[name] / best["await"] for name in ("small", "large", "bare"))
