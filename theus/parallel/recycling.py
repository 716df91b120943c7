"""Workers that have done or taken enough: replaced between tasks, the new one first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import final

from theus.parallel.handle import Phase, WorkerHandle
from theus.parallel.hands import Hands

__all__ = ["Recycling"]


@final
class Recycling:
    """Says which workers are worn, and sends them away once others are ready.

    Belongs to the dispatcher's thread, like its crew; `lock` guards `hands`.
    """

    def __init__(
        self,
        max_tasks: int | None,
        max_memory: int | None,
        grace: float,
        hands: Hands,
        lock: threading.Lock,
    ) -> None:
        self._max_tasks = max_tasks
        self._max_memory = max_memory
        self._grace = grace
        self._hands = hands
        self._lock = lock
        self.count = 0

    def after_task(self, worker: WorkerHandle) -> bool:
        """Look at a worker that has answered; True if it has to be replaced from now on."""
        if worker.leaving:
            if not worker.tasks:
                self._send_away(worker)
            return False
        if worker.worn:
            return False
        worker.worn = (self._max_tasks is not None and worker.answered >= self._max_tasks) or (
            self._max_memory is not None and worker.memory.look() > self._max_memory
        )
        return worker.worn

    def replace(self, workers: Iterable[WorkerHandle], wanted: int) -> None:
        """A worker is ready: let as many worn ones go as there are more than are wanted."""
        staying = [one for one in workers if not one.leaving]
        surplus = sum(one.phase in (Phase.IDLE, Phase.BUSY) for one in staying) - wanted
        for worker in [one for one in staying if one.worn][: max(0, surplus)]:
            with self._lock:
                self._hands.leave(worker)
            if worker.phase is Phase.ENDING:
                self._send_away(worker)

    def _send_away(self, worker: WorkerHandle) -> None:
        self.count += 1
        worker.end()
        worker.due = time.monotonic() + self._grace
