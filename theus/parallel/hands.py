"""Who has what: the idle workers of a crew, and the tasks in the hands of the others.

Everything here is done under the dispatcher's lock, for a few instructions and at most one
write that does not block.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from enum import Enum
from typing import Any, final

from theus.parallel.channel import Kind
from theus.parallel.handle import NEVER, Phase, WorkerHandle
from theus.parallel.pace import Pace
from theus.parallel.task import Task

__all__ = ["Handed", "Hands"]


class Handed(Enum):
    """What became of a task that was handed out."""

    NOT = 0  # the worker is gone
    WHOLE = 1
    PARTLY = 2  # the dispatcher sends the rest


@final
class Hands:
    """Tasks on their way to workers and back.

    Parameters
    ----------
    size:
        How many workers may have tasks at a time.
    workers:
        All workers of the crew.
    """

    def __init__(self, size: int, workers: set[WorkerHandle]) -> None:
        self._size = size
        self._workers = workers
        self.pace = Pace()
        self.idle: list[WorkerHandle] = []
        self.busy = 0

    @property
    def free(self) -> bool:
        """Whether any task can be handed out now."""
        return bool(self.idle) and self.busy < self._size

    def place(self, task: Task) -> WorkerHandle | None:
        """Who can take a task now: an idle worker, else the one with the fewest short ones."""
        if self.idle and self.busy < self._size:
            return self.idle[-1]
        ahead = self.pace.ahead(task)
        found = None
        if ahead > 1:  # a worker that leaves has no ``ahead``
            for worker in self._workers:
                count = len(worker.tasks)
                if 0 < count < min(ahead, worker.ahead) and worker.phase is Phase.BUSY:
                    found, ahead = worker, count
        return found

    def give(self, worker: WorkerHandle, task: Task, *, send: bool = True) -> Handed:
        """Give a task to a worker with a place for it; ``send`` False leaves it in the outlet."""
        if not worker.tasks:
            self.idle.remove(worker)
            self.busy += 1
            worker.phase = Phase.BUSY
            worker.ahead = self.pace.ahead(task)
            if task.limit is not None:
                worker.due = time.monotonic() + task.limit
        else:
            worker.ahead = min(worker.ahead, self.pace.ahead(task))
        worker.tasks.append(task)  # before it is sent: the answer may be read while `send` returns
        try:
            whole = worker.outlet.send(Kind.TASK, task.number, task.data, flush=send)
        except OSError:  # it ended since; the dispatcher will see that
            worker.tasks.pop()
            if not worker.tasks:
                self.busy -= 1
            worker.phase = Phase.ENDING
            return Handed.NOT
        task.attempts += 1
        return Handed.WHOLE if whole else Handed.PARTLY

    def answered(self, worker: WorkerHandle, number: int) -> Task | None:
        """Take the first of its tasks, which has to be that, from a worker."""
        if not worker.tasks or worker.tasks[0].number != number:
            return None
        task = worker.tasks.popleft()
        worker.answered += 1
        if not worker.tasks:
            self.busy -= 1
            if worker.leaving:
                worker.phase = Phase.ENDING
            self.rest(worker)
        return task

    def leave(self, worker: WorkerHandle) -> None:
        """Give it no more tasks; it ends when it has answered those that it has."""
        worker.leaving = True
        worker.ahead = 0
        if worker.phase is Phase.IDLE:
            self.retire(worker)

    def holder(self, future: Future[Any]) -> WorkerHandle | None:
        """Who has the task of a future."""
        for worker in self._workers:
            if any(task.future is future for task in worker.tasks):
                return worker
        return None

    def take_all(self, worker: WorkerHandle, late: float | None = None) -> list[Task]:
        """Take its tasks from a worker, if its limit was over at the time ``late``.

        None but the first can have been begun; the others count no attempt.
        """
        if not worker.tasks or (late is not None and worker.due > late):
            return []  # ``due`` may be that of a task it was given in the meantime
        tasks = list(worker.tasks)
        worker.tasks.clear()
        self.busy -= 1
        for task in tasks[1:]:
            task.attempts -= 1
        return tasks

    def rest(self, worker: WorkerHandle) -> None:
        """The worker is idle, unless it has been told to end."""
        if worker.phase is not Phase.ENDING:
            worker.phase = Phase.IDLE
            worker.due = NEVER
            self.idle.append(worker)

    def retire(self, worker: WorkerHandle) -> None:
        """Give it no more tasks."""
        if worker.phase is Phase.IDLE:
            self.idle.remove(worker)
        worker.phase = Phase.ENDING

    def retire_idle(self) -> list[WorkerHandle]:
        """Give none of the idle any more; returns them."""
        idle, self.idle = self.idle, []
        for worker in idle:
            worker.phase = Phase.ENDING
        return idle
