"""What happens after a conflict: back-off, tickets, fences.

Two things live here. `ConflictManager` is the public policy: failures per key, exponential
back-off, a VIP after too many of them. `Arbiter` is what the engine's retry loop uses, per
attempt chain (one logical call with all its attempts), so two runs of one process never share
anything:

* after `max_retries` failures a chain takes a ticket and waits in a FIFO queue;
* the first in the queue holds the fence: what it read and wrote in its last attempt is closed
  to commits of others until it is through. If it fails once more, its footprint has moved, and
  the fence becomes universal: then nothing else commits before it, so it succeeds at the next
  attempt, the last of at most `max_retries + 2`;
* a ticket is a lease: it ends with its holder (success, error, cancellation) or at its
  deadline, whichever comes first. Who waits holds nothing, so there is no deadlock.

Locks: each class has one lock, held for a few assignments; callbacks run outside of it.
"""

cimport cython
from theus._core.delta cimport OP_CUT, OP_LIST, OP_TAIL, Op
from theus._core.fault cimport FENCE_NOT_RELEASED, planted
from theus._core.footprint cimport Footprint
from theus._core.log cimport KEY
from theus._core.store cimport Store

import collections
import random
import threading
import time

FACTOR_LOW = 0.8
FACTOR_HIGH = 1.2
MAX_WAIT_MS = 1000.0
BLOCKED_WAIT_MS = 50.0
VIP_WAIT_MS = 1.0


@cython.final
cdef class RetryDecision:
    """What to do after a conflict: `should_retry`, and how long to wait (`wait_ms`)."""

    cdef readonly bint should_retry
    cdef readonly double wait_ms

    def __init__(self, bint should_retry, double wait_ms):
        self.should_retry = should_retry
        self.wait_ms = wait_ms

    def __repr__(self):
        return f"RetryDecision(should_retry={self.should_retry}, wait_ms={self.wait_ms:.3f})"

    def __eq__(self, other):
        if type(other) is not RetryDecision:
            return NotImplemented
        return (
            self.should_retry == (<RetryDecision>other).should_retry
            and self.wait_ms == (<RetryDecision>other).wait_ms
        )

    def __hash__(self):
        return hash((self.should_retry, self.wait_ms))


def backoff_ms(base_ms, failures):
    """base x 2^(failures-1) x U(0.8, 1.2) milliseconds, at most one second."""
    wait = base_ms * 2.0 ** min(failures - 1, 30)
    return min(wait, MAX_WAIT_MS) * random.uniform(FACTOR_LOW, FACTOR_HIGH)


@cython.final
cdef class ConflictManager:
    """Failures per key, exponential back-off, and one VIP at a time.

    Parameters
    ----------
    max_retries:
        After so many failures a key becomes the VIP holder (if there is none).
    base_backoff_ms:
        Wait after the first failure, in milliseconds.
    lease_ms:
        A VIP that neither succeeds nor reports within this time loses its place.

    Thread-safe: one lock, held for a few assignments.
    """

    cdef readonly Py_ssize_t max_retries
    cdef readonly double base_backoff_ms
    cdef readonly double lease_ms
    cdef dict failures
    cdef object vip
    cdef double deadline
    cdef object lock

    def __init__(self, Py_ssize_t max_retries=5, double base_backoff_ms=2.0, *, double lease_ms=5000.0):
        if max_retries < 1 or base_backoff_ms < 0 or lease_ms <= 0:
            raise ValueError(
                f"max_retries must be at least 1, base_backoff_ms at least 0 and lease_ms above 0; "
                f"got {max_retries}, {base_backoff_ms}, {lease_ms}"
            )
        self.max_retries = max_retries
        self.base_backoff_ms = base_backoff_ms
        self.lease_ms = lease_ms
        self.failures = {}
        self.lock = threading.Lock()

    cdef object holder(self):
        if self.vip is not None and time.monotonic() > self.deadline:
            self.failures.pop(self.vip, None)
            self.vip = None
        return self.vip

    def report_conflict(self, key):
        """Count a failure of `key` -> RetryDecision."""
        with self.lock:
            count = self.failures.get(key, 0) + 1
            self.failures[key] = count
            vip = self.holder()
            if vip is not None and vip != key:
                return RetryDecision(True, BLOCKED_WAIT_MS)
            if count >= self.max_retries:
                self.vip = key
                self.deadline = time.monotonic() + self.lease_ms / 1000.0
                return RetryDecision(True, VIP_WAIT_MS)
            return RetryDecision(True, backoff_ms(self.base_backoff_ms, count))

    def report_success(self, key):
        """Forget the failures of `key` and, if it holds it, the VIP place."""
        with self.lock:
            self.failures.pop(key, None)
            if self.vip is not None and self.vip == key:
                self.vip = None

    def release(self, key):
        """A holder that gave up (error, cancellation): as success, for the others."""
        self.report_success(key)

    def is_blocked(self, key):
        """Whether another key holds the VIP place now."""
        with self.lock:
            vip = self.holder()
            return vip is not None and vip != key

    def get_failure_count(self, key):
        """Failures of `key` since its last success."""
        with self.lock:
            return self.failures.get(key, 0)

    @property
    def vip_holder(self):
        """The key that holds the VIP place, or None."""
        with self.lock:
            return self.holder()


