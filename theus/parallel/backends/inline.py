"""InlinePool: tasks run at once, on the thread that submits them."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, final

from theus._closing import Closing
from theus.errors import PoolClosedError, TaskTimeoutError
from theus.parallel.backend import BackendEntry, Capabilities, PoolStats
from theus.parallel.maps import Maps
from theus.parallel.parcel import Outcome, Parcel
from theus.parallel.remote import as_exception
from theus.parallel.run import run
from theus.parallel.task import as_parcel, check_limit, check_size, settle

__all__ = ["BACKEND", "InlinePool"]

_CAPABILITIES = Capabilities(
    "inline", concurrent=False, isolated=False, stops_tasks=False, survives_crashes=False
)


@final
class InlinePool(Maps, Closing):
    """The protocol of a pool without one: for tests, debugging, and tiny work.

    `submit` calls the task before it returns, in a copy of the caller's context variables,
    and returns a future that is done. A limit is looked at when the task has ended. Any
    thread may submit; a lock guards the counts only, so threads do not wait for each other.

    Parameters
    ----------
    size, max_pending:
        Taken for the sake of the protocol; one call runs per submitting thread.
    """

    def __init__(self, size: int | None = None, *, max_pending: int = 1024) -> None:
        self._size = check_size(size)
        self._max_pending = check_size(max_pending)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._closed = False
        self._busy = self._submitted = self._failed = self._timeouts = 0

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return _CAPABILITIES

    def start(self, wait: bool = False, timeout: float | None = None) -> None:
        """Does nothing, as there is nothing to start. Raises PoolClosedError after `shutdown`."""
        with self._lock:
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
        """Run ``task`` now; see `PoolBackend.submit`. KeyboardInterrupt is raised at once."""
        parcel = as_parcel(task, args, kwargs)
        limit = check_limit(timeout)
        with self._lock:
            self._check_open()
            self._submitted += 1
            self._busy += 1
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            outcome = contextvars.copy_context().run(
                run, parcel.function, parcel.context, parcel.args, parcel.kwargs, limit
            )
        finally:
            with self._lock:
                self._busy -= 1
                self._idle.notify_all()
        if isinstance(outcome.error, KeyboardInterrupt):
            raise outcome.error
        self._complete(future, _judged(outcome, parcel.title, limit), parcel is task)
        return future

    def when_free(self) -> Future[None]:
        """A future that is done: there is always room."""
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Take no more tasks; with ``wait``, those of other threads are waited for."""
        with self._lock:
            self._closed = True
            if wait:
                self._idle.wait_for(lambda: self._busy == 0, timeout)

    def stats(self) -> PoolStats:
        """Counts of this pool."""
        with self._lock:
            return PoolStats(
                size=self._size,
                ready=self._size,
                busy=self._busy,
                pending=self._busy,
                max_pending=self._max_pending,
                submitted=self._submitted,
                finished=self._submitted - self._busy,
                failed=self._failed,
                timeouts=self._timeouts,
            )

    def _leave(self, error: BaseException | None) -> None:
        self.shutdown()

    def _check_open(self) -> None:
        if self._closed:
            raise PoolClosedError("the pool was shut down and takes no tasks")

    def _complete(self, future: Future[Any], outcome: Outcome, whole: bool) -> None:
        with self._lock:
            self._failed += outcome.error is not None
            self._timeouts += isinstance(outcome.error, TaskTimeoutError)
        settle(future, outcome, whole)


def _judged(outcome: Outcome, name: str, limit: float | None) -> Outcome:
    if limit is not None and outcome.seconds > limit:
        late = TaskTimeoutError(
            f"Task {name} ran for {outcome.seconds:.3g} s, longer than {limit} s; what it "
            f"returned is dropped.",
            task=name,
            limit_s=limit,
        )
        return Outcome(error=late, seconds=outcome.seconds, worker=outcome.worker)
    if outcome.error is not None:
        error = as_exception(outcome.error, name)
        return Outcome(error=error, seconds=outcome.seconds, worker=outcome.worker)
    return outcome


BACKEND = BackendEntry(InlinePool)
