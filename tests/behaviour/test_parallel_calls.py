"""Promise: `parallel=True` and `execute_parallel` run bodies in workers, with the same commit."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from theus import ContractViolationError, OutboxMsg, TheusEngine, process
from theus.errors import TheusError

START = {"domain": {"n": 3, "xs": [1, 2], "out": None, "hidden": 1}}


@process(inputs=["domain.n", "domain.xs"], outputs=["domain.out"], parallel=True)
def add_up(ctx: Any, by: int = 0) -> int:
    return ctx.domain.n + sum(ctx.domain.xs) + by


@process(inputs=["domain.n"], outputs=["domain.out"])
def where(ctx: Any) -> tuple[int, int]:
    return (os.getpid(), threading.get_ident())


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True)
def tell(ctx: Any) -> int:
    ctx.outbox.add(OutboxMsg("topic", ctx.domain.n))
    ctx.signal.done = ctx.domain.n
    return 1


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True, errors=["ValueError"])
def fails(ctx: Any) -> int:
    ctx.outbox.add(OutboxMsg("topic", 1))
    raise ValueError(f"no {ctx.domain.n}")


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True)
def reads_more(ctx: Any) -> Any:
    return ctx.domain.hidden


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True, side_effects=["signal"])
def tells_more(ctx: Any) -> int:
    ctx.outbox.add(OutboxMsg("topic", 1))
    return 1


@process(inputs=["domain.n", "domain.xs"], outputs=["domain.out"], parallel=True, semantic="pure")
def pure(ctx: Any, more: list[int]) -> int:
    return ctx.domain.n + sum(more)


@pytest.fixture(params=["inline", "threads", "processes"])
def engine(request: pytest.FixtureRequest) -> Iterator[TheusEngine]:
    with TheusEngine(START, pool=request.param, pool_size=1) as made:
        yield made


def test_the_value_comes_back_through_the_commit(engine: TheusEngine) -> None:
    async def execute() -> Any:
        return await engine.execute(add_up, by=20)

    assert engine.run(add_up, by=10) == 16
    assert (engine.state.domain.out, engine.state.version) == (16, 2)
    assert asyncio.run(execute()) == 26
    assert (engine.state.domain.out, engine.state.version) == (26, 3)
    assert engine.execute_parallel("add_up", by=30) == 36
    assert engine.state.domain.out == 36


def test_the_explicit_way_takes_any_process(engine: TheusEngine) -> None:
    pid, thread = engine.execute_parallel(where)
    assert engine.state.domain.out == (pid, thread)
    kind = engine.settings.pool
    assert (pid == os.getpid()) == (kind != "processes")
    if kind == "threads":
        assert thread != threading.get_ident()
    assert engine.get_pool() is engine.get_pool()


def test_messages_and_signals_leave_with_the_commit(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe()
    engine.run(tell)
    assert [(message.topic, message.payload) for message in engine.outbox] == [("topic", 3)]
    assert receiver.drain() == ["done:3"]


def test_an_error_comes_back_and_leaves_no_trace(engine: TheusEngine) -> None:
    before = engine.state
    with pytest.raises(ValueError, match="no 3"):
        engine.run(fails)
    assert engine.state is before
    assert len(engine.outbox) == 0
    assert engine.run(add_up) == 6


def test_the_contract_holds_in_the_worker(engine: TheusEngine) -> None:
    before = engine.state
    with pytest.raises(ContractViolationError):
        engine.run(reads_more)
    assert engine.state is before


def test_side_effects_hold_for_what_comes_back(engine: TheusEngine) -> None:
    with pytest.raises(ContractViolationError, match="outbox message"):
        engine.run(tells_more)
    assert len(engine.outbox) == 0


def test_a_pure_process_may_run_in_a_worker(engine: TheusEngine) -> None:
    assert engine.run(pure, more=[1, 2]) == 6
    assert engine.state.domain.out == 6


def test_after_the_end_there_is_no_pool(engine: TheusEngine) -> None:
    engine.run(add_up)
    engine.shutdown()
    for call in (engine.get_pool, lambda: engine.execute_parallel(add_up)):
        with pytest.raises(TheusError, match="shut down"):
            call()
