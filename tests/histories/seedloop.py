"""Deterministic schedules for asyncio: a loop with virtual time, and a stepper.

`run(main, seed)` runs a coroutine on an event loop whose clock jumps to the next timer instead
of waiting, so that back-off costs nothing. Inside, bodies `await stepper.pause()` wherever
another one may come in between; the stepper lets a seeded generator say who goes on.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that does not wait: it moves the clock of its loop instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(1.0)  # only another thread can wake us
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class Stepper:
    """Who pauses here goes on when a seeded generator picks it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.waiting: list[asyncio.Future[None]] = []

    async def pause(self) -> None:
        """Stop until picked."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            await future
        finally:
            if future in self.waiting:
                self.waiting.remove(future)

    async def drive(self, work: list[Awaitable[Any]]) -> list[Any]:
        """Run all of `work` to the end, one pick at a time; results or exceptions in order."""
        tasks = [asyncio.ensure_future(item) for item in work]
        while not all(task.done() for task in tasks):
            await self._settle()
            if self.waiting:
                self.waiting.pop(self.rng.randrange(len(self.waiting))).set_result(None)
            else:
                await asyncio.sleep(0.001)  # everyone left waits for a timer
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def _settle(self) -> None:
        """Let everybody run to the next pause."""
        before = -1
        while before != len(self.waiting):
            before = len(self.waiting)
            for _ in range(4):
                await asyncio.sleep(0)


def run(main: Callable[[Stepper], Coroutine[Any, Any, Any]], seed: int) -> Any:
    """Run `main(stepper)` on a loop with virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main(Stepper(seed)))
