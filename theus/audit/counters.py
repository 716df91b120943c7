"""Counters of failures: of all of them, or of those in a window of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from theus.audit.recipe import AuditRecipe

__all__ = ["Counter", "counter_for"]

MOST = 4096
"""How many uses a counter with a window remembers; older ones count no more."""


class Counter:
    """The failures and successes of one key since its last reset. The system's lock protects it."""

    __slots__ = ("failures", "successes")

    def __init__(self) -> None:
        self.failures = 0
        self.successes = 0

    def fail(self) -> float:
        """Count a failure; what `take_back` needs."""
        self.failures += 1
        return 0.0

    def succeed(self) -> None:
        """Count a success."""
        self.successes += 1

    def take_back(self, when: float) -> None:
        """As if a failure had not happened."""
        self.failures -= 1

    def count(self) -> int:
        """Failures that count now."""
        return self.failures

    def share(self) -> float:
        """The share of failures in what counts now; 0 where nothing does."""
        return self.failures / max(1, self.failures + self.successes)


class _Window(Counter):
    """Counts what happened in the last seconds. A clock that goes back stands still for it."""

    __slots__ = ("_clock", "_now", "_seconds", "_uses")

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._uses: deque[tuple[float, bool]] = deque()
        self._now = clock()

    def fail(self) -> float:
        return self._use(True)

    def succeed(self) -> None:
        self._use(False)

    def take_back(self, when: float) -> None:
        try:
            self._uses.remove((when, True))
        except ValueError:  # it has left the window
            return
        self.failures -= 1

    def count(self) -> int:
        self._forget()
        return self.failures

    def share(self) -> float:
        self._forget()
        return super().share()

    def _use(self, failed: bool) -> float:
        self._forget()
        self._uses.append((self._now, failed))
        self._add(failed, 1)
        if len(self._uses) > MOST:
            self._add(self._uses.popleft()[1], -1)
        return self._now

    def _forget(self) -> None:
        self._now = max(self._now, self._clock())
        uses = self._uses
        while uses and uses[0][0] <= self._now - self._seconds:
            self._add(uses.popleft()[1], -1)

    def _add(self, failed: bool, number: int) -> None:
        if failed:
            self.failures += number
        else:
            self.successes += number


def counter_for(recipe: AuditRecipe, clock: Callable[[], float]) -> Counter:
    """A counter for the failures that a recipe looks at."""
    return Counter() if recipe.window is None else _Window(recipe.window, clock)
