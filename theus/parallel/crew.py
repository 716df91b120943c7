"""The worker processes of a pool: starting, watching, replacing and ending them.

A `Crew` belongs to the dispatcher's thread, which alone reads from workers, starts and ends
them. Only `hand_out` is called by other threads too: who submits a task while a worker has a
place for it gives it the task at once. The owner's lock therefore guards who has which task
(`hands`), and the outlets of workers.

The crew knows workers and the tasks in their hands, and tells its owner what became of them.
Which task comes next, and what is tried again, is the owner's business.
"""

from __future__ import annotations

import select
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple, Protocol, final

from theus.errors import ParallelError
from theus.parallel.channel import Kind, Message
from theus.parallel.handle import NEVER, Phase, WorkerHandle, describe_exit
from theus.parallel.hands import Handed, Hands
from theus.parallel.heap import Heap
from theus.parallel.recycling import Recycling
from theus.parallel.relay import deliver
from theus.parallel.stderr import StderrRest
from theus.parallel.task import Task
from theus.parallel.worker import Setup

__all__ = ["Crew", "Owner", "Plan"]

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_READS = 16  # per turn and worker, so that one with much to say does not hold up the others
_MUTED = 0.05
_PAUSE = 0.1
_LOOK = 0.25  # how often the memory of workers is looked at while they work


class Plan(NamedTuple):
    """How a crew is made up."""

    context: BaseContext
    setup: Setup
    size: int
    spare: int
    start_timeout: float
    grace: float
    heap: Heap | None = None
    max_tasks: int | None = None
    max_memory: int | None = None


class Owner(Protocol):
    """Who is told what became of the tasks."""

    def answered(self, task: Task, data: bytes | bytearray, pid: int) -> None:
        """A worker sent the outcome of its task."""

    def overdue(self, task: Task) -> None:
        """A task went over its limit; its worker is being killed."""

    def lost(self, task: Task, code: int | None, how: str, stderr: str) -> None:
        """A worker ended while it had the task."""

    def untouched(self, tasks: list[Task]) -> None:
        """A worker ended that had been given these tasks as well, and has not begun them."""

    def unstartable(self, reason: str) -> None:
        """A worker could not be started, or ended before it was ready."""

    def ready(self) -> None:
        """A worker has been warmed up."""


