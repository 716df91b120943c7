"""Calls of processes beside an await, a hundred in one measured run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.goals_calls import (
    empty,
    engine_with_processes,
    nothing,
    one_of_each,
    one_of_each_sync,
)

COUNT = 100


async def _many(action: Any, argument: Any) -> int:
    for _ in range(COUNT):
        await action(argument)
    return COUNT


@pytest.mark.benchmark(group="100 calls")
@pytest.mark.parametrize("case", ["await", "empty", "one read, one output", "sync in a thread"])
def test_calls_on_the_loop(benchmark: Any, case: str) -> None:
    execute = engine_with_processes(10).execute
    action, argument = {
        "await": (nothing, None),
        "empty": (execute, empty),
        "one read, one output": (execute, one_of_each),
        "sync in a thread": (execute, one_of_each_sync),
    }[case]
    with asyncio.Runner() as runner:
        assert benchmark(lambda: runner.run(_many(action, argument))) == COUNT


@pytest.mark.benchmark(group="100 calls")
def test_calls_without_a_loop(benchmark: Any) -> None:
    engine = engine_with_processes(10)
    before = engine.state.version
    benchmark(lambda: [engine.run(one_of_each_sync) for _ in range(COUNT)])
    made = engine.state.version - before
    assert made >= COUNT and made % COUNT == 0
    assert engine.state.domain["k2"] == engine.state.version - 2
