"""Broadcast of messages: one ring per hub, one cursor per receiver (see `receiver`).

A publisher stores a message once, however many receivers there are, and does not wait. Each
receiver reads at its own pace; one that is further behind than its capacity loses the oldest
messages, is told once how many, and goes on with the oldest that it may still have. A receiver
that chooses topics, or another policy for what happens when it is behind, has a mailbox of its
own (see `mailbox`), which the publisher fills beside the ring.

The hub knows its receivers by number, and their mailboxes. A receiver holds the hub; when nobody
holds the receiver any more it leaves by itself. Nothing here starts a thread or knows event loops:
`theus.signals` adds the forms that are awaited.

Threads: the module runs under the GIL, and no method gives it up between reading a cursor
and moving it. Whoever wants to wait leaves a callable with the hub, looks once more whether
there is something to take, and only then waits, so that no message is missed in between. A
publisher takes all callables out, then calls each once. They must not block.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from theus._core.mailbox cimport Mailbox, Waiters, topic_keys
from theus._core.signal cimport Outgoing, make_signal, topic_of

from theus.errors import SettingsError, SignalFullError

cdef extern from "Python.h":
    Py_ssize_t PyList_GET_SIZE(PyObject* items) noexcept
    PyObject* PyList_GET_ITEM(PyObject* items, Py_ssize_t index) noexcept
    void PyList_SET_ITEM(PyObject* items, Py_ssize_t index, PyObject* value) noexcept
    void hold "Py_INCREF"(PyObject* value) noexcept
    void drop "Py_DECREF"(PyObject* value) noexcept

LARGEST = 1 << 24


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
        self.waiters = Waiters()
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
        if self.closed or PyList_GET_SIZE(slots) == 0:
            return 0
        self.published += 1
        if self.listeners == 0:
            return 0
        replaced = PyList_GET_ITEM(slots, at)
        hold(<PyObject*>message)
        PyList_SET_ITEM(slots, at, <PyObject*>message)
        self.sequence += 1
        drop(replaced)  # may run a destructor; the hub is whole again
        return 0

    @cython.final
    cdef Py_ssize_t offer(self, object message, list refused) except -1:
        """Put a message into the ring and the mailboxes; how many receivers get it.

        `refused` gets its topic once for every mailbox that refuses it.
        """
        cdef Py_ssize_t reached = self.listeners
        cdef str topic = topic_of(message)
        cdef tuple keys = topic_keys(topic)
        cdef Mailbox box
        if self.closed:
            return 0
        for box in self.mailboxes:
            if not box.wants(keys):
                continue
            if box.offer(message, topic):
                reached += 1
            else:
                self.refused += 1
                refused.append(topic)
        self.put(message)
        return reached

    @cython.final
    cdef int wake(self) except -1:
        """Wake everyone who waits for what is there now."""
        cdef Mailbox box
        cdef object failure = None
        if self.waiters.calls:
            failure = self.waiters.wake()
        if self.mailboxes is not None:
            for box in self.mailboxes:
                if box.readers.calls and box.count():
                    failure = box.readers.wake() or failure
        if failure is not None:
            raise failure
        return 0

    @cython.final
    cdef Py_ssize_t spread(self, list batch) except -1:
        """Publish to ring and mailboxes, then wait for room, then tell who was full."""
        cdef list refused = []
        cdef Py_ssize_t reached = 0
        for message in batch:
            reached = self.offer(message, refused)
        self.wake()
        if self.crowded:
            self.make_room()
        if refused:
            self.complain(refused, None)
        return reached

    @cython.final
    cdef int join(self, Mailbox box) except -1:
        if box is None:
            self.listeners += 1
        else:
            self.mailboxes = (box,) if self.mailboxes is None else (*self.mailboxes, box)
        self.subscribers += 1
        return 0

    @cython.final
    cdef int leave(self, Mailbox box) except -1:
        self.subscribers -= 1
        if box is not None:
            self.mailboxes = tuple([each for each in self.mailboxes if each is not box]) or None
            box.end()
            box.empty()
            return 0
        self.listeners -= 1
        if self.listeners == 0:  # drop the messages that nobody can receive
            self.slots = [None] * PyList_GET_SIZE(<PyObject*>self.slots)
        return self.wake()

    def publish(self, message, /):
        """Give `message` to every receiver that wants its topic; it is never frozen or copied.

        The topic of a `Signal` is its own, that of a text what stands before the first colon;
        other objects have none. Waits only where a receiver with the policy `block` is full.
        Returns the number of receivers that get it (0 after `close`). O(1) for all receivers
        that neither choose topics nor a policy, and O(1) for each of the others.

        Raises
        ------
        SignalFullError
            A receiver with the policy `error` is full. All others have the message.
        """
        if self.mailboxes is not None:
            return self.spread([message])
        self.put(message)
        if self.waiters.calls:
            self.wake()
        return 0 if self.closed else self.subscribers

    def hand_over(self, message, refused, /):
        """Publish without waiting; `refused` (a list) gets the topics that full receivers refused.

        Returns the number of receivers that get it.
        """
        cdef Py_ssize_t reached
        if self.mailboxes is None:
            return self.publish(message)
        reached = self.offer(message, refused)
        self.wake()
        return reached

    def publish_many(self, messages, /):
        """Give several messages, in order, as `publish` does; whoever waits is woken once.

        Returns the number of subscribers.
        """
        cdef list batch = list(messages)
        if self.mailboxes is not None:
            self.spread(batch)
        else:
            for message in batch:
                self.put(message)
            self.wake()
        return 0 if self.closed else self.subscribers

    def deliver(self, Outgoing sent not None):
        """Publish the signals of a commit, in order and once, however often it is called.

        What has to wait or to be told comes afterwards: `make_room`, `complain`.
        """
        cdef list refused = []
        cdef dict signals = sent.signals
        if sent.delivered or not signals or self.closed:
            return
        sent.delivered = True
        if not self.subscribers:
            self.published += <uint64_t>len(signals)
            return
        for topic, payload in signals.items():
            message = make_signal(<str>topic, payload, sent.version, sent.process)
            if self.mailboxes is None:
                self.put(message)
            else:
                self.offer(message, refused)
        if refused:
            sent.refused = refused
        self.wake()

    def complain(self, refused, version):
        """Raise SignalFullError for the topics that full receivers refused."""
        topics = tuple(dict.fromkeys(refused))
        done = "" if version is None else (
            f" Version {version} is committed and visible, and all other receivers were told: "
            "do not run it again."
        )
        raise SignalFullError(
            f"full receivers, subscribed with the policy error, refused signals ({len(refused)} in "
            f"all; {', '.join(map(str, topics))}).{done}",
            topics=topics, refused=len(refused), version=version,
        )

    @property
    def dropped(self):
        """How many messages receivers have lost; those of receivers without topics and policy
        count when they next receive or close."""
        cdef Mailbox box
        cdef uint64_t lost = self.told
        for box in self.mailboxes or ():
            lost += box.lost
        return lost

    @property
    def crowded(self):
        """Whether a receiver with the policy `block` has more than its capacity."""
        cdef Mailbox box
        if self.mailboxes is not None:
            for box in self.mailboxes:
                if box.crowded():
                    return True
        return False

    def make_room(self):
        """Wait on this thread until no receiver with the policy `block` is over its capacity."""
        cdef Mailbox box
        for box in self.mailboxes or ():
            box.wait()

    def stop_waiting(self):
        """From now on no publisher waits for receivers with the policy `block`; who does goes on."""
        cdef Mailbox box
        for box in self.mailboxes or ():
            box.hurry()

    def close(self):
        """End the broadcast. Receivers get what is there, then `SignalClosedError`."""
        cdef Mailbox box
        self.closed = True
        for box in self.mailboxes or ():
            box.end()
        self.wake()

    def __repr__(self):
        state = ", closed" if self.closed else ""
        name = type(self).__name__
        return f"<{name} {self.subscribers} subscribers, {self.sequence} sent{state}>"
