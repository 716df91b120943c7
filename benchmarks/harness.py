"""Timing by interleaved rounds: in each round every case runs once, for a short time.

The figure of a case is its minimum over all rounds. Short turns matter more than long ones: on a
machine that does other things too, a turn of a millisecond often runs undisturbed, and one such
turn per case is enough. Ratios are taken between cases of one race only.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping
from contextlib import contextmanager
from time import perf_counter
from timeit import Timer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ROUNDS",
    "awaits",
    "calls",
    "calls_with",
    "once",
    "race",
    "race_async",
    "ratio",
    "repeated",
]

Turn = Callable[[], float]
"""One turn of a case; returns seconds per operation."""
AsyncTurn = Callable[[], Awaitable[float]]

ROUNDS = 200
"""Rounds of a race, if not said otherwise. Never fewer than 15."""
COPIES = 100
"""How often a statement is repeated in compiled code, so that the loop does not count."""


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cyclic collector out of the turns, and what exists already out of `gc.collect`.

    Races collect between their rounds, so cyclic garbage of the turns does not pile up.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def repeated(
    statement: str, names: dict[str, Any], *, copies: int = COPIES, loops: int = 50
) -> Turn:
    """A statement, `copies` times in a row and the block `loops` times."""
    timer = Timer("\n".join([statement] * copies), globals=names)
    return lambda: timer.timeit(loops) / (loops * copies)


def calls(action: Callable[[], object], count: int = 50) -> Turn:
    """`action()`, `count` times."""

    def turn() -> float:
        start = perf_counter()
        for _ in range(count):
            action()
        return (perf_counter() - start) / count

    return turn


def once(action: Callable[[], object]) -> Turn:
    """`action()`, one time: for what takes a millisecond or more."""

    def turn() -> float:
        start = perf_counter()
        result = action()
        spent = perf_counter() - start
        del result
        return spent

    return turn


def awaits(action: Callable[[Any], Awaitable[object]], argument: Any, count: int = 50) -> AsyncTurn:
    """`await action(argument)`, `count` times."""

    async def turn() -> float:
        start = perf_counter()
        for _ in range(count):
            await action(argument)
        return (perf_counter() - start) / count

    return turn


def calls_with(action: Callable[[Any], object], argument: Any, count: int = 50) -> Turn:
    """`action(argument)`, `count` times, with the loop of `awaits`."""

    def turn() -> float:
        start = perf_counter()
        for _ in range(count):
            action(argument)
        return (perf_counter() - start) / count

    return turn


def race(cases: Mapping[str, Turn], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds per operation of each case: the minimum over `rounds` interleaved rounds."""
    best = dict.fromkeys(cases, float("inf"))
    with no_collector():
        for _ in range(rounds):
            gc.collect()
            for name, turn in cases.items():
                best[name] = min(best[name], turn())
    return best


async def race_async(cases: Mapping[str, AsyncTurn], rounds: int = ROUNDS) -> dict[str, float]:
    """As `race`, for turns that are awaited on the running loop."""
    best = dict.fromkeys(cases, float("inf"))
    with no_collector():
        for _ in range(rounds):
            gc.collect()
            for name, turn in cases.items():
                best[name] = min(best[name], await turn())
    return best


def ratio(ours: Turn, reference: Turn, rounds: int = ROUNDS) -> float:
    """How many times as long as the reference ours takes."""
    best = race({"reference": reference, "ours": ours}, rounds)
    return best["ours"] / best["reference"]
