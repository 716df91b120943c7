"""Where bodies run and where callers wait: the loop, threads of the engine, the caller's thread.

The threads are started at the first sync processes that run under an event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from theus.engine.threads import Threads
from theus.errors import SystemBusyError

__all__ = ["Lanes", "in_event_loop"]


def in_event_loop() -> bool:
    """Whether the calling thread runs an event loop right now."""
    return asyncio._get_running_loop() is not None


class Lanes:
    """Threads for sync bodies, and the ways of waiting. Thread-safe.

    `waited(reason, seconds)` is told of every wait.
    """

    def __init__(self, waited: Callable[[str, float], object], name: str = "theus") -> None:
        self._threads = Threads(name)
        self._waited = waited

    def thread(self, call: Callable[[], Any]) -> Awaitable[Any]:
        """Run `call` in a thread, with the context variables of the caller."""
        return self._threads.run(call)

    async def thread_to_end(self, call: Callable[[], Any]) -> Any:
        """As `thread`, for a body that shares its transaction with whoever awaits it.

        A cancellation is raised when the body has ended; one that has not begun is left out.
        """
        cancelled: tuple[Any, ...] | None = None
        future = self._threads.run(lambda: call() if cancelled is None else None)
        while not future.done():
            try:
                await asyncio.wait((future,))
            except asyncio.CancelledError as error:
                cancelled = error.args
        if cancelled is None:
            return future.result()
        if not future.cancelled():
            future.exception()
        raise asyncio.CancelledError(*cancelled)

    def close(self) -> None:
        """Wait for running bodies and end the threads."""
        self._threads.close()

    @contextmanager
    def timed(self, reason: str) -> Iterator[None]:
        """Count the wait in the block, however it ends."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._waited(reason, time.monotonic() - start)

    def sleep(self, milliseconds: float) -> None:
        """Back off on the caller's thread."""
        with self.timed("backoff"):
            time.sleep(milliseconds / 1000.0)

    async def sleep_async(self, milliseconds: float) -> None:
        """Back off on the loop."""
        with self.timed("backoff"):
            await asyncio.sleep(milliseconds / 1000.0)

    def park(self, arbiter: Any, ticket: Any) -> None:
        """Wait until the ticket's state changes or its holder's lease is over.

        Raises SystemBusyError on the thread of an event loop instead of blocking it.
        """
        if in_event_loop():
            raise SystemBusyError(
                f"System Busy: {ticket.label or 'another transaction'} has priority, and waiting "
                f"here would block the event loop. Use `await engine.execute(...)`.",
                holder=ticket.label,
                wait_ms=max(0.0, (ticket.deadline - time.monotonic()) * 1000.0),
            )
        changed = threading.Event()
        with self.timed("priority"):
            changed.wait(arbiter.watch(ticket, changed.set))

    async def park_async(self, arbiter: Any, ticket: Any) -> None:
        """As `park`, without blocking the loop."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)

        left = arbiter.watch(ticket, wake)
        handle = loop.call_later(left, changed.set)
        try:
            with self.timed("priority"):
                await changed.wait()
        finally:
            handle.cancel()
