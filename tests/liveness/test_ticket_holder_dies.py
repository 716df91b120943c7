"""Promise: one that has priority and raises, hangs, is cancelled or ends holds nobody back."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import ContextError

RETRIES = 2


@process(inputs=["domain.n"], outputs=["domain.n"])
async def increment(ctx: Any) -> None:
    ctx.domain.n += 1


def _engine() -> TheusEngine:
    return TheusEngine({"domain": {"n": 0}}, lease_ms=200, max_retries=RETRIES)


def _holder(engine: TheusEngine, holding: Any, last_act: Any) -> Any:
    """A process that loses until it has priority and then does `last_act`."""

    @process(inputs=["domain.n"], outputs=["domain.n"], errors=["ValueError"], name="holder")
    async def holder(ctx: Any) -> None:
        seen = ctx.domain.n
        if engine.stats()["tickets"] == 0:
            await asyncio.create_task(_overtake(engine))
        else:
            holding.set()
            await last_act()
        ctx.domain.n = seen + 1000

    return engine.register(holder)


async def _overtake(engine: TheusEngine) -> None:
    await engine.execute(increment)


async def _raise() -> None:
    raise ValueError("the holder raises")


async def _hang() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("end", ["raises", "is cancelled", "hangs"])
def test_others_go_on(end: str) -> None:
    async def main(engine: TheusEngine) -> None:
        holding = asyncio.Event()
        last_act = _raise if end == "raises" else _hang
        task = asyncio.create_task(_start(engine, holding, last_act))
        await asyncio.wait_for(holding.wait(), 30)
        before = engine.state.domain.n
        if end == "is cancelled":
            task.cancel()
        for _ in range(3):
            await asyncio.wait_for(engine.execute(increment), 30)
        assert engine.state.domain.n == before + 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert engine.stats()["waiting"] == 0

    async def _start(engine: TheusEngine, holding: Any, last_act: Any) -> None:
        await engine.execute(_holder(engine, holding, last_act))

    with _engine() as engine:
        asyncio.run(main(engine))
        assert engine.stats()["tickets"] >= 1
        assert engine.state.domain.n == RETRIES + 3
        engine.collect()
        assert engine.stats()["undo_records"] == 0


def test_others_go_on_when_its_thread_ends() -> None:
    """The holder's thread ends in the middle of its loop, without a word."""

    def lose(engine: TheusEngine, kept: list[Any]) -> None:
        attempts = iter(engine.attempts())
        kept.append(attempts)
        while engine.stats()["tickets"] == 0:
            attempt = next(attempts)
            with attempt as tx:
                tx.domain.n += 1000
                with engine.transaction() as other:
                    other.domain.n += 1
        kept.append(next(attempts))
        kept.append(kept[-1].__enter__())
        kept.append(kept[-1].domain.n)

    with _engine() as engine:
        kept: list[Any] = []
        for target, args in ((lose, (engine, kept)), (engine.run, (increment,))):
            thread = threading.Thread(target=target, args=args, daemon=True)
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
        assert engine.state.domain.n < 1000
        kept[0].close()
        assert engine.stats()["waiting"] == 0


def test_priority_of_a_requester_ends_with_its_lease() -> None:
    with _engine() as engine:
        for _ in range(RETRIES + 1):
            engine.report_conflict("gone")
        waited = threading.Event()
        for _ in range(300):
            try:
                engine.compare_and_swap(1, data={"domain": {"n": 5}}, requester="other")
                break
            except ContextError:
                waited.wait(0.05)
        assert engine.state.domain.n == 5
