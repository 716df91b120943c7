"""The states of a workflow run, which way they may follow each other, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Lock
from typing import Final

from theus._logs import logger
from theus.errors import ReentryError

__all__ = ["FSMState", "Observer", "StateMachine"]

_log = logger("flux")


class FSMState(Enum):
    """Where a workflow run is."""

    Pending = "Pending"
    Running = "Running"
    WaitingIO = "WaitingIO"
    Complete = "Complete"
    Done = "Complete"  # noqa: PIE796 - another name of the same state
    Failed = "Failed"


Observer = Callable[[FSMState, FSMState], object]

_BUSY: Final = frozenset([FSMState.Running, FSMState.WaitingIO])
_NEXT: Final = {
    FSMState.Pending: frozenset([FSMState.Running]),
    FSMState.Running: frozenset([FSMState.WaitingIO, FSMState.Complete, FSMState.Failed]),
    FSMState.WaitingIO: frozenset([FSMState.Running, FSMState.Failed]),
    FSMState.Complete: frozenset([FSMState.Pending]),
    FSMState.Failed: frozenset([FSMState.Pending]),
}


class StateMachine:
    """State, history and observers of one workflow engine.

    The history begins anew, with `Pending`, at every run, so that it is bounded by the
    operations of one run. Observers are called in the order they were added, on the thread
    that moved the state; what one raises is logged and disturbs nobody.
    """

    __slots__ = ("_history", "_lock", "_observers", "_state", "_waits")

    def __init__(self) -> None:
        self._lock = Lock()
        self._state = FSMState.Pending
        self._history = [FSMState.Pending]
        self._observers: tuple[Observer, ...] = ()
        self._waits = 0

    @property
    def state(self) -> FSMState:
        """The state now."""
        return self._state

    @property
    def history(self) -> list[FSMState]:
        """The states since the last start, oldest first; a new list."""
        with self._lock:
            return list(self._history)

    def observe(self, observer: Observer) -> None:
        """Call ``observer(old, new)`` after every move from now on."""
        with self._lock:
            self._observers = (*self._observers, observer)

    def begin(self) -> None:
        """Go to `Running` by way of `Pending`; ReentryError if a run is under way."""
        with self._lock:
            before = self._state
            if before in _BUSY:
                raise ReentryError(
                    "This workflow engine is running already; make one engine for each run "
                    "that goes on at the same time.",
                    state=before.value,
                )
            self._state = FSMState.Running
            self._history = [FSMState.Pending, FSMState.Running]
            self._waits = 0
        if before is not FSMState.Pending:
            self._tell(before, FSMState.Pending)
        self._tell(FSMState.Pending, FSMState.Running)

    def move(self, new: FSMState) -> None:
        """Go to `new`. ReentryError if it cannot follow the present state."""
        with self._lock:
            old = self._state
            if new not in _NEXT[old]:
                raise ReentryError(f"A workflow cannot go from {old.value} to {new.value}.")
            self._state = new
            self._history.append(new)
        self._tell(old, new)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """`WaitingIO` while inside; several at once, as in parallel branches, are one wait.

        All of them are of one run, hence on one thread.
        """
        self._waits += 1
        if self._waits == 1:
            self.move(FSMState.WaitingIO)
        try:
            yield
        finally:
            self._waits -= 1
            if not self._waits:
                self.move(FSMState.Running)

    def _tell(self, old: FSMState, new: FSMState) -> None:
        for observer in self._observers:
            try:
                observer(old, new)
            except Exception:  # noqa: BLE001 - an observer cannot stop a workflow; it is logged
                _log.exception("An observer failed at %s -> %s", old.value, new.value)
