"""One worker process as its parent sees it: its start, its pipes, its end.

Everything here is called by the dispatcher's thread, except that another thread may send a
task to an idle worker, under the dispatcher's lock.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections import deque
from collections.abc import Sequence
from enum import Enum
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, final

from theus.parallel.arrays import block_of
from theus.parallel.channel import Inbox, Kind, Outlet
from theus.parallel.memory import Resident
from theus.parallel.stderr import StderrTail
from theus.parallel.worker import Setup, main

if TYPE_CHECKING:
    from theus.parallel.heap import Heap
    from theus.parallel.task import Task

__all__ = ["NEVER", "Phase", "WorkerHandle", "describe_exit"]

NEVER = float("inf")


class Phase(Enum):
    """Where in its life a worker is."""

    STARTING = 1
    IDLE = 2
    BUSY = 3
    ENDING = 4


def describe_exit(code: int | None, resident: int = 0) -> str:
    """An exit code in words: ``killed by signal 9 (SIGKILL)``, ``ended with exit code 3``.

    ``resident``: how many bytes of memory it had when somebody last looked.
    """
    if code is None:
        return "ended in an unknown way"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "a signal without a name"
    cause = ", perhaps by the system for want of memory" if -code == signal.SIGKILL else ""
    if cause and resident:
        cause += f"; it had {resident >> 20} MB when last seen"
    return f"was killed by signal {-code} ({name}){cause}"


@final
class WorkerHandle:
    """A worker process and its pipes.

    Parameters
    ----------
    context:
        The start method, as a context of `multiprocessing`.
    number:
        Its number in the pool, for its name.
    setup:
        What it is told once.

    Raises
    ------
    OSError, RuntimeError
        The process cannot be started; nothing of it is left open.
    """

    def __init__(self, context: BaseContext, number: int, setup: Setup) -> None:
        self.phase = Phase.STARTING
        self.tasks: deque[Task] = deque()  # the first may have begun
        self.ahead = 1  # how many it may have
        self.answered = 0
        self.worn = False  # to be replaced
        self.leaving = False  # its replacement is there
        self.warm = False
        self.fault = ""  # what it did to its channel
        self.due = NEVER
        self.pressure = 0  # how often it was told to end
        self.loans: list[Any] = []  # blocks lent for the task it has
        self.viewed: frozenset[Any] = frozenset()  # blocks that it has views of after its task
        self.kept: list[Any] = []  # the arrays in them
        self._exit_fd = -1
        opened: list[Connection] = []
        try:
            ours, theirs = context.Pipe(duplex=True)
            opened += (ours, theirs)
            reader, writer = context.Pipe(duplex=False)
            opened += (reader, writer)
            watched, self._lifeline = context.Pipe(duplex=False)
            opened += (watched, self._lifeline)
            self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                target=main, args=(theirs, writer, watched, setup), name=f"theus-worker-{number}"
            )
            self.process.start()
        except BaseException:
            for end in opened:
                end.close()
            raise
        for end in (theirs, writer, watched):
            end.close()
        self._channel = ours
        self.fd = ours.fileno()
        os.set_blocking(self.fd, False)
        self.inbox = Inbox(self.fd)
        self.outlet = Outlet(self.fd)
        self.stderr = StderrTail(reader)
        self.pid = self.process.pid or 0
        self.exit_fd = self._watch_exit()
        self.memory = Resident(self.pid)

    def _watch_exit(self) -> int:
        """A descriptor that is readable once the process ended, its own children or not."""
        opener = getattr(os, "pidfd_open", None)
        if opener is not None:
            try:
                self._exit_fd = opener(self.pid)
            except OSError:  # it ended and was waited for by another thread, or no such call
                self._exit_fd = -1
        return self._exit_fd if self._exit_fd >= 0 else self.process.sentinel

    @property
    def told(self) -> bool:
        """Whether it was told to end; if not, its end is a death."""
        return self.pressure > 0

    def lend(self, heap: Heap, question: bytes | bytearray) -> bytes:
        """Lend it memory that it asked for; the answer to send."""
        answer, loans = heap.lend(question)
        self.loans += loans
        return answer

    def views(self, data: bytes | bytearray) -> None:
        """It said which blocks it has views of after its task."""
        self.viewed = frozenset(pickle.loads(data))  # noqa: S301 - from a worker of ours

    def settle_arrays(self, held: Sequence[Any]) -> None:
        """After its task: hold of its arrays what it still has views of, and nothing else."""
        self.loans = []
        if self.viewed or self.kept:
            arrays = [*self.kept, *held]
            self.kept = [array for array in arrays if block_of(array) in self.viewed]

    def end(self) -> None:
        """Tell it to end; with every call more firmly: a message, SIGTERM, SIGKILL."""
        self.phase = Phase.ENDING
        self.pressure += 1
        if self.pressure > 2:
            self.process.kill()
        elif self.pressure > 1:
            self.process.terminate()
        else:
            try:
                self.outlet.send(Kind.STOP)
            except OSError:  # it has ended already
                return

    def kill(self) -> None:
        """End it by SIGKILL, whatever it does."""
        self.phase = Phase.ENDING
        self.pressure = 3
        self.process.kill()

    def reap(self) -> int | None:
        """Wait for the ended process; its exit code, negative for a signal."""
        self.process.join(1.0)
        return self.process.exitcode

    def close(self) -> None:
        """Close everything that is open. The process must have ended."""
        self.close_descriptors()
        if self.process.exitcode is not None:
            self.process.close()

    def close_descriptors(self) -> None:
        """Close our ends of the pipes; the worker ends if it has not."""
        self._channel.close()
        self._lifeline.close()
        self.stderr.close()
        self.memory.close()
        if self._exit_fd >= 0:
            os.close(self._exit_fd)
            self._exit_fd = -1

    def forget(self, children: set[Any]) -> None:
        """In a forked copy of the parent: let go of a worker that is not ours."""
        self.close_descriptors()
        children.discard(self.process)
