"""Back-pressure: how many unfinished tasks a pool may hold, and who waits for room."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import final

from theus.errors import PoolClosedError, PoolFullError, SettingsError, TaskTimeoutError

__all__ = ["Admission"]


@final
class Admission:
    """Counts the tasks inside; whoever finds it full waits or is refused.

    Parameters
    ----------
    limit:
        How many tasks may be inside.

    ``entered`` counts all that went in. All methods may be called from any thread. One lock
    guards the counts and the waiters; it is never held while a future is completed.
    """

    __slots__ = ("_closed", "_inside", "_lock", "_room", "_waiters", "entered", "limit")

    def __init__(self, limit: int) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise SettingsError(
                f"`max_pending` is a positive whole number, not {limit!r}",
                option="max_pending",
                value=limit,
            )
        self.limit = limit
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._inside = 0
        self.entered = 0
        self._closed = False
        self._waiters: list[Future[None]] = []

    @property
    def inside(self) -> int:
        """How many tasks are inside."""
        return self._inside

    def enter(self, wait: bool = True, beyond: bool = False, seconds: float | None = None) -> None:
        """Take a place; waits for one, unless ``wait`` is False.

        Parameters
        ----------
        wait:
            False raises `PoolFullError` instead of waiting.
        beyond:
            True goes in although it is full: for whoever would wait for itself.
        seconds:
            Longest wait; a `TaskTimeoutError` afterwards.

        Raises
        ------
        PoolFullError, TaskTimeoutError
            There is no place.
        PoolClosedError
            The pool was shut down, before or while this waited.
        """
        with self._lock:
            until = None if seconds is None else time.monotonic() + seconds
            while not self._closed and not beyond and self._inside >= self.limit:
                if not wait:
                    raise PoolFullError(
                        f"the pool holds {self.limit} unfinished tasks, as many as it may",
                        limit=self.limit,
                    )
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise TaskTimeoutError(
                        f"no place in the pool within {seconds} s: it holds {self.limit} "
                        f"unfinished tasks",
                        task="",
                        limit_s=seconds,
                    )
                self._room.wait(left)
            if self._closed:
                raise PoolClosedError("the pool was shut down and takes no tasks")
            self._inside += 1
            self.entered += 1

    def leave(self) -> None:
        """Give a place back; whoever waits for one is woken."""
        with self._lock:
            self._inside -= 1
            if self._inside >= self.limit:
                return
            self._room.notify()
            waiters, self._waiters = self._waiters, []
        _complete(waiters)

    def when_free(self) -> Future[None]:
        """A future that is done when there is room, or when the pool was shut down.

        A place is not kept: ask for it, and if somebody was faster, wait again.
        """
        future: Future[None] = Future()
        with self._lock:
            if not self._closed and self._inside >= self.limit:
                self._waiters.append(future)
                return future
        _complete([future])
        return future

    def close(self) -> None:
        """Let nobody in any more, and wake everybody who waits."""
        with self._lock:
            self._closed = True
            self._room.notify_all()
            waiters, self._waiters = self._waiters, []
        _complete(waiters)


def _complete(futures: list[Future[None]]) -> None:
    for future in futures:
        if future.set_running_or_notify_cancel():
            future.set_result(None)
