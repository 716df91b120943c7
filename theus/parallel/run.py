"""The call itself: the same for every backend."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any

from theus.errors import ReentryError
from theus.parallel.context import ParallelContext
from theus.parallel.parcel import Outcome
from theus.parallel.views import plain

__all__ = ["run"]


def run(
    function: Callable[..., Any],
    context: ParallelContext | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    limit: float | None = None,
) -> Outcome:
    """Call ``function`` and return what it came to, errors included.

    With a context the call gets a fresh one of the same inputs as its first argument, and
    what it queued there is part of the outcome; a call that raised has queued nothing. A
    coroutine is run to its end on an event loop of its own. Never raises an Exception;
    KeyboardInterrupt, SystemExit and the like are part of the outcome too.
    """
    own = None if context is None else context.fresh(limit)
    began = time.perf_counter()
    try:
        value = function(*args, **kwargs) if own is None else function(own, *args, **kwargs)
        if isinstance(value, CoroutineType):
            value = _finish(value)
    except BaseException as error:  # noqa: BLE001 - whatever the task raises is its outcome
        trace = error.__traceback__
        error.__traceback__ = trace.tb_next if trace is not None else None  # without this frame
        return Outcome(error=error, seconds=time.perf_counter() - began, worker=os.getpid())
    seconds = time.perf_counter() - began
    if own is None:
        return Outcome(value, seconds=seconds, worker=os.getpid())
    try:
        outbox, signals = own.messages()
        return Outcome(plain(value), outbox, signals, None, seconds, os.getpid(), own.changes())
    except Exception as error:  # noqa: BLE001 - of what the process has put into its containers
        return Outcome(error=error, seconds=seconds, worker=os.getpid())


def _finish(coroutine: CoroutineType[Any, Any, Any]) -> Any:
    import asyncio  # only for tasks that are coroutines

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    coroutine.close()
    raise ReentryError(
        "An async task cannot run to its end on a thread whose event loop is running; use a "
        "pool of threads or processes for it."
    )
