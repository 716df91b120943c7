"""ThreadPool: tasks on threads of this process."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import final

from theus.parallel.backend import BackendEntry, Capabilities
from theus.parallel.parcel import Outcome, Parcel
from theus.parallel.run import run
from theus.parallel.threaded import ThreadedPool

__all__ = ["BACKEND", "ThreadPool"]


@final
class ThreadPool(ThreadedPool):
    """A pool of threads: for tasks that wait, or that let go of the interpreter lock.

    Nothing is pickled: functions of any kind, arguments and results are the very objects.
    Each task runs in a copy of the submitter's context variables. A task over its limit
    cannot be stopped: its caller gets the error at the limit, its thread goes on, and what it
    returns is dropped. A task that submits to its own pool has it run at once, on its own
    thread, so that tasks never wait for each other's threads.

    Parameters
    ----------
    size:
        How many threads; by default as many as this program has processors.
    max_pending:
        How many tasks may be unfinished before `submit` waits.

    Any method may be called from any thread.
    """

    _capabilities = Capabilities(
        "threads", concurrent=True, isolated=False, stops_tasks=False, survives_crashes=False
    )

    def _call_of(self, parcel: Parcel, limit: float | None) -> Callable[[], Outcome]:
        return partial(
            contextvars.copy_context().run,
            run,
            parcel.function,
            parcel.context,
            parcel.args,
            parcel.kwargs,
            limit,
        )


BACKEND = BackendEntry(ThreadPool)
