"""StateMachine: named states, and which event leads from one to another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, final

from theus._logs import logger
from theus.errors import SettingsError, TransitionError

__all__ = ["StateMachine", "Transition"]

_log = logger("orchestrator")


class Transition(NamedTuple):
    """One move of a machine."""

    old: str
    event: str
    new: str


Observer = Callable[[Transition], object]


@final
class StateMachine:
    """A finite state machine, safe to use from any thread.

    Parameters
    ----------
    transitions:
        State -> event -> next state. Every state has an entry; one that nothing leads out of
        has an empty one.
    initial:
        The state at the start.
    history:
        How many transitions are kept.

    Raises
    ------
    SettingsError
        A state that is named has no entry.

    >>> door = StateMachine({"open": {"close": "shut"}, "shut": {"open": "open"}}, "open")
    >>> door.send("close")
    'shut'
    >>> door.send("close")
    Traceback (most recent call last):
    theus.errors.TransitionError: 'close' leads nowhere from 'shut'; possible: open
    """

    def __init__(
        self, transitions: Mapping[str, Mapping[str, str]], initial: str, *, history: int = 1000
    ) -> None:
        self._table = {state: dict(moves) for state, moves in transitions.items()}
        targets = {new for moves in self._table.values() for new in moves.values()}
        unknown = sorted({initial, *targets} - set(self._table))
        if unknown:
            raise SettingsError(
                f"states without an entry in the table: {', '.join(unknown)}; give each one, "
                f"empty where nothing leads out of it",
                option="transitions",
                value=unknown,
            )
        self._initial = self._state = initial
        self._history: deque[Transition] = deque(maxlen=history)
        self._observers: tuple[Observer, ...] = ()
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """The state now."""
        return self._state

    @property
    def states(self) -> frozenset[str]:
        """All states."""
        return frozenset(self._table)

    @property
    def events(self) -> tuple[str, ...]:
        """The events that lead out of the present state."""
        return tuple(self._table[self._state])

    @property
    def final(self) -> bool:
        """Whether nothing leads out of the present state."""
        return not self._table[self._state]

    @property
    def history(self) -> list[Transition]:
        """The last transitions, oldest first; a new list."""
        with self._lock:
            return list(self._history)

    def can(self, event: str) -> bool:
        """Whether the event leads somewhere now; another thread may change that at once."""
        return event in self._table[self._state]

    def send(self, event: str) -> str:
        """Follow an event; the new state. TransitionError where it leads nowhere.

        One of several threads that send the same event moves the machine, as far as the table
        says; observers are called on that thread, after the move.
        """
        with self._lock:
            old = self._state
            new = self._table[old].get(event)
            if new is None:
                possible = ", ".join(self._table[old]) or "nothing, it is final"
                raise TransitionError(
                    f"{event!r} leads nowhere from {old!r}; possible: {possible}",
                    state=old,
                    event=event,
                    possible=tuple(self._table[old]),
                )
            self._state = new
            move = Transition(old, event, new)
            self._history.append(move)
            observers = self._observers
        for observer in observers:
            try:
                observer(move)
            except Exception:  # noqa: BLE001 - an observer cannot undo a move; it is logged
                _log.exception("An observer failed at %s -> %s", old, new)
        return new

    def observe(self, observer: Observer) -> None:
        """Call ``observer(transition)`` after every move from now on; what it raises is logged."""
        with self._lock:
            self._observers = (*self._observers, observer)

    def reset(self) -> None:
        """Back to the initial state, with an empty history; observers are not told."""
        with self._lock:
            self._state = self._initial
            self._history.clear()
