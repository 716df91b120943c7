"""Threads for sync processes that are called from an event loop.

Leaner than a standard executor behind `run_in_executor`: one future instead of two, and one
call back into the loop. That is most of what a call through a thread costs.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from theus._logs import logger
from theus.errors import EngineClosedError

__all__ = ["Threads"]

_log = logger("engine")


class _Job(NamedTuple):
    future: asyncio.Future[Any]
    context: contextvars.Context
    call: Callable[[], Any]


class Threads:
    """Up to `limit` threads, started as they are needed; calls beyond that wait in a queue.

    Thread-safe: one lock around the counters. Threads are daemons, and what runs at the exit of
    the interpreter is waited for.
    """

    def __init__(self, name: str, limit: int | None = None) -> None:
        self._name = name
        self._limit = limit or min(32, (os.cpu_count() or 1) + 4)
        self._closed = False
        self.reset()
        _living.add(self)

    def reset(self) -> None:
        """Begin without threads: those of the parent are not there in a forked child."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._free = 0
        self._waiting = 0

    def run(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Start `call` in a thread, with the context variables of the caller -> its future.

        Cancelling the future drops a call that has not begun; one that runs goes on, and
        nobody hears of it. Raises EngineClosedError after `close`.
        """
        future = asyncio.get_running_loop().create_future()
        job = _Job(future, contextvars.copy_context(), call)
        with self._lock:
            if self._closed:
                raise _shut_down()
            if self._free:
                self._free -= 1
            elif len(self._threads) < self._limit:
                self._start()
            else:
                self._waiting += 1
            self._jobs.put(job)
        return future

    def _start(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._work, name=f"{self._name}_{number}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.cancelled():
                _do(job)
            del job
            with self._lock:
                if self._waiting:
                    self._waiting -= 1
                else:
                    self._free += 1

    def close(self) -> None:
        """Refuse what has not begun, wait for what runs, end the threads. Safe to call again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads, self._threads = self._threads, []
            for job in _drain(self._jobs):
                _report(job.future, job.future.set_exception, _shut_down())
            for _ in threads:
                self._jobs.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()


def _shut_down() -> EngineClosedError:
    return EngineClosedError("the engine was shut down; make a new one")


def _drain(jobs: queue.SimpleQueue[_Job | None]) -> list[_Job]:
    drained: list[_Job] = []
    while True:
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return drained
        if job is not None:
            drained.append(job)


def _do(job: _Job) -> None:
    try:
        value = job.context.run(job.call)
    except StopIteration as stop:
        error = RuntimeError("the process raised StopIteration")
        error.__cause__ = stop
        _report(job.future, job.future.set_exception, error)
    except BaseException as raised:  # noqa: BLE001 - whoever waits gets it
        _report(job.future, job.future.set_exception, raised)
    else:
        _report(job.future, job.future.set_result, value)


def _report(future: asyncio.Future[Any], tell: Callable[..., Any], *value: Any) -> None:
    """Tell the loop of a future how its call ended."""
    try:
        future.get_loop().call_soon_threadsafe(_settle, future, tell, *value)
    except RuntimeError:
        _log.debug("a call in a thread ended after its event loop was closed")


def _settle(future: asyncio.Future[Any], tell: Callable[..., Any], *value: Any) -> None:
    if not future.done():
        tell(*value)


_living: weakref.WeakSet[Threads] = weakref.WeakSet()


def _reset_all() -> None:
    for threads in list(_living):
        threads.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


@atexit.register
def _close_all() -> None:
    for threads in list(_living):
        threads.close()
