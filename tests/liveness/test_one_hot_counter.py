"""Promise: many workers on one counter all finish, none with more than seven attempts."""

from __future__ import annotations

import asyncio
from typing import Any

from theus import TheusEngine, process


@process(inputs=["domain.n"], outputs=["domain.n"])
async def increment(ctx: Any) -> None:
    seen = ctx.domain.n
    await asyncio.sleep(0)
    ctx.domain.n = seen + 1


def test_thirty_two_workers() -> None:
    async def worker(engine: TheusEngine) -> None:
        for _ in range(20):
            await engine.execute(increment)

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(*(worker(engine) for _ in range(32)))

    with TheusEngine({"domain": {"n": 0}}) as engine:
        asyncio.run(main(engine))
        stats = engine.stats()
        assert engine.state.domain.n == 32 * 20
        assert stats["failures"] == 0
        assert stats["conflicts"] > 0
        assert stats["max_attempts"] <= 7
        assert stats["waiting"] == 0
