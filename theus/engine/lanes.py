"""Where bodies run and where callers wait: the loop, threads of the engine, the caller's thread.

`Lanes` owns a thread pool, made at the first sync process that runs under an event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from theus.errors import EngineClosedError, SystemBusyError

__all__ = ["Lanes", "current_task", "in_event_loop"]


def in_event_loop() -> bool:
    """Whether the calling thread runs an event loop right now."""
    return asyncio._get_running_loop() is not None


def current_task() -> Any:
    """The running asyncio task, or None outside of one."""
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


class Lanes:
    """Threads for sync bodies, and the ways of waiting.

    Thread-safe: one lock around making and closing the pool.
    """

    def __init__(self, name: str = "theus") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False

    def _threads(self) -> ThreadPoolExecutor:
        pool = self._pool
        if pool is None:
            with self._lock:
                if self._closed:
                    raise EngineClosedError("the engine was shut down; make a new one")
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(thread_name_prefix=self._name)
                pool = self._pool
        return pool

    def thread(self, call: Callable[[], Any]) -> Awaitable[Any]:
        """Run `call` in a thread, with the context variables of the caller."""
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._threads(), context.run, call)

    def close(self) -> None:
        """Wait for running bodies and end the threads."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def sleep(milliseconds: float) -> None:
        """Back off on the caller's thread."""
        time.sleep(milliseconds / 1000.0)

    @staticmethod
    def sleep_async(milliseconds: float) -> Awaitable[None]:
        """Back off on the loop."""
        return asyncio.sleep(milliseconds / 1000.0)

    @staticmethod
    def park(arbiter: Any, ticket: Any) -> None:
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
        changed.wait(arbiter.watch(ticket, changed.set))

    @staticmethod
    async def park_async(arbiter: Any, ticket: Any) -> None:
        """As `park`, without blocking the loop."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)

        left = arbiter.watch(ticket, wake)
        handle = loop.call_later(left, changed.set)
        try:
            await changed.wait()
        finally:
            handle.cancel()
