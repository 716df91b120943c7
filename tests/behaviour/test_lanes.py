"""Promise: bodies run where the documents say, waits can be cancelled, shutdown leaves nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import EngineClosedError, ReentryError


@process
def where(ctx: Any) -> int:
    return threading.get_ident()


@process
async def where_async(ctx: Any) -> int:
    await asyncio.sleep(0)
    return threading.get_ident()


def test_async_bodies_run_on_the_loop_and_sync_ones_in_a_thread() -> None:
    async def main(engine: TheusEngine) -> tuple[int, int]:
        return await engine.execute(where_async), await engine.execute(where)

    with TheusEngine() as engine:
        on_loop, in_thread = asyncio.run(main(engine))
        assert on_loop == threading.get_ident()
        assert in_thread != threading.get_ident()


def test_run_uses_the_thread_of_the_caller() -> None:
    with TheusEngine() as engine:
        assert engine.run(where) == threading.get_ident()
        assert engine.run(where_async) == threading.get_ident()


@pytest.mark.parametrize("body", [where, where_async])
def test_run_refuses_on_the_thread_of_a_loop(body: Any) -> None:
    async def main(engine: TheusEngine) -> None:
        for _ in range(2):
            with pytest.raises(ReentryError, match="execute"):
                engine.run(body)
            await engine.execute(body)

    with TheusEngine() as engine:
        asyncio.run(main(engine))


def test_a_cancelled_call_changes_nothing_and_others_go_on() -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    async def endless(ctx: Any, started: Any) -> None:
        ctx.domain.n = 99
        started.set()
        await asyncio.Event().wait()

    async def main(engine: TheusEngine) -> None:
        before, started = engine.state, asyncio.Event()
        task = asyncio.ensure_future(engine.execute(endless, started=started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.state is before
        async for attempt in engine.attempts():
            with attempt as tx:
                tx.domain.n = 1

    with TheusEngine({"domain": {"n": 0}}) as engine:
        asyncio.run(main(engine))
        assert engine.state.domain.n == 1


def test_shutdown_leaves_no_threads_and_refuses_calls() -> None:
    before = set(threading.enumerate())

    async def main() -> TheusEngine:
        async with TheusEngine({"domain": {"n": 3}}) as engine:
            await asyncio.gather(*(engine.execute(where) for _ in range(8)))
            assert set(threading.enumerate()) - before
        return engine

    engine = asyncio.run(main())
    assert set(threading.enumerate()) <= before
    engine.shutdown()
    with pytest.raises(EngineClosedError):
        engine.run(where)
    with pytest.raises(EngineClosedError):
        engine.transaction()
    assert engine.state.domain.n == 3


def test_keyword_arguments_that_are_not_taken_are_dropped() -> None:
    @process
    def takes(ctx: Any, a: int) -> int:
        return a

    with TheusEngine() as engine:
        assert engine.run(takes, a=1, b=2) == 1
