"""Attempt chains: one logical call with all its attempts, its back-off and its ticket."""

cimport cython
from theus._core.conflict cimport Arbiter
from theus._core.counters cimport Counters
from theus._core.footprint cimport Footprint

from theus._core.conflict import backoff_ms
from theus.errors import RetryLimitError


@cython.final
cdef class RetryPolicy:
    """How the chains of one engine go on after a conflict.

    Parameters
    ----------
    arbiter:
        Where they queue for a ticket.
    counters:
        What counts their attempts.
    max_retries:
        Failures before a chain takes one.
    base_backoff_ms:
        Wait after the first failure; never more than four times what the process itself takes.
    """

    def __init__(
        self, Arbiter arbiter not None, Counters counters not None, *, Py_ssize_t max_retries=5,
        double base_backoff_ms=2.0,
    ):
        self.arbiter = arbiter
        self.counters = counters
        self.max_retries = max_retries
        self.base_backoff_ms = base_backoff_ms


@cython.final
cdef class Chain:
    """One logical call and its attempts: failures so far and, after too many, the ticket.

    `wait` is how long to back off before the next attempt, in milliseconds; 0 when the ticket
    decides.
    """

    def __init__(self, RetryPolicy policy not None, label, lease_s=None):
        self.policy = policy
        self.label = label
        self.lease_s = 0.0 if lease_s is None else lease_s

    cpdef int start(self) except -1:
        """Count one more attempt."""
        self.attempts += 1
        if self.attempts > self.policy.counters.max_attempts:
            self.policy.counters.max_attempts = self.attempts
        self.policy.counters.attempts += 1
        return 0

    cpdef int lost(self, Footprint tx, error, double mean_ms) except -1:
        """Count a failure and decide what comes next: `wait`, or a ticket.

        Raises RetryLimitError where the limit is reached.
        """
        cdef RetryPolicy policy = self.policy
        cdef double base
        self.wait = 0.0
        self.failures += 1
        policy.counters.retries += 1
        if self.ticket is not None and self.ticket.over:
            self.ticket = None
            self.turn = False
            if self.failures >= 3 * policy.max_retries:
                self.give_up(error)
        if self.ticket is not None:
            if self.ticket.universal and self.failures >= policy.max_retries + 4:
                self.give_up(error)
            policy.arbiter.moved(self.ticket, tx)
            return 0
        if self.failures >= policy.max_retries:
            policy.counters.tickets += 1
            self.ticket = policy.arbiter.enter(self, self.label, tx, self.lease_s or None)
            return 0
        base = policy.base_backoff_ms
        if mean_ms > 0.0 and 4.0 * mean_ms < base:
            base = 4.0 * mean_ms
        self.wait = backoff_ms(base, self.failures)
        return 0

    cdef int give_up(self, error) except -1:
        raise RetryLimitError(
            f"{self.label or 'the transaction'} lost {self.failures} times in a row, the last time to "
            f"{error.fields.get('other')!r} on {', '.join(error.fields.get('paths') or ()) or 'unknown paths'}. "
            f"Shorten it, narrow what it reads, or use commuting operations (incr, append ...).",
            **{**error.fields, "attempts": self.attempts},
        ) from error

    @property
    def must_queue(self):
        """Whether the chain has a ticket and it is not its turn yet."""
        if self.ticket is None or self.turn:
            return False
        self.turn = self.policy.arbiter.is_first(self.ticket)
        return not self.turn

    cpdef close(self):
        """The call is through or gave up: give back the ticket."""
        if self.ticket is not None:
            self.policy.arbiter.leave(self.ticket)
            self.ticket = None
