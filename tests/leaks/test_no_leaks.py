"""Promise: whatever ran, memory and records return to the base line."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import ConflictError


@process(inputs=["domain.n"], outputs=["domain.n"])
def increment(ctx: Any) -> int:
    return ctx.domain.n + 1


@process(inputs=["domain.*"], outputs=["domain.*"], errors=["ValueError"])
def failing(ctx: Any) -> None:
    ctx.domain.xs.append(1)
    ctx.domain["new"] = {"a": [1]}
    raise ValueError


@process(inputs=["domain.*"], outputs=["domain.*"])
async def cancelled(ctx: Any) -> None:
    ctx.domain.xs.append(1)
    await asyncio.Event().wait()


def _increments(engine: TheusEngine, number: int) -> None:
    engine.run(increment)


def _names(engine: TheusEngine, number: int) -> None:
    name = f"name{number}"
    with engine.transaction() as tx:
        tx.domain[name] = {"a": [number]}
    with engine.transaction() as tx:
        del tx.domain[name]


def _failures(engine: TheusEngine, number: int) -> None:
    with contextlib.suppress(ValueError):
        engine.run(failing)


def _conflicts(engine: TheusEngine, number: int) -> None:
    loser = engine.begin()
    loser.domain.n += 1
    engine.run(increment)
    with contextlib.suppress(ConflictError):
        loser.commit()


def _abandoned(engine: TheusEngine, number: int) -> None:
    tx = engine.begin()
    tx.domain.xs.append(number)
    tx.rollback()


def _swaps(engine: TheusEngine, number: int) -> None:
    engine.compare_and_swap(engine.state.version, data={"domain": {"n": number}})


def _engine() -> TheusEngine:
    return TheusEngine({"domain": {"n": 0, "xs": [], "map": {}}}, history=64, meta_capacity=16)


def _assert_base_line(engine: TheusEngine) -> None:
    gc.collect()
    gc.collect()
    assert engine.collect() == 0
    stats = engine.stats()
    assert stats["undo_records"] == 0
    assert stats["snapshots_alive"] == 0
    assert stats["waiting"] == 0
    assert stats["history"] <= 64


def test_a_hundred_thousand_transactions() -> None:
    with _engine() as engine:
        for _ in range(1_000):
            engine.run(increment)
        gc.collect()
        objects = len(gc.get_objects())
        for _ in range(99_000):
            engine.run(increment)
        assert engine.state.domain.n == 100_000
        gc.collect()
        assert len(gc.get_objects()) - objects < 100
        _assert_base_line(engine)


@pytest.mark.parametrize("work", [_increments, _names, _failures, _conflicts, _abandoned, _swaps])
def test_memory_per_transaction_is_nothing(work: Callable[[TheusEngine, int], None]) -> None:
    count = 2_000
    with _engine() as engine:
        for number in range(500):
            work(engine, number)
        gc.collect()
        engine.collect()
        objects = len(gc.get_objects())
        tracemalloc.start()
        try:
            for number in range(200):
                work(engine, 10_000 + number)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for number in range(count):
                work(engine, 20_000 + number)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert (after - before) / count < 8
        assert len(gc.get_objects()) - objects < 100
        _assert_base_line(engine)


def test_cancelled_attempts() -> None:
    async def cancel_many(engine: TheusEngine, count: int) -> None:
        for _ in range(count):
            task = asyncio.ensure_future(engine.execute(cancelled))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def main(engine: TheusEngine) -> int:
        await cancel_many(engine, 100)
        gc.collect()
        before = len(gc.get_objects())
        await cancel_many(engine, 2_000)
        gc.collect()
        return len(gc.get_objects()) - before

    with _engine() as engine:
        assert asyncio.run(main(engine)) < 100
        assert engine.state.version == 1
        _assert_base_line(engine)


def test_snapshots_that_were_held() -> None:
    with _engine() as engine:
        held = []
        for _ in range(200):
            held.append(engine.state)
            engine.run(increment)
        assert [state.domain.n for state in held] == list(range(200))
        assert engine.stats()["undo_records"] > 0
        for state in held[::2] + held[1::2][::-1]:
            held.remove(state)
        del state
        _assert_base_line(engine)


def test_an_engine_that_was_shut_down_is_freed() -> None:
    def one() -> None:
        with _engine() as engine:
            engine.run(increment)
            _failures(engine, 0)

    for _ in range(3):
        one()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(20):
        one()
    gc.collect()
    assert len(gc.get_objects()) - before < 100