@final
class Crew:
    """The workers of one pool.

    Parameters
    ----------
    plan:
        How many, and how they are started.
    owner:
        Who is told about tasks.
    lock:
        The owner's lock.
    poll:
        Where descriptors are registered; `watch` maps each to what its event calls.
    """

    def __init__(self, plan: Plan, owner: Owner, lock: threading.Lock, poll: select.poll) -> None:
        self._plan = plan
        self._owner = owner
        self._lock = lock
        self._poll = poll
        self.watch: dict[int, Callable[[int], None]] = {}
        self.workers: set[WorkerHandle] = set()
        self.hands = Hands(plan.size, self.workers)
        self.ready = 0
        self.deaths = 0
        self.recycling = Recycling(plan.max_tasks, plan.max_memory, plan.grace, self.hands, lock)
        self.lost_logs = 0
        self._wanted = plan.size
        self._look = NEVER
        self._unsent: list[WorkerHandle] = []
        self._made = 0
        self._complete = False  # nothing to start
        self._again = 0.0  # when to try again after a start that failed; 0: at once
        self._muted: dict[WorkerHandle, float] = {}
        self.rest = StderrRest()

    # --- numbers

    def count(self, *phases: Phase) -> int:
        """How many workers are in one of these phases. May be called from any thread."""
        return sum(worker.phase in phases for worker in tuple(self.workers))

    def fill(self, spare: bool) -> None:
        """Start what is missing; the spare ones, if wanted, once the others are ready."""
        if self._complete or self._again:
            return
        self._complete = True
        wanted = self._plan.size
        if spare and self.ready >= wanted:
            wanted += self._plan.spare
        self._wanted = wanted
        worn = sum(worker.worn and worker.phase is not Phase.ENDING for worker in self.workers)
        for _ in range(wanted + worn - self.count(Phase.STARTING, Phase.IDLE, Phase.BUSY)):
            if not self._start():
                self._complete = False
                self._again = time.monotonic() + _PAUSE
                return

    def _start(self) -> bool:
        self._made += 1
        try:
            resource_tracker.ensure_running()  # before, since starting it unblocks the signal
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:  # a worker is born with it blocked, and unblocks it when it ignores it
                worker = WorkerHandle(self._plan.context, self._made, self._plan.setup)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except Exception as error:  # noqa: BLE001 - of the system or the start method; it is told
            self._owner.unstartable(f"{type(error).__name__}: {error}")
            return False
        worker.due = time.monotonic() + self._plan.start_timeout
        self.workers.add(worker)
        self._register(worker.fd, lambda event: self._on_channel(worker, event))
        self._register(worker.exit_fd, lambda _: self._on_exit(worker))
        self._listen(worker)
        return True

    def _listen(self, worker: WorkerHandle) -> None:
        self._register(worker.stderr.fd, lambda _: self._on_stderr(worker))

    # --- tasks

    def hand_out(self, worker: WorkerHandle, task: Task, *, send: bool = True) -> Handed:
        """Give a task to a worker that has a place for it. Under the lock; never blocks."""
        handed = self.hands.give(worker, task, send=send)
        if handed is Handed.PARTLY:
            self._unsent.append(worker)
        return handed

    def _retire(self, worker: WorkerHandle) -> None:
        with self._lock:
            self.hands.retire(worker)

    def _kill(self, worker: WorkerHandle) -> None:
        self._retire(worker)
        worker.due = NEVER
        worker.kill()

    # --- events

    def _register(self, fd: int, handler: Callable[[int], None]) -> None:
        self.watch[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def _unregister(self, fd: int) -> None:
        if self.watch.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def _on_channel(self, worker: WorkerHandle, event: int) -> None:
        try:
            if event & select.POLLOUT:
                with self._lock:  # who submits may send to it as well
                    whole = worker.outlet.flush()
                if whole:
                    self._poll.modify(worker.fd, select.POLLIN)
            if event & _READABLE:
                self._read(worker, _READS)
        except OSError:
            worker.inbox.ended = True
        if worker.inbox.ended:
            self._unregister(worker.fd)
            self._retire(worker)
            worker.process.kill()  # if it has not ended anyway: nothing more can come of it

    def _read(self, worker: WorkerHandle, reads: int) -> None:
        """Take what the worker has sent, in at most so many reads (negative: all of it)."""
        while reads and not worker.inbox.ended:
            reads -= 1
            try:
                worker.inbox.read()
            except BlockingIOError:
                return
            try:
                while (message := worker.inbox.next()) is not None:
                    self._on_message(worker, message)
            except ParallelError:
                worker.fault = "wrote something else into its channel and"
                worker.inbox.ended = True
                return
            if worker.inbox.drained and reads > 0:
                return  # what comes later wakes us again

    def _on_message(self, worker: WorkerHandle, message: Message) -> None:
        if message.kind is Kind.OUTCOME:
            with self._lock:
                task = self.hands.answered(worker, message.number)
            if task is not None:
                self._owner.answered(task, message.data, worker.pid)
                worker.settle_arrays(task.held)
                if self.recycling.after_task(worker):
                    self._complete = False
        elif message.kind is Kind.LEASE and self._plan.heap is not None:
            answer = worker.lend(self._plan.heap, message.data)
            with self._lock:
                if not worker.outlet.send(Kind.LEASED, 0, answer):
                    self._unsent.append(worker)
        elif message.kind is Kind.HELD:
            worker.views(message.data)
        elif message.kind is Kind.LOG:
            try:
                deliver(message.data)
            except Exception:  # noqa: BLE001 - a filter of the program; logging it would meet it again
                self.lost_logs += 1
        elif message.kind is Kind.READY:
            self.ready += 1
            worker.warm = True
            self._complete = False
            with self._lock:
                self.hands.rest(worker)
            self.recycling.replace(self.workers, self._wanted)
            self._owner.ready()

    def stop(self, future: Future[Any]) -> Task | None:
        """Stop the task of a future, if a worker has it; returns it.

        One that runs ends with its worker. One that waits behind it is left where it is, and
        what it comes to is dropped.
        """
        with self._lock:
            worker = self.hands.holder(future)
            if worker is None:
                return None
            if worker.tasks[0].future is not future:
                return next(task for task in worker.tasks if task.future is future)
            first, *others = self.hands.take_all(worker)
        self._kill(worker)
        self._owner.untouched(others)
        return first

    def _on_stderr(self, worker: WorkerHandle) -> None:
        if not worker.stderr.pass_on():
            self._muted[worker] = time.monotonic() + _MUTED
        if worker.stderr.ended or worker in self._muted:
            self._unregister(worker.stderr.fd)

    def _on_exit(self, worker: WorkerHandle) -> None:
        """The process has ended: take what it still sent, then its task, then its place."""
        self._retire(worker)
        try:
            self._read(worker, -1)
        except OSError:
            worker.inbox.ended = True
        code = worker.reap()
        stderr = worker.stderr.finish(self.rest)
        self.rest.pass_on()
        self._remove(worker)
        with self._lock:
            tasks = self.hands.take_all(worker)
        how = f"{worker.fault} {describe_exit(code, worker.memory.size)}".strip()
        if not worker.told or tasks:
            self.deaths += 1
        if tasks:
            self._owner.untouched(tasks[1:])
            self._owner.lost(tasks[0], code, how, stderr)
        elif not worker.warm and not worker.told:
            end = f" Its standard error ended with:\n{stderr}" if stderr else ""
            self._owner.unstartable(f"a worker {how} before it was ready.{end}")
        worker.close()

    def _remove(self, worker: WorkerHandle) -> None:
        for fd in (worker.fd, worker.exit_fd, worker.stderr.fd):
            self._unregister(fd)
        self.workers.discard(worker)
        self._complete = False
        self._muted.pop(worker, None)

    @property
    def has_unsent(self) -> bool:
        """Whether `send_on` has something to do."""
        return bool(self._unsent)

    def send_on(self) -> None:
        """Send what waits; where a channel is full, watch for room in it."""
        while self._unsent:
            worker = self._unsent.pop()
            with self._lock:
                try:
                    whole = worker.outlet.flush()
                except OSError:  # it ended since, which will be seen
                    continue
            if not whole and worker.fd in self.watch:
                self._poll.modify(worker.fd, select.POLLIN | select.POLLOUT)

    # --- clocks

    def next_due(self) -> float:
        """When `look_at_clocks` has something to do (`time.monotonic()`)."""
        soonest = min([worker.due for worker in self.workers], default=NEVER)
        if self.hands.busy:
            self._look = min(self._look, time.monotonic() + _LOOK)
            soonest = min(soonest, self._look)
        if self._muted:
            soonest = min(soonest, *self._muted.values())
        if self.rest:
            soonest = min(soonest, time.monotonic() + _MUTED)
        return min(soonest, self._again) if self._again else soonest

    def look_at_clocks(self, now: float) -> None:
        """Do what is due: kill who is over its limit, go on ending, listen again."""
        if self._again <= now:
            self._again = 0.0
        if self._look <= now:
            self._look = NEVER
            for worker in self.workers:
                worker.memory.look()
        for worker in [worker for worker in self.workers if worker.due <= now]:
            self._on_due(worker, now)
        self.rest.pass_on()
        if self._muted:
            for worker in [worker for worker, due in self._muted.items() if due <= now]:
                del self._muted[worker]
                self._listen(worker)

    def _on_due(self, worker: WorkerHandle, now: float) -> None:
        if worker.phase is Phase.BUSY:
            self._on_channel(worker, select.POLLIN)  # it may have answered just in time
            with self._lock:
                tasks = self.hands.take_all(worker, now)
            if tasks:
                self._kill(worker)
                self._owner.overdue(tasks[0])
        elif worker.phase is Phase.STARTING:
            self._kill(worker)
            self._owner.unstartable(
                f"a worker was not ready within {self._plan.start_timeout} s and was killed."
            )
        else:
            worker.end()
            worker.due = now + self._plan.grace if worker.pressure < 3 else NEVER

    # --- the end

    def dismiss(self) -> None:
        """Ask the idle to end, and kill those that are not warmed up yet."""
        due = time.monotonic() + self._plan.grace
        with self._lock:
            idle = self.hands.retire_idle()
        for worker in idle:
            worker.end()
            worker.due = due
        for worker in self.workers:
            if worker.phase is Phase.STARTING:
                self._kill(worker)

    def abort(self) -> list[Task]:
        """Terminate those that work; returns their tasks, which will not be answered."""
        due = time.monotonic() + self._plan.grace
        tasks: list[Task] = []
        for worker in self.workers:
            with self._lock:
                given = self.hands.take_all(worker)
            if given:
                tasks += given
                worker.pressure = 1
                worker.end()
                worker.due = due
        return tasks
