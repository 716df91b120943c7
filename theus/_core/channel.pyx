"""Broadcast of messages: one ring per hub, one cursor per receiver.

A publisher stores a message once, however many receivers there are, and never waits. Each
receiver reads at its own pace; one that is further behind than its capacity loses the oldest
messages, is told once how many, and goes on with the oldest that it may still have.

The hub knows its receivers by number only. A receiver holds the hub; when nobody holds the
receiver any more it leaves by itself. Nothing here starts a thread or knows event loops:
`theus.signals` adds the forms that are awaited.

Threads: the module runs under the GIL, and no method gives it up between reading a cursor
and moving it. Whoever wants to wait leaves a callable with the hub, looks once more whether
there is something to take, and only then waits, so that no message is missed in between. A
publisher takes all callables out, then calls each once. They must not block.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

import _thread
import time

from theus.errors import (
    SettingsError,
    SignalClosedError,
    SignalLaggedError,
    SignalTimeoutError,
)

cdef extern from "Python.h":
    Py_ssize_t PyList_GET_SIZE(PyObject* items) noexcept
    PyObject* PyList_GET_ITEM(PyObject* items, Py_ssize_t index) noexcept
    void PyList_SET_ITEM(PyObject* items, Py_ssize_t index, PyObject* value) noexcept
    void hold "Py_INCREF"(PyObject* value) noexcept
    void drop "Py_DECREF"(PyObject* value) noexcept

LARGEST = 1 << 24
LONGEST_WAIT = 24 * 3600.0


cdef Py_ssize_t checked(str option, object value, Py_ssize_t highest) except -1:
    if type(value) is not int or not 1 <= value <= highest:
        raise SettingsError(
            f"{option} must be an integer from 1 to {highest}, not {value!r}",
            option=option,
            value=value,
        )
    return value


@cython.no_gc_clear  # cycles go through `slots` and `waiters`, which the collector empties
cdef class Hub:
    """Broadcasts messages to every receiver that has joined. Safe to use from any thread.

    The last messages are kept, up to the largest capacity of any receiver so far, until they
    are replaced or the last receiver leaves.

    Parameters
    ----------
    capacity:
        How many messages a receiver may be behind before it loses the oldest (unless it
        subscribes with its own number).

    Raises
    ------
    SettingsError
        The capacity is no positive integer.
    """

    def __cinit__(self, capacity=100):
        self.capacity = checked("capacity", capacity, LARGEST)
        self.waiters = {}
        self.slots = []
        self.grow(self.capacity)

    @cython.final
    cdef int grow(self, Py_ssize_t capacity) except -1:
        """Make room for `capacity` messages; the size is a power of two and never shrinks."""
        cdef Py_ssize_t size = 1
        cdef Py_ssize_t old_size = PyList_GET_SIZE(<PyObject*>self.slots)
        cdef list slots
        cdef uint64_t number, first
        while size < capacity:
            size *= 2
        if size <= old_size:
            return 0
        slots = [None] * size
        old_size = PyList_GET_SIZE(<PyObject*>self.slots)
        if size <= old_size:  # making the list ran a destructor that subscribed
            return 0
        first = self.sequence - old_size if self.sequence > <uint64_t>old_size else 0
        for number in range(first, self.sequence):
            slots[<Py_ssize_t>(number & (size - 1))] = self.slots[<Py_ssize_t>(number & self.mask)]
        self.slots = slots
        self.mask = size - 1
        return 0

    @cython.final
    cdef int put(self, object message) noexcept:
        cdef Py_ssize_t at = <Py_ssize_t>(self.sequence & self.mask)
        cdef PyObject* slots = <PyObject*>self.slots
        cdef PyObject* replaced
        if self.subscribers == 0 or self.closed or PyList_GET_SIZE(slots) == 0:
            return 0
        replaced = PyList_GET_ITEM(slots, at)
        hold(<PyObject*>message)
        PyList_SET_ITEM(slots, at, <PyObject*>message)
        self.sequence += 1
        drop(replaced)  # may run a destructor; the hub is whole again
        return 0

    @cython.final
    cdef Py_ssize_t reached(self) noexcept:
        return 0 if self.closed else self.subscribers

    @cython.final
    cdef int wake(self) except -1:
        cdef dict waiters = self.waiters
        cdef object failure = None
        self.waiters = {}
        for call in waiters:
            try:
                call()
            except Exception as error:
                failure = error  # raised when the others are awake
        if failure is not None:
            raise failure
        return 0

    @cython.final
    cdef int leave(self) except -1:
        self.subscribers -= 1
        if self.subscribers == 0:  # drop the messages that nobody can receive
            self.slots = [None] * PyList_GET_SIZE(<PyObject*>self.slots)
        if self.waiters:
            self.wake()
        return 0

    def publish(self, message, /):
        """Give `message` to every receiver; never waits.

        Returns the number of subscribers (0 after `close`: nobody can receive any more).
        O(1), and O(waiters) where somebody waits.
        """
        self.put(message)
        if self.waiters:
            self.wake()
        return self.reached()

    def publish_many(self, messages, /):
        """Give several messages to every receiver, in order; whoever waits is woken once.

        Returns the number of subscribers.
        """
        cdef list batch = list(messages)
        for message in batch:
            self.put(message)
        if self.waiters:
            self.wake()
        return self.reached()

    def close(self):
        """End the broadcast. Receivers get what is there, then `SignalClosedError`."""
        self.closed = True
        self.wake()

    def __repr__(self):
        state = ", closed" if self.closed else ""
        name = type(self).__name__
        return f"<{name} {self.subscribers} subscribers, {self.sequence} sent{state}>"


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

    Raises
    ------
    SignalClosedError
        The hub is closed.
    SettingsError
        The capacity is no positive integer.
    """

    def __cinit__(self, Hub hub not None, capacity=None):
        if hub.closed:
            raise SignalClosedError("cannot subscribe: this hub is closed")
        self.capacity = hub.capacity
        if capacity is not None:
            self.capacity = checked("capacity", capacity, LARGEST)
            hub.grow(self.capacity)
        self.at = hub.sequence
        self.hub = hub
        hub.subscribers += 1

    def __del__(self):
        self.close()

    @cython.final
    cdef bint ready(self) except -1:
        """Whether there is something to take; raises when there never will be."""
        if self.left:
            raise SignalClosedError("this receiver is closed")
        if self.at != self.hub.sequence:
            return True
        if self.hub.closed:
            raise SignalClosedError("the hub is closed and everything was received")
        return False

    @cython.final
    cdef int check(self) except -1:
        cdef uint64_t behind = self.hub.sequence - self.at
        cdef uint64_t lost
        if PyList_GET_SIZE(<PyObject*>self.hub.slots) == 0:
            raise SignalClosedError("the hub has been garbage collected")
        if behind <= <uint64_t>self.capacity:
            return 0
        lost = behind - <uint64_t>self.capacity
        self.at += lost
        self.missed += lost
        raise SignalLaggedError(
            f"this receiver was too slow: it missed {lost} signals (it may be {self.capacity} "
            "behind) and goes on with the oldest kept",
            missed=lost,
        )

    @cython.final
    cdef object take(self):
        cdef object message
        self.check()
        message = self.hub.slots[<Py_ssize_t>(self.at & self.hub.mask)]
        self.at += 1
        return message

    @cython.final
    cdef list take_all(self, Py_ssize_t limit):
        cdef list batch = []
        self.check()
        while self.at != self.hub.sequence and PyList_GET_SIZE(<PyObject*>batch) < limit:
            batch.append(self.hub.slots[<Py_ssize_t>(self.at & self.hub.mask)])
            self.at += 1
        return batch

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

    cpdef enlist(self, wake):
        """Have `wake()` called once, at the next publication or when the hub closes.

        Called on the publisher's thread; it must neither block nor fail. Look at `waiting`
        after this and before you wait.
        """
        self.hub.waiters[wake] = None

    cpdef withdraw(self, wake):
        """Take back what was given to `enlist`, if it was not called yet."""
        self.hub.waiters.pop(wake, None)

    def waiting(self):
        """Whether a receive would not have to wait (there is a message, or the end)."""
        return self.left or self.hub.closed or self.at != self.hub.sequence

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
        cdef uint64_t behind = self.hub.sequence - self.at
        return 0 if self.left else min(behind, <uint64_t>self.capacity)

    @property
    def closed(self):
        """Whether nothing can be received any more."""
        return self.left or (self.hub.closed and self.at == self.hub.sequence)

    def close(self):
        """Unsubscribe. Calls that wait on this receiver raise `SignalClosedError`."""
        if not self.left and self.hub is not None:
            self.left = True
            self.hub.leave()

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
