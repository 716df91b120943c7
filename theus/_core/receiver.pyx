"""Receivers: one subscription to a hub, blocking and immediate forms of receiving.

A receiver reads the hub's ring by a cursor of its own, or, where it chooses topics or a policy, a
mailbox. What is awaited is in `theus.signals`. Threads: see `channel`.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from theus._core.channel cimport Hub, checked
from theus._core.mailbox cimport Mailbox, Waiters
from theus._core.signal cimport Signal, signal_of

import _thread
import time

from theus._core.channel import LARGEST
from theus._core.mailbox import LONGEST_WAIT
from theus.errors import SettingsError, SignalClosedError, SignalLaggedError, SignalTimeoutError

cdef extern from "Python.h":
    Py_ssize_t PyList_GET_SIZE(PyObject* items) noexcept


@cython.no_gc_clear
cdef class Receiver:
    """One receiver of what a hub publishes from now on. Safe to use from any thread.

    Every form of receiving gives the messages in the order of their publication, each once.
    Several threads or tasks may share a receiver: each message then goes to one of them.
    After messages were lost the next call raises `SignalLaggedError` once; the call after it
    goes on with the oldest message kept. Keep the receiver: the hub does not, and a receiver
    that nobody holds has left.

    Parameters
    ----------
    hub:
        Where to listen.
    capacity:
        How far it may be behind; the hub's own number unless given.
    topics, policy, key, timeout:
        What it wants to hear, and what happens when it is too slow, see `Mailbox`.
    typed:
        Whether it gets `Signal` objects instead of their texts.

    Raises
    ------
    SignalClosedError
        The hub is closed.
    SettingsError
        An option makes no sense.
    PathError
        A pattern of topics is malformed.
    """

    def __cinit__(self, Hub hub not None, capacity=None, *, topics=(), policy="drop_oldest",
                  key=None, timeout=None, typed=False):
        if hub.closed:
            raise SignalClosedError("cannot subscribe: this hub is closed")
        self.capacity = hub.capacity if capacity is None else checked("capacity", capacity, LARGEST)
        self.typed = typed
        if topics or policy != "drop_oldest" or key is not None:
            end_of(timeout)
            self.box = Mailbox(tuple(topics), self.capacity, policy, key, timeout)
        else:
            hub.grow(self.capacity)
        self.at = hub.sequence
        hub.join(self.box)
        self.hub = hub

    def __del__(self):
        self.close()

    @cython.final
    cdef uint64_t behind(self) except? 7:
        """How many messages wait, those included that are lost already."""
        return self.hub.sequence - self.at if self.box is None else self.box.count() + self.box.lost

    @cython.final
    cdef bint ready(self) except -1:
        """Whether there is something to take; raises when there never will be."""
        if self.left:
            raise SignalClosedError("this receiver is closed")
        if self.behind() != 0:
            return True
        if self.hub.closed:
            raise SignalClosedError("the hub is closed and everything was received")
        return False

    @cython.final
    cdef uint64_t find_lost(self) except? 7:
        """How many messages were lost since the last look; counts them."""
        cdef uint64_t lost = 0
        if self.box is not None:
            lost = self.box.lost
            self.box.lost = 0
        elif self.behind() > <uint64_t>self.capacity:
            lost = self.behind() - <uint64_t>self.capacity
            self.at += lost
        self.lost += lost
        self.hub.told += lost
        return lost

    @cython.final
    cdef int check(self) except -1:
        """Raise once for what was lost since the last look."""
        cdef uint64_t lost
        if self.box is None and PyList_GET_SIZE(<PyObject*>self.hub.slots) == 0:
            raise SignalClosedError("the hub has been garbage collected")
        lost = self.find_lost()
        if lost == 0:
            return 0
        raise SignalLaggedError(
            f"this receiver was too slow: it missed {lost} signals (it may be {self.capacity} "
            "behind) and goes on with the oldest kept",
            missed=lost,
        )

    @cython.final
    cdef object take(self):
        """The next message, in the form that this receiver asked for; there is one."""
        cdef object message
        self.check()
        if self.box is not None:
            message = self.box.take()
        else:
            message = self.hub.slots[<Py_ssize_t>(self.at & self.hub.mask)]
            self.at += 1
        if type(message) is Signal or self.typed:
            return self.shown(message)
        return message

    @cython.final
    cdef object shown(self, object message):
        if self.typed:
            return signal_of(message)
        return (<Signal>message).get_text() if type(message) is Signal else message

    @cython.final
    cdef list take_all(self, Py_ssize_t limit):
        """All messages that are there, `limit` at most, none formed before all are taken."""
        cdef list batch = []
        cdef bint form = self.typed
        self.check()
        if self.box is not None:
            while self.box.count() and PyList_GET_SIZE(<PyObject*>batch) < limit:
                batch.append(self.box.take())
            form = True
        else:
            while self.at != self.hub.sequence and PyList_GET_SIZE(<PyObject*>batch) < limit:
                message = self.hub.slots[<Py_ssize_t>(self.at & self.hub.mask)]
                self.at += 1
                form = form or type(message) is Signal
                batch.append(message)
        return [self.shown(message) for message in batch] if form else batch

    @cython.final
    cdef int wait(self, object deadline) except -1:
        """Wait on this thread, with the GIL released, until something is published."""
        cdef double rest = LONGEST_WAIT
        cdef object lock = _thread.allocate_lock()
        lock.acquire()
        self.enlist(lock.release)
        try:
            if self.ready():
                return 0
            if deadline is not None:
                rest = min(rest, deadline - time.monotonic())
                if rest <= 0:
                    raise SignalTimeoutError("no signal came within the time given")
            lock.acquire(True, rest)
        finally:
            self.withdraw(lock.release)
        return 0

    @cython.final
    cdef Waiters waiters(self):
        return self.hub.waiters if self.box is None else self.box.readers

    cpdef enlist(self, wake):
        """Have `wake()` called once, at the next publication or when the hub closes.

        Called on the publisher's thread; it must neither block nor fail. Look at `waiting`
        after this and before you wait.
        """
        self.waiters().enlist(wake)

    cpdef withdraw(self, wake):
        """Take back what was given to `enlist`, if it was not called yet."""
        self.waiters().withdraw(wake)

    def waiting(self):
        """Whether a receive would not have to wait (there is a message, or the end)."""
        return self.left or self.hub.closed or self.behind() != 0

    def recv(self, timeout=None):
        """The next message; blocks this thread until there is one, the GIL released.

        Parameters
        ----------
        timeout:
            Seconds to wait at most; None waits for ever.

        Raises
        ------
        SignalLaggedError
            Messages were lost since the last call (`missed` says how many).
        SignalTimeoutError
            Nothing came in time (also a `TimeoutError`).
        SignalClosedError
            The receiver, or the hub with nothing left to receive, is closed.
        """
        deadline = end_of(timeout)
        while not self.ready():
            self.wait(deadline)
        return self.take()

    def recv_batch(self, limit=None, timeout=None):
        """At least one message, and with it all that are there (`limit` at most), as a list.

        Waits and raises like `recv`. The cheapest way to receive bursts.
        """
        cdef Py_ssize_t most = limit_of(limit)
        deadline = end_of(timeout)
        while not self.ready():
            self.wait(deadline)
        return self.take_all(most)

    def try_recv(self, default=None, /):
        """The next message if there is one, else `default`; never waits. Raises like `recv`."""
        if not self.ready():
            return default
        return self.take()

    def drain(self, limit=None):
        """All messages that are there (`limit` at most), as a list; never waits.

        Raises
        ------
        SignalLaggedError
            Messages were lost since the last call.
        """
        cdef Py_ssize_t most = limit_of(limit)
        return [] if self.left else self.take_all(most)

    def __iter__(self):
        """Receive until the hub closes, blocking like `recv`."""
        return self

    def __next__(self):
        try:
            return self.recv()
        except SignalClosedError:
            raise StopIteration from None

    @property
    def pending(self):
        """How many messages can be received without waiting and without loss."""
        if self.left:
            return 0
        return min(self.behind(), <uint64_t>self.capacity) if self.box is None else self.box.count()

    @property
    def missed(self):
        """How many messages it has lost so far, as far as it was told."""
        return self.lost

    @property
    def coalesced(self):
        """How many messages were replaced by later ones (policy `coalesce`)."""
        return 0 if self.box is None else self.box.coalesced

    @property
    def refused(self):
        """How many messages it refused (policy `error`)."""
        return 0 if self.box is None else self.box.refused

    @property
    def policy(self):
        """What happens to messages for which there is no room."""
        return "drop_oldest" if self.box is None else self.box.policy

    @property
    def closed(self):
        """Whether nothing can be received any more."""
        return self.left or (self.hub.closed and self.behind() == 0)

    def close(self):
        """Unsubscribe. Calls that wait on this receiver raise `SignalClosedError`."""
        if not self.left and self.hub is not None:
            self.find_lost()
            self.left = True
            self.hub.leave(self.box)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def __repr__(self):
        state = "closed" if self.closed else f"{self.pending} pending"
        return f"<{type(self).__name__} {state}, {self.missed} missed>"


cdef Py_ssize_t limit_of(object limit) except -1:
    return LARGEST if limit is None else checked("limit", limit, LARGEST)


cdef object end_of(object timeout):
    """The moment at which a wait of `timeout` seconds is over; None for no limit."""
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise SettingsError(
            f"timeout must be a number of seconds from 0 on, or None, not {timeout!r}",
            option="timeout",
            value=timeout,
        )
    return time.monotonic() + timeout