@cython.final
cdef class Ticket:
    """Priority of one attempt chain. `deadline` is monotonic time; 0 until it is first."""

    cdef bint blocks(self, Footprint footprint) except -1:
        """Whether a commit with the operations of an attempt must wait. Under the store's mutex."""
        cdef Op op
        if self.over or time.monotonic() > self.deadline:
            return False
        if self.universal:
            return True
        for item in footprint.op_list():
            op = <Op>item
            keys_of = self.nodes.get(op.node)
            if keys_of is not None:
                if None in keys_of or op.code == OP_LIST or op.code == OP_CUT or op.key in keys_of:
                    return True
        return False

    cdef int cover(self, Footprint footprint) except -1:
        """Close what the attempt read and wrote."""
        cdef Py_ssize_t index
        cdef dict nodes = {}
        cdef Op op
        for index in range(footprint.count):
            node = <object>footprint.reads[index].node
            if footprint.reads[index].what == KEY:
                nodes.setdefault(node, set()).add(<object>footprint.reads[index].key)
            else:
                nodes.setdefault(node, set()).add(None)
        for item in footprint.op_list():
            op = <Op>item
            nodes.setdefault(op.node, set()).add(None if op.code in (OP_LIST, OP_CUT, OP_TAIL) else op.key)
        self.nodes = nodes
        return 0

    def __repr__(self):
        return f"<Ticket of {self.label!r}, {'universal' if self.universal else len(self.nodes)} closed>"


@cython.final
cdef class Arbiter:
    """The queue of tickets of one store.

    `lease_s` is how long a holder may keep others waiting in one turn.
    """

    def __init__(self, Store store, double lease_s):
        self.store = store
        self.lease_s = lease_s
        self.queue = collections.deque()
        self.lock = threading.Lock()

    def enter(self, chain, label, Footprint footprint, lease_s=None):
        """Queue up with the footprint of the last attempt -> Ticket."""
        cdef Ticket ticket = Ticket.__new__(Ticket)
        ticket.chain = chain
        ticket.label = label
        ticket.waiters = []
        ticket.lease = self.lease_s if lease_s is None else lease_s
        ticket.cover(footprint)
        notify = []
        with self.lock:
            self.queue.append(ticket)
            notify = self.advance()
        call_all(notify)
        return ticket

    cdef list advance(self):
        """Make the first in the queue the holder; under the lock. Returns whom to wake."""
        cdef Ticket first
        cdef list notify = []
        while self.queue:
            first = <Ticket>self.queue[0]
            if first.deadline == 0:
                first.deadline = time.monotonic() + first.lease
                self.store.fence = first
                notify.extend(first.waiters)
                first.waiters = []
                return notify
            if not first.over and time.monotonic() <= first.deadline:
                return notify
            first.over = True
            self.queue.popleft()
            notify.extend(first.waiters)
            first.waiters = []
        self.store.fence = None
        return notify

    def moved(self, Ticket ticket, Footprint footprint):
        """The holder failed once more: its footprint moved, close everything."""
        with self.lock:
            ticket.cover(footprint)
            ticket.universal = True

    def leave(self, Ticket ticket):
        """The chain is through, or gave up. Safe to call more than once."""
        if planted() == FENCE_NOT_RELEASED:
            return
        notify = []
        with self.lock:
            ticket.over = True
            notify = ticket.waiters
            ticket.waiters = []
            if self.queue and self.queue[0] is ticket:
                self.queue.popleft()
                notify = notify + self.advance()
            else:
                try:
                    self.queue.remove(ticket)
                except ValueError:
                    pass
        call_all(notify)

    def is_first(self, Ticket ticket):
        """Whether the ticket holds the fence now (its turn may also be over)."""
        notify = []
        first = False
        with self.lock:
            notify = self.advance()
            first = not self.queue or self.queue[0] is ticket
        call_all(notify)
        return first or ticket.over

    def watch(self, Ticket ticket, callback):
        """Call `callback()` once when the ticket's state changes; at once if it is over already.

        For the holder of the fence that is its end, for one who queues its turn. Returns the
        seconds after which to look again in any case (the lease of the holder).
        """
        notify = []
        now = False
        left = 0.0
        with self.lock:
            notify = self.advance()
            if ticket.over:
                now = True
            else:
                now = False
                ticket.waiters.append(callback)
            first = <Ticket>self.queue[0] if self.queue else None
            left = 0.0 if first is None else max(0.0, first.deadline - time.monotonic())
        call_all(notify)
        if now:
            callback()
        return left + 0.001

    @property
    def holder(self):
        """The ticket that holds the fence, or None."""
        return self.store.fence

    @property
    def waiting(self):
        """Number of tickets in the queue, the holder included."""
        return len(self.queue)


cdef int call_all(list callbacks) except -1:
    for callback in callbacks:
        callback()
    return 0
