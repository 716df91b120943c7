"""The dispatcher: one thread that serves all workers of a pool.

::

    any thread                    the dispatcher's thread               a worker process
    ----------                    -----------------------               ----------------
    submit: pickle, wait for
      a place; then a worker
      is idle ================================= TASK ===============>  unpickle, import,
      or all are busy:            hands it to the next                   call, pickle
      queue -------------------->   that is idle ======= TASK =======>
                                  reads channels, exits,  <= LOG ====  log records
                                  standard error, clocks  <= OUTCOME = value or error
    future <-- value, error ---   completes the future

    One duplex pipe per worker. This thread reads them all, and nothing it does blocks. No
    queue and no lock is shared with a worker: whatever one does or however it dies, nobody
    else waits for it. The task in its hands is tried once more or fails; all others stay
    where they are. What does not fit into a pipe at once is sent on by this thread.

Locks: `Dispatcher._lock` guards the queue, the state, whether the thread sleeps, and who is
idle or has which task. It is held for a few instructions and at most one write that does not
block, never while a future is completed or anything of the program's is called.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from concurrent.futures import Future
from enum import IntEnum
from multiprocessing import process as mp_process
from multiprocessing.util import Finalize
from typing import Any, final

from theus._logs import logger
from theus.errors import ParallelError, PoolClosedError
from theus.parallel import failures, living
from theus.parallel.crew import Crew, Plan
from theus.parallel.handle import NEVER, WorkerHandle
from theus.parallel.hands import Handed
from theus.parallel.parcel import Outcome, unpack_outcome
from theus.parallel.task import Task, settle

__all__ = ["Dispatcher"]

_log = logger("parallel")
_ATTEMPTS = 2
_START_FAILURES = 5


class State(IntEnum):
    """A pool's life; it only moves forward."""

    NEW = 0
    OPEN = 1
    DRAINING = 2  # finishes what it has
    ABANDONING = 3  # cancels and stops what it has
    ENDED = 4


