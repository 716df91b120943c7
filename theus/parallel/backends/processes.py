"""ProcessPool: tasks in worker processes, started once and kept warm."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn, final

from theus._closing import Closing
from theus.errors import (
    NotTransferableError,
    ParallelError,
    PoolClosedError,
    TaskTimeoutError,
)
from theus.parallel.admission import Admission
from theus.parallel.backend import BackendEntry, Capabilities, PoolStats
from theus.parallel.carried import Carried
from theus.parallel.crew import Plan
from theus.parallel.dispatcher import Dispatcher
from theus.parallel.handle import Phase
from theus.parallel.heap import Heap
from theus.parallel.maps import Maps
from theus.parallel.options import check_positive, texts, wrong
from theus.parallel.parcel import Parcel, pack
from theus.parallel.relay import levels
from theus.parallel.task import Task, as_parcel, check_limit, check_size
from theus.parallel.worker import Setup

if TYPE_CHECKING:
    from theus.heavy.allocator import HeavyZoneAllocator

__all__ = ["BACKEND", "ProcessPool"]

_METHODS = ("spawn", "forkserver")
_CAPABILITIES = Capabilities(
    "processes", concurrent=True, isolated=True, stops_tasks=True, survives_crashes=True
)


@final
class ProcessPool(Maps, Closing):
    """A pool of worker processes that share nothing with each other.

    A worker that dies, by whatever cause, fails or repeats only the task it had, and is
    replaced. Workers end with their parent, however it ends. Functions are imported in the
    workers by module and name; a script that uses a pool has its own start below
    ``if __name__ == "__main__":``, as with `multiprocessing`.

    Parameters
    ----------
    size:
        How many tasks run at once; by default as many as this program has processors.
    max_pending:
        How many tasks may be unfinished before `submit` waits.
    spare:
        How many more workers stand by warm, to take the place of one that dies.
    modules:
        Modules that workers import before their first task.
    carry:
        Context variables whose values go along with each task, as ``"module:NAME"``.
    method:
        How processes are started: "spawn" or "forkserver".
    start_timeout:
        Seconds a worker may take to get ready.
    grace:
        Seconds it may take to end before it is terminated, and again before it is killed.
    max_tasks, max_memory:
        A worker that has done so many tasks, or has more bytes resident after one, is replaced:
        it works on until a new one is ready, and ends after the task it then has.
    heap:
        Returns the allocator for large arrays of tasks; by default the pool has one of its own.

    Raises
    ------
    SettingsError
        An option has a wrong value.

    The pool starts with its first task, or with `start`. It is a context manager; it also ends
    after its last task when nobody holds it any more, and with the program. Any method may be
    called from any thread: `submit` pickles in the calling thread and takes one lock for the
    place and one for the queue, each for a moment. Callbacks of futures run on the
    dispatcher's thread and must not wait for other tasks of the pool.

    >>> import math
    >>> with ProcessPool(1, spare=0) as pool:
    ...     pool.submit(math.factorial, 20).result()
    2432902008176640000
    """

    def __init__(
        self,
        size: int | None = None,
        *,
        max_pending: int = 1024,
        spare: int = 1,
        modules: Iterable[str] = (),
        carry: Iterable[str] = (),
        method: str = "spawn",
        start_timeout: float = 60.0,
        grace: float = 2.0,
        max_tasks: int | None = None,
        max_memory: int | None = None,
        heap: Callable[[], HeavyZoneAllocator] | None = None,
    ) -> None:
        if method not in _METHODS:
            raise wrong("method", method, f"one of {', '.join(_METHODS)}")
        if isinstance(spare, bool) or not isinstance(spare, int) or spare < 0:
            raise wrong("spare", spare, "a whole number of 0 or more")
        check_positive(max_tasks=max_tasks, max_memory=max_memory)
        for option, value in (("start_timeout", start_timeout), ("grace", grace)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise wrong(option, value, "a number of seconds above 0")
        self._size = check_size(size)
        self._admission = Admission(max_pending)
        self._carried = Carried(carry)
        self._heap = Heap(heap)
        plan = Plan(
            multiprocessing.get_context(method),
            Setup(texts("modules", modules), levels(), lends=True),
            self._size,
            spare,
            start_timeout,
            grace,
            self._heap,
            max_tasks,
            max_memory,
        )
        self._dispatcher = Dispatcher(plan)
        self._numbers = itertools.count(1)
        self._pid = os.getpid()
        weakref.finalize(self, self._dispatcher.let_go, self._pid).atexit = False

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return _CAPABILITIES

    def start(self, wait: bool = False, timeout: float | None = None) -> None:
        """Start the workers, all at once; with ``wait``, return when they are ready.

        Raises
        ------
        PoolClosedError, ParallelError
            The pool was shut down; its workers cannot be started.
        TaskTimeoutError
            They were not ready within ``timeout`` seconds; they go on starting.
        """
        self._check_process()
        self._dispatcher.check_open()
        self._dispatcher.start()
        if not wait:
            return
        if not self._dispatcher.wait_until_warm(timeout):
            raise TaskTimeoutError(
                f"the workers were not ready within {timeout} s", task="", limit_s=timeout
            )
        self._dispatcher.check_open()

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
        """Run ``task`` in a worker; see `PoolBackend.submit` for the parameters.

        The arguments are pickled before this returns: changing them later changes nothing.

        Raises
        ------
        NotTransferableError
            The function or an argument cannot go to a worker; it is named.
        HeavyZoneFullError
            There is no room for a large array, also not after the others gave theirs back.
        PoolFullError, PoolClosedError, ParallelError, SettingsError
            As said there.
        """
        parcel = as_parcel(task, args, kwargs)
        limit = check_limit(timeout)
        self._check_process()
        dispatcher, admission = self._dispatcher, self._admission
        dispatcher.check_open()
        lend = self._heap.lease if wait else self._heap.lease_at_once
        data, held = pack(parcel, limit, logging.root.level, self._carried.values(), lend)
        try:
            admission.enter(wait, beyond=dispatcher.is_own_thread())
        except PoolClosedError:
            dispatcher.check_open()  # says more, if the pool broke
            raise
        number, whole = next(self._numbers), parcel is task
        made = Task(number, parcel.title, data, limit, retry, whole, held)
        try:
            dispatcher.start()
            dispatcher.put(made)
        except BaseException:
            admission.leave()
            raise
        self._when_done(made)
        return made.future

    def _when_done(self, made: Task) -> None:
        """Give its place back once it is done; a cancelled one leaves the queue."""
        dispatcher, admission = self._dispatcher, self._admission
        held_by = weakref.ref(made)  # the future holds this function; its task must not go with it

        def done(future: Future[Any]) -> None:
            admission.leave()
            task = held_by()
            if task is not None:
                task.data, task.held = b"", ()
                if future.cancelled():
                    dispatcher.drop(task)

        made.future.add_done_callback(done)

    def when_free(self) -> Future[None]:
        """A future that is done when there is room for a task. A place is not kept."""
        return self._admission.when_free()

    def stop(self, future: Future[Any]) -> bool:
        """Cancel a task, also one that runs: its worker is killed, and a spare takes its place.

        False when it is done. The future of a task that ran raises
        `concurrent.futures.CancelledError` once that has happened; no other task is affected.
        """
        return self._dispatcher.stop(future)

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """End the pool; see `PoolBackend.shutdown`. Leaves no process, thread or descriptor.

        Tasks that are stopped raise `PoolClosedError`, those that waited are cancelled. On
        the dispatcher's thread (in a callback) it returns at once, and the end follows.
        """
        if os.getpid() != self._pid:
            return
        self._admission.close()
        self._dispatcher.shutdown(wait, timeout)
        self._heap.close()

    def stats(self) -> PoolStats:
        """Counts of this pool, taken without stopping it. O(size)."""
        dispatcher, crew = self._dispatcher, self._dispatcher.crew
        return PoolStats(
            size=self._size,
            ready=crew.count(Phase.IDLE, Phase.BUSY),
            busy=crew.hands.busy,
            pending=self._admission.inside,
            max_pending=self._admission.limit,
            submitted=self._admission.entered,
            finished=dispatcher.finished,
            failed=dispatcher.failed,
            retried=dispatcher.retried,
            deaths=crew.deaths,
            timeouts=dispatcher.timeouts,
            lost_logs=crew.lost_logs,
            lost_stderr=crew.rest.lost,
            recycled=crew.recycling.count,
        )

    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that are ready, the spare ones included. O(size)."""
        workers = tuple(self._dispatcher.crew.workers)
        ready = (Phase.IDLE, Phase.BUSY)
        return tuple(sorted(worker.pid for worker in workers if worker.phase in ready))

    def _leave(self, error: BaseException | None) -> None:
        self.shutdown(wait=error is None)

    def __reduce__(self) -> NoReturn:
        raise NotTransferableError(
            "a pool cannot be copied or sent to a worker; make one where it is used",
            what="argument",
            name="ProcessPool",
        )

    def __repr__(self) -> str:
        return f"<ProcessPool of {self._size}, {self._admission.inside} tasks unfinished>"

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ParallelError(
                "this pool belongs to another process (it was made before a fork); make one here"
            )


BACKEND = BackendEntry(ProcessPool, shares_memory=True)
