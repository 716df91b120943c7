"""Promise: increments that overlap in any way add up exactly."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Any

from theus import TheusEngine, process


@process(inputs=["domain.n"], outputs=["domain.n"])
async def suspended(ctx: Any) -> None:
    seen = ctx.domain.n
    await asyncio.sleep(0)
    ctx.domain.n = seen + 1


@process(inputs=["domain.n"], outputs=["domain.n"])
def immediate(ctx: Any) -> int:
    return ctx.domain.n + 1


def test_sixty_four_tasks_with_a_suspension_inside() -> None:
    async def worker(engine: TheusEngine) -> None:
        for _ in range(50):
            await engine.execute(suspended)

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(*(worker(engine) for _ in range(64)))

    with TheusEngine({"domain": {"n": 0}}) as engine:
        asyncio.run(main(engine))
        assert engine.state.domain.n == 64 * 50
        assert engine.state.version == 1 + 64 * 50


def test_eight_threads() -> None:
    errors: list[BaseException] = []

    def worker(engine: TheusEngine) -> None:
        try:
            for _ in range(1000):
                engine.run(immediate)
        except Exception as error:  # noqa: BLE001 - handed to the caller
            errors.append(error)

    with TheusEngine({"domain": {"n": 0}}) as engine:
        threads = [Thread(target=worker, args=(engine,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert engine.state.domain.n == 8 * 1000
        assert engine.state.version == 1 + 8 * 1000


def test_overlapping_blocks_of_tasks() -> None:
    async def worker(engine: TheusEngine) -> None:
        for _ in range(20):
            async for attempt in engine.attempts():
                with attempt as tx:
                    seen = tx.domain.n
                    await asyncio.sleep(0)
                    tx.domain.n = seen + 1

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(*(worker(engine) for _ in range(16)))

    with TheusEngine({"domain": {"n": 0}}) as engine:
        asyncio.run(main(engine))
        assert engine.state.domain.n == 16 * 20
        assert engine.stats()["conflicts"] > 0


def test_overlapping_blocks_of_threads() -> None:
    def worker(engine: TheusEngine) -> None:
        for _ in range(200):
            for attempt in engine.attempts():
                with attempt as tx:
                    tx.domain.n += 1

    with TheusEngine({"domain": {"n": 0}}) as engine:
        threads = [Thread(target=worker, args=(engine,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.state.domain.n == 8 * 200


def test_a_block_that_was_overtaken_is_tried_again_on_the_new_state() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        seen = []
        for attempt in engine.attempts():
            with attempt as tx:
                seen.append(tx.domain.n)
                if len(seen) == 1:
                    engine.run(immediate)
                tx.domain.n = seen[-1] + 10
        assert seen == [0, 1]
        assert engine.state.domain.n == 11


def test_processes_blocks_and_tasks_together() -> None:
    async def blocks(engine: TheusEngine) -> None:
        for _ in range(20):
            async for attempt in engine.attempts():
                with attempt as tx:
                    seen = tx.domain.n
                    await asyncio.sleep(0)
                    tx.domain.n = seen + 1

    async def processes(engine: TheusEngine, which: Any) -> None:
        for _ in range(20):
            await engine.execute(which)

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(
            *(blocks(engine) for _ in range(4)),
            *(processes(engine, suspended) for _ in range(4)),
            *(processes(engine, immediate) for _ in range(4)),
        )

    with TheusEngine({"domain": {"n": 0}}) as engine:
        asyncio.run(main(engine))
        assert engine.state.domain.n == 12 * 20