@final
class Dispatcher:
    """The queue of a pool and the thread that works it off.

    Methods without an underscore may be called from any thread, except those that the crew
    calls; the others are the thread's own.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._queue: deque[Task] = deque()
        self._state = State.NEW
        self._sleeps = False
        self._give_up = NEVER
        self._reason: str | None = None
        self._start_failures = 0
        self._reasons: list[str] = []
        self._answers: list[tuple[Task, Outcome]] = []
        self._unwanted: list[Future[Any]] = []
        self.finished = self.failed = self.retried = self.timeouts = 0
        self._warm = threading.Event()
        self._poll = select.poll()
        self.crew = Crew(plan, self, self._lock, self._poll)
        self._wake_fds: tuple[int, ...] = ()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, which starts the workers; does nothing the second time."""
        with self._lock:
            if self._state is not State.NEW:
                return
            reader, writer = os.pipe()
            for fd in (reader, writer):
                os.set_blocking(fd, False)
            self._wake_fds = (reader, writer)
            self._poll.register(reader, select.POLLIN)
            self.crew.watch[reader] = lambda _: self._drain_wakes(reader)
            # called before multiprocessing waits for its children at the end of the program
            self._at_exit = Finalize(None, self._end_of_program, exitpriority=100)
            living.remember(self)
            self._state = State.OPEN
            self._thread = threading.Thread(target=self._main, name="theus-pool", daemon=True)
            try:
                self._thread.start()
            except BaseException:  # no thread can be started (any more)
                self._thread = None
                self._close()
                raise

    def wait_until_warm(self, timeout: float | None) -> bool:
        """Wait until as many workers as wanted were ready once, or the pool has ended."""
        return self._warm.wait(timeout)

    def check_open(self) -> None:
        """Raise ParallelError for a broken pool and PoolClosedError after `shutdown`."""
        if self._reason is not None:
            raise ParallelError(self._reason, reasons=tuple(self._reasons))
        if self._state > State.OPEN:
            raise PoolClosedError("the pool was shut down and takes no tasks")

    def is_own_thread(self) -> bool:
        """Whether the caller is the dispatcher's thread, as in a callback of a future."""
        return threading.current_thread() is self._thread

    def put(self, task: Task) -> None:
        """Hand a task to a worker that is idle, or queue it; O(1). Raises as `check_open`."""
        with self._lock:
            self.check_open()
            worker = None if self._queue else self.crew.hands.place(task)
            if worker is None:
                self._queue.append(task)
                return  # whoever makes a worker free looks at the queue
            task.begun = task.future.set_running_or_notify_cancel()  # nobody else has it yet
            handed = self._hand(worker, task)
            if handed is Handed.NOT:
                self._queue.append(task)
            if self._sleeps and (handed is not Handed.WHOLE or task.limit is not None):
                self._wake()

    def _hand(self, worker: WorkerHandle, task: Task, *, send: bool = True) -> Handed:
        handed = self.crew.hand_out(worker, task, send=send)
        if handed is Handed.WHOLE and not task.retry:
            task.data = b""
        return handed

    def drop(self, task: Task) -> None:
        """Take a cancelled task out of the queue, if it is there; O(queue)."""
        with self._lock, contextlib.suppress(ValueError):
            self._queue.remove(task)

    def stop(self, future: Future[Any]) -> bool:
        """Have a task of this pool end without a result; False if it is done already."""
        if future.cancel() or future.done():
            return future.cancelled()
        with self._lock:
            if self.crew.hands.holder(future) is None and self._queued(future) is None:
                return False
            self._unwanted.append(future)
            self._wake()
        return True

    def _queued(self, future: Future[Any]) -> Task | None:
        return next((task for task in self._queue if task.future is future), None)

    def shutdown(self, drain: bool, timeout: float | None) -> None:
        """Move on to DRAINING or ABANDONING and wait for the end (not on the own thread)."""
        with self._lock:
            if self._state is State.NEW:
                self._state = State.ENDED
                self._warm.set()
                return
            wanted = State.DRAINING if drain else State.ABANDONING
            self._state = max(self._state, wanted)
            if timeout is not None:
                self._give_up = min(self._give_up, time.monotonic() + timeout)
            if self._state < State.ENDED:
                self._wake()
        if self._thread is not None and not self.is_own_thread():
            self._thread.join()

    def let_go(self, pid: int) -> None:
        """Nobody holds the pool any more: end it after its tasks, without waiting for that."""
        if os.getpid() == pid and self._state is State.OPEN:
            self._state = State.DRAINING  # no lock: a collector may run inside one
            self._wake()

    def forget(self) -> None:
        """In a forked copy of the process: close what is not ours. No lock can be trusted."""
        children: set[Any] = getattr(mp_process, "_children", set())
        for worker in tuple(self.crew.workers):
            worker.forget(children)
        for fd in self._wake_fds:
            os.close(fd)
        self.crew.workers.clear()
        self._state = State.ENDED

    def _end_of_program(self) -> None:
        self.shutdown(drain=False, timeout=None)

    def _wake(self) -> None:
        self._sleeps = False
        for fd in self._wake_fds[1:]:
            with contextlib.suppress(BlockingIOError):  # full: it will wake anyway
                os.write(fd, b"!")

    # --- told by the crew -------------------------------------------------------------------

    def answered(self, task: Task, data: bytes | bytearray, pid: int) -> None:
        """A worker sent the outcome of its task."""
        outcome = unpack_outcome(data, task.name, pid)
        self.crew.hands.pace.note(task.name, outcome.seconds)
        self._answers.append((task, outcome))

    def overdue(self, task: Task) -> None:
        """A task went over its limit."""
        self.timeouts += 1
        self._fail(task, failures.overdue(task))

    def lost(self, task: Task, code: int | None, how: str, stderr: str) -> None:
        """A worker ended while it had the task."""
        if task.retry and task.attempts < _ATTEMPTS:
            self.retried += 1
            _log.info("task %s: its worker %s; trying once more", task.name, how)
            with self._lock:
                self._queue.appendleft(task)
            return
        self._fail(task, failures.died(task, code, how, stderr))

    def untouched(self, tasks: list[Task]) -> None:
        """A worker ended that had not begun these."""
        with self._lock:
            self._queue.extendleft(reversed(tasks))

    def unstartable(self, reason: str) -> None:
        """A worker could not be started. Too many in a row break the pool."""
        self._start_failures += 1
        self._reasons = [*self._reasons[-_START_FAILURES:], reason]
        _log.warning("a worker could not be started: %s", reason)
        if self._start_failures >= _START_FAILURES + self._plan.size and self._reason is None:
            self._break(
                f"The pool gave up: {self._start_failures} workers in a row could not be "
                f"started. The last: {reason}"
            )

    def ready(self) -> None:
        """A worker has been warmed up."""
        self._start_failures = 0
        if self.crew.ready >= self._plan.size:
            self._warm.set()

    # --- the thread -------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            while self._go_on():
                self._sleep()
                self._stop_unwanted()
                self._hand_out()  # first, so that workers have something to do meanwhile
                self._settle()
                self.crew.look_at_clocks(time.monotonic())
        except BaseException as error:  # noqa: BLE001 - nobody may be left waiting
            _log.exception("the dispatcher of a pool failed")
            self._break(f"The pool failed: {type(error).__name__}: {error}")
        finally:
            self._finish()

    def _go_on(self) -> bool:
        """Bring the crew to what the state asks for; False when there is nothing left to do."""
        state = self._state
        if state is State.DRAINING and time.monotonic() >= self._give_up:
            state = self._state = State.ABANDONING
        if state is State.OPEN:
            self.crew.fill(spare=True)
            return True
        if state is State.ABANDONING:
            self._abandon()
        if self._queue:
            self.crew.fill(spare=False)
            return True
        if self.crew.hands.busy:
            return True
        self.crew.dismiss()
        return bool(self.crew.workers)

    def _hand_out(self) -> None:
        """Give what is queued to whoever has a place for it."""
        if self._queue:
            with self._lock:
                while self._queue:
                    task = self._queue[0]
                    worker = self.crew.hands.place(task)
                    if worker is None:
                        break
                    self._queue.popleft()
                    if task.future.done() or not (
                        task.begun or task.future.set_running_or_notify_cancel()
                    ):
                        continue
                    task.begun = True
                    if self._hand(worker, task, send=False) is Handed.NOT:
                        self._queue.appendleft(task)
        self.crew.send_on()

    def _stop_unwanted(self) -> None:
        while self._unwanted:
            future = self._unwanted.pop()
            task = self.crew.stop(future)
            if task is None:
                with self._lock:  # one whose worker died waits for the next
                    task = self._queued(future)
                    if task is not None:
                        self._queue.remove(task)
            if task is not None:
                self._fail(task, failures.stopped(task))

    def _settle(self) -> None:
        """Complete futures; their callbacks run here, with no lock held."""
        while self._answers:
            answers, self._answers = self._answers[::-1], []
            while answers:
                self._settle_one(*answers.pop())

    def _settle_one(self, task: Task, outcome: Outcome) -> None:
        """A function of its own, so that nothing of the outcome is held while nothing happens."""
        if task.future.done():  # it was stopped while it waited behind another
            return
        self.finished += 1
        self.failed += outcome.error is not None
        settle(task.future, outcome, task.whole)

    def _fail(self, task: Task, error: Exception) -> None:
        self._answers.append((task, Outcome(error=error)))

    def _sleep(self) -> None:
        with self._lock:
            pause = self._pause()
            self._sleeps = pause != 0
        for fd, event in self._poll.poll(pause):
            handler = self.crew.watch.get(fd)
            if handler is not None:
                handler(event)
        self._sleeps = False

    def _pause(self) -> float | None:
        """How many milliseconds nothing is to be done; None: until something happens."""
        crew = self.crew
        if self._answers or self._unwanted or crew.has_unsent or (self._queue and crew.hands.free):
            return 0
        due = crew.next_due()
        if self._state is State.DRAINING:
            due = min(due, self._give_up)
        return None if due == NEVER else max(0.0, (due - time.monotonic()) * 1000)

    def _drain_wakes(self, reader: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 4096)

    # --- its end ----------------------------------------------------------------------------

    def _break(self, reason: str) -> None:
        with self._lock:
            self._reason = reason
            self._state = State.ABANDONING
            self._wake()

    def _abandon(self) -> None:
        with self._lock:
            waiting, self._queue = self._queue, deque()
        for task in waiting:
            if self._reason is None and task.future.cancel():
                continue
            self._fail(task, failures.closed(task, self._reason, self._reasons))
        for task in self.crew.abort():
            self._fail(task, failures.closed(task, self._reason, self._reasons))

    def _finish(self) -> None:
        self._abandon()
        for worker in tuple(self.crew.workers):  # only after a fault of ours
            worker.kill()
            worker.reap()
            worker.close()
        self.crew.workers.clear()
        self._settle()
        self.crew.rest.pass_on(self._plan.grace)
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._state = State.ENDED
        fds, self._wake_fds = self._wake_fds, ()
        for fd in fds:
            os.close(fd)
        self._warm.set()
        self._at_exit.cancel()
