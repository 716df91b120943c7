"""What pools have in common whose workers are threads of this process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any, ClassVar, NamedTuple

from theus._closing import Closing
from theus._logs import logger
from theus.errors import ParallelError, PoolClosedError, TaskTimeoutError
from theus.parallel.admission import Admission
from theus.parallel.backend import Capabilities, PoolStats
from theus.parallel.maps import Maps
from theus.parallel.parcel import Outcome, Parcel
from theus.parallel.remote import as_exception
from theus.parallel.task import as_parcel, check_limit, check_size, settle

__all__ = ["ThreadedPool"]

_log = logger("parallel")


class _Work(NamedTuple):
    """A task that waits for a thread."""

    future: Future[Any]
    title: str
    limit: float | None
    whole: bool
    call: Callable[[], Outcome]


class _Here(threading.local):
    """What a thread is for the pool: one of its own, and inside of a task."""

    ours = False
    inside = False


class ThreadedPool(Maps, Closing):
    """A pool whose tasks each have a thread of this process while they run.

    Kinds of it say what such a thread calls for a task.

    One lock guards the queue and the counts; it is not held while a future is completed. Who
    takes a future out of the running ones completes it: the thread of its task, the clock of
    its limit, or `shutdown`.
    """

    _capabilities: ClassVar[Capabilities]

    def _call_of(self, parcel: Parcel, limit: float | None) -> Callable[[], Outcome]:
        """What a thread calls to run a parcel; made on the thread that submits it."""
        raise NotImplementedError

    def _ended(self) -> None:
        """Nothing is submitted any more, and no thread is waited for."""

    def __init__(self, size: int | None = None, *, max_pending: int = 1024) -> None:
        self._size = check_size(size)
        self._admission = Admission(max_pending)
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="theus-pool")
        self._here = _Here()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        self._queue: deque[_Work] = deque()
        self._called = 0  # threads that were called to the queue and have not come
        self._running: set[Future[Any]] = set()
        self._busy = self._finished = self._failed = self._timeouts = 0

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return self._capabilities

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
        """Run ``task`` with a thread; see `PoolBackend.submit` for the parameters."""
        parcel = as_parcel(task, args, kwargs)
        limit = check_limit(timeout)
        self._check_open()
        call = self._call_of(parcel, limit)
        self._admission.enter(wait, beyond=self._here.ours)
        future: Future[Any] = Future()
        work = _Work(future, parcel.title, limit, parcel is task, call)
        future.add_done_callback(lambda _: self._done(work))
        if self._here.inside:
            self._run(work)
            return future
        with self._lock:
            self._queue.append(work)
            wanted = self._called < len(self._queue)
            self._called += wanted
        try:
            if wanted:
                self._threads.submit(self._serve)
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
        if wait and not self._here.ours:
            with self._lock:
                unfinished = {work.future for work in self._queue} | self._running
            wait_for(unfinished, timeout)
        with self._lock:
            waiting, running = tuple(self._queue), tuple(self._running)
            idle = self._busy == 0
        for work in waiting:
            work.future.cancel()
        for future in running:
            self._give_up(future)
        self._threads.shutdown(wait=idle and not self._here.ours)
        self._ended()

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

    def _leave(self, error: BaseException | None) -> None:
        self.shutdown(wait=error is None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._size}, {self._admission.inside} tasks unfinished>"

    def _check_open(self) -> None:
        if os.getpid() != self._pid:
            raise ParallelError(
                "this pool belongs to another process (it was made before a fork); make one here"
            )
        if self._closed:
            raise PoolClosedError("the pool was shut down and takes no tasks")

    def _done(self, work: _Work) -> None:
        if work.future.cancelled():
            with self._lock, contextlib.suppress(ValueError):
                self._queue.remove(work)
        self._admission.leave()

    def _serve(self) -> None:
        """Take one task from the queue, on a thread of the pool."""
        self._here.ours = True
        with self._lock:
            self._called -= 1
            work = self._queue.popleft() if self._queue else None
        if work is not None:
            self._run(work)

    def _run(self, work: _Work) -> None:
        future, title, limit = work.future, work.title, work.limit
        if not future.set_running_or_notify_cancel():
            return
        with self._lock:
            self._running.add(future)
            self._busy += 1
        clock = None
        if limit is not None:
            clock = threading.Timer(limit, self._expire, (future, title, limit))
            clock.daemon = True
            clock.start()
        outer, self._here.inside = self._here.inside, True
        try:
            outcome = work.call()
        finally:
            self._here.inside = outer
            if clock is not None:
                clock.cancel()
            with self._lock:
                self._busy -= 1
        if outcome.error is not None:
            error = as_exception(outcome.error, title)
            outcome = Outcome(error=error, seconds=outcome.seconds)
        self._complete(future, outcome, work.whole)

    def _complete(self, future: Future[Any], outcome: Outcome, whole: bool) -> bool:
        """Complete a running future; False when another has done it."""
        with self._lock:
            if future not in self._running:
                return False
            self._running.discard(future)
            self._finished += 1
            self._failed += outcome.error is not None
            self._timeouts += isinstance(outcome.error, TaskTimeoutError)
        return settle(future, outcome, whole)

    def _expire(self, future: Future[Any], name: str, limit: float) -> None:
        late = TaskTimeoutError(
            f"Task {name} ran longer than {limit} s. Its thread cannot be stopped and goes on; "
            f"what it returns will be dropped.",
            task=name,
            limit_s=limit,
        )
        self._complete(future, Outcome(error=late), False)

    def _give_up(self, future: Future[Any]) -> None:
        error = PoolClosedError(
            "The pool was shut down while the task ran. Its thread goes on; what it returns will "
            "be dropped."
        )
        if self._complete(future, Outcome(error=error), False):
            _log.warning("a thread pool was shut down while a task ran; its thread goes on")
