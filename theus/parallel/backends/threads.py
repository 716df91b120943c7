"""ThreadPool: tasks on threads of this process."""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from types import TracebackType
from typing import Any, Self, final

from theus.errors import ParallelError, PoolClosedError, TaskTimeoutError
from theus.parallel.admission import Admission
from theus.parallel.backend import BackendEntry, Capabilities, PoolStats
from theus.parallel.parcel import Outcome, Parcel
from theus.parallel.remote import as_exception
from theus.parallel.run import run
from theus.parallel.task import as_parcel, check_limit, check_size, settle

__all__ = ["BACKEND", "ThreadPool"]

_log = logging.getLogger("theus.parallel")
_CAPABILITIES = Capabilities(
    "threads", concurrent=True, isolated=False, stops_tasks=False, survives_crashes=False
)


@final
class ThreadPool:
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

    Any method may be called from any thread. One lock guards the counts.
    """

    def __init__(self, size: int | None = None, *, max_pending: int = 1024) -> None:
        self._size = check_size(size)
        self._admission = Admission(max_pending)
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="theus-pool")
        self._here = threading.local()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        self._waiting: set[Future[Any]] = set()
        self._running: set[Future[Any]] = set()
        self._busy = self._finished = self._failed = self._timeouts = 0

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return _CAPABILITIES

    def start(self, wait: bool = False, timeout: float | None = None) -> None:
        """Does nothing: threads start with their tasks. Raises PoolClosedError if closed."""
        self._check_open()

    def submit(
        self,
        task: Parcel | Callable[..., Any],
        /,
        *args: Any,
        timeout: float | None = None,
        retry: bool = True,
        wait: bool = True,
        **kwargs: Any,
    ) -> Future[Any]:
        """Run ``task`` on a thread; see `PoolBackend.submit` for the parameters."""
        parcel = as_parcel(task, args, kwargs)
        limit = check_limit(timeout)
        self._check_open()
        nested = getattr(self._here, "inside", False)
        self._admission.enter(wait, beyond=nested)
        future: Future[Any] = Future()
        future.add_done_callback(self._done)
        own = contextvars.copy_context()
        if nested:
            self._run(own, future, parcel, limit, parcel is task)
            return future
        with self._lock:
            self._waiting.add(future)
        try:
            self._threads.submit(self._run, own, future, parcel, limit, parcel is task)
        except RuntimeError as error:  # shut down in the meantime
            future.cancel()
            raise PoolClosedError("the pool was shut down and takes no tasks") from error
        return future

    def when_free(self) -> Future[None]:
        """A future that is done when there is room for a task. A place is not kept."""
        return self._admission.when_free()

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """End the pool; see `PoolBackend.shutdown`.

        Threads cannot be stopped. Those that still run when the waiting is over end with
        their task; their futures raise PoolClosedError at once, and a warning is logged.
        """
        self._closed = True
        self._admission.close()
        inside = getattr(self._here, "inside", False)
        if wait and not inside:
            with self._lock:
                unfinished = self._waiting | self._running
            wait_for(unfinished, timeout)
        with self._lock:
            waiting, running = tuple(self._waiting), tuple(self._running)
            idle = self._busy == 0
        for future in waiting:
            future.cancel()
        for future in running:
            self._give_up(future)
        self._threads.shutdown(wait=idle and not inside)

    def stats(self) -> PoolStats:
        """Counts of this pool."""
        with self._lock:
            return PoolStats(
                size=self._size,
                ready=self._size,
                busy=self._busy,
                pending=self._admission.inside,
                max_pending=self._admission.limit,
                submitted=self._admission.entered,
                finished=self._finished,
                failed=self._failed,
                timeouts=self._timeouts,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown(wait=kind is None)

    def __repr__(self) -> str:
        return f"<ThreadPool of {self._size}, {self._admission.inside} tasks unfinished>"

    def _check_open(self) -> None:
        if os.getpid() != self._pid:
            raise ParallelError(
                "this pool belongs to another process (it was made before a fork); make one here"
            )
        if self._closed:
            raise PoolClosedError("the pool was shut down and takes no tasks")

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._waiting.discard(future)
            self._running.discard(future)
        self._admission.leave()

    def _run(
        self,
        own: contextvars.Context,
        future: Future[Any],
        parcel: Parcel,
        limit: float | None,
        whole: bool,
    ) -> None:
        """One task, on its thread."""
        if not future.set_running_or_notify_cancel():
            return
        with self._lock:
            self._waiting.discard(future)
            self._running.add(future)
            self._busy += 1
        clock = None
        if limit is not None:
            clock = threading.Timer(limit, self._expire, (future, parcel.title, limit))
            clock.daemon = True
            clock.start()
        outer = getattr(self._here, "inside", False)
        self._here.inside = True
        try:
            outcome = own.run(
                run, parcel.function, parcel.context, parcel.args, parcel.kwargs, limit
            )
        finally:
            self._here.inside = outer
            if clock is not None:
                clock.cancel()
            with self._lock:
                self._busy -= 1
        if outcome.error is not None:
            outcome = Outcome(
                error=as_exception(outcome.error, parcel.title), seconds=outcome.seconds
            )
        self._complete(future, outcome, whole)

    def _complete(self, future: Future[Any], outcome: Outcome, whole: bool) -> bool:
        if not settle(future, outcome, whole):
            return False
        with self._lock:
            self._finished += 1
            self._failed += outcome.error is not None
        return True

    def _expire(self, future: Future[Any], name: str, limit: float) -> None:
        late = TaskTimeoutError(
            f"Task {name} ran longer than {limit} s. Its thread cannot be stopped and goes on; "
            f"what it returns will be dropped.",
            task=name,
            limit_s=limit,
        )
        if self._complete(future, Outcome(error=late), False):
            with self._lock:
                self._timeouts += 1

    def _give_up(self, future: Future[Any]) -> None:
        error = PoolClosedError(
            "The pool was shut down while the task ran. Its thread goes on; what it returns will "
            "be dropped."
        )
        if self._complete(future, Outcome(error=error), False):
            _log.warning("a thread pool was shut down while a task ran; its thread goes on")


BACKEND = BackendEntry(ThreadPool)
