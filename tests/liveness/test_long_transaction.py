"""Promise: a transaction that reads much and takes long commits while many keep writing."""

from __future__ import annotations

import asyncio
from typing import Any

from theus import TheusEngine, process

KEYS = [f"k{number}" for number in range(16)]


@process(inputs=["domain.*"], outputs=["domain.*"])
async def write(ctx: Any, key: str) -> None:
    seen = ctx.domain[key]
    await asyncio.sleep(0)
    ctx.domain[key] = seen + 1


@process(inputs=["domain.*"], outputs=["domain.total"])
async def add_up(ctx: Any) -> int:
    total = 0
    for key in KEYS:
        total += ctx.domain[key]
        await asyncio.sleep(0.001)
    return total


def test_against_sixteen_hot_writers() -> None:
    async def writer(engine: TheusEngine, key: str, stop: asyncio.Event) -> int:
        count = 0
        while not stop.is_set():
            await engine.execute(write, key=key)
            count += 1
        return count

    async def main(engine: TheusEngine) -> tuple[int, list[int]]:
        stop = asyncio.Event()
        writers = [asyncio.create_task(writer(engine, key, stop)) for key in KEYS]
        await asyncio.sleep(0)
        total = await engine.execute(add_up)
        stop.set()
        return total, await asyncio.gather(*writers)

    with TheusEngine({"domain": {**dict.fromkeys(KEYS, 0), "total": -1}}) as engine:
        total, counts = asyncio.run(main(engine))
        assert engine.state.domain.total == total
        assert [engine.state.domain[key] for key in KEYS] == counts
        assert 0 <= total <= sum(counts)
        assert engine.stats()["conflicts"] > 0
        assert engine.stats()["failures"] == 0
