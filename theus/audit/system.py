"""The audit system: counters per key and a bounded log."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

from theus._core.ring import Ring
from theus.audit.counters import Counter, counter_for
from theus.audit.levels import Outcome
from theus.audit.log import AuditLogEntry, shortened
from theus.audit.recipe import AuditRecipe, AuditRule
from theus.errors import AuditWarning

__all__ = ["AuditSystem", "CountedFailure", "act_on"]


class CountedFailure(NamedTuple):
    """A failure that was counted, and what follows from it."""

    key: str
    number: int
    outcome: Outcome
    counter: Counter | None
    when: float = 0.0


class AuditSystem:
    """Counts failures per key, logs them, and warns or raises by its recipe.

    Counters and log belong to this object alone. Safe to use from any thread: no failure is
    lost and no entry torn. The log keeps the newest `capacity` entries and cannot be cleared.

    Parameters
    ----------
    recipe:
        How failures are taken; `AuditRecipe()` unless given.
    capacity:
        How many log entries are kept.
    clock:
        Seconds for windows, never going back. Called under the system's lock.

    Raises
    ------
    SettingsError
        The capacity is no positive integer.
    """

    def __init__(
        self,
        recipe: AuditRecipe | None = None,
        capacity: int = 1000,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._recipe = AuditRecipe() if recipe is None else recipe
        self._ring = Ring(capacity)
        self._append = self._ring.append
        self._counters: dict[str, Counter] = {}
        self._lock = threading.RLock()  # re-entrant: a destructor may log while it is held

    @property
    def recipe(self) -> AuditRecipe:
        """How failures are taken."""
        return self._recipe

    # --- what happens --------------------------------------------------------------------

    def log_fail(self, key: str, message: str = "", *, recipe: AuditRecipe | None = None) -> int:
        """Count and log a failure; returns the count of the key.

        Parameters
        ----------
        recipe:
            Takes the place of the system's recipe for this failure.

        Warns
        -----
        AuditWarning
            Level Block, from `threshold_min` on.

        Raises
        ------
        AuditStopError, AuditAbortError, AuditBlockError
            As the truth table of `theus.audit.levels` says. The failure is counted and logged.
        """
        failure = self.count_failure(key, recipe)
        self.log_failure(failure, message)
        act_on(failure, message, stacklevel=3)
        return failure.number

    def log_success(
        self, key: str, message: str = "", *, recipe: AuditRecipe | None = None
    ) -> None:
        """Log a success; it resets the count of the key if the recipe says so."""
        if key in self._counters or (recipe or self._recipe).rate is not None:
            self.count_success(key, recipe)
        self._append(key, shortened(f"success: {message}") if message else "success")

    def log(self, key: str, message: str) -> None:
        """Log something that is neither a failure nor a success."""
        self._append(str(key), shortened(str(message)))

    # --- in steps, for those who can still take a failure back ---------------------------

    def count_failure(self, key: str, recipe: AuditRecipe | None = None) -> CountedFailure:
        """Count a failure without logging it or acting on it; `uncount` takes it back."""
        chosen = self._recipe if recipe is None else recipe
        if not chosen.level.counts:
            return CountedFailure(key, 0, None, None)
        with self._lock:
            counter = self._counter(key, chosen)
            when = counter.fail()
            count, share = counter.count(), counter.share()
        return CountedFailure(key, count, chosen.level.verdict(count, chosen, share), counter, when)

    def _counter(self, key: str, recipe: AuditRecipe) -> Counter:
        """The counter of a key; call under the lock."""
        counter = self._counters.get(key)
        if counter is None:
            self._counters[key] = counter = counter_for(recipe, self._clock)
        return counter

    def uncount(self, failure: CountedFailure) -> None:
        """Take a failure back, as if it had not happened. A reset since then stands."""
        counter = failure.counter
        if counter is None:
            return
        with self._lock:
            counter.take_back(failure.when)
            unused = counter.failures == 0 and counter.successes == 0
            if unused and self._counters.get(failure.key) is counter:
                del self._counters[failure.key]

    def count_success(self, key: str, recipe: AuditRecipe | None = None) -> None:
        """What a success does to the count of a key, without logging it."""
        chosen = self._recipe if recipe is None else recipe
        if chosen.reset_on_success:
            with self._lock:
                self._counters.pop(key, None)
        elif chosen.rate is not None:
            with self._lock:
                self._counter(key, chosen).succeed()

    def log_failure(self, failure: CountedFailure, message: str = "") -> None:
        """Log a failure that was counted before."""
        text = f"failure {failure.number}" if failure.number else "failure, ignored"
        self._append(failure.key, shortened(f"{text}: {message}") if message else text)

    # --- looking -------------------------------------------------------------------------

    def get_count(self, key: str) -> int:
        """Failures of a key since its last reset."""
        with self._lock:
            counter = self._counters.get(key)
            return 0 if counter is None else counter.count()

    def get_count_all(self) -> dict[str, int]:
        """Failures of every key that has any."""
        with self._lock:
            counts = {key: counter.count() for key, counter in self._counters.items()}
        return {key: count for key, count in counts.items() if count}

    def get_logs(self, since: int = 0) -> list[AuditLogEntry]:
        """The entries kept, oldest first; only those numbered above `since`. O(entries)."""
        return [
            AuditLogEntry(timestamp, key, message, sequence)
            for sequence, timestamp, key, message in self._ring.entries(since)
        ]

    @property
    def ring_buffer_len(self) -> int:
        """How many entries the log holds now."""
        return len(self._ring)

    @property
    def capacity(self) -> int:
        """How many entries the log can hold."""
        return self._ring.capacity

    @property
    def dropped(self) -> int:
        """How many entries were replaced by newer ones."""
        return self._ring.dropped

    def __repr__(self) -> str:
        return (
            f"<AuditSystem {len(self._counters)} keys with failures, "
            f"{len(self._ring)} of {self._ring.capacity} entries>"
        )


def act_on(
    failure: CountedFailure, message: str, *, rule: AuditRule | None = None, stacklevel: int = 2
) -> None:
    """Warn or raise, as the outcome of a failure says.

    Raises
    ------
    AuditStopError, AuditAbortError, AuditBlockError
        With `key`, `count` and `rule`.
    """
    outcome = failure.outcome
    if outcome is None:
        return
    times = "once" if failure.number == 1 else f"{failure.number} times"
    text = f"audit: {failure.key} failed {times}" + (f": {message}" if message else "")
    if issubclass(outcome, AuditWarning):
        warnings.warn(text, outcome, stacklevel=stacklevel)
        return
    raise outcome(f"{text} ({outcome.remedy})", key=failure.key, count=failure.number, rule=rule)
