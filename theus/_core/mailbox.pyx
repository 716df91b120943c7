"""Mailboxes: what waits for one receiver that chooses topics or has a policy of its own.

A publisher offers a message to every mailbox; one that wants its topic takes it. What happens
to a message for which there is no room is the policy:

- `drop_oldest`: the oldest makes room; the receiver is told how many it lost.
- `block`: it is taken, and afterwards the publisher waits until no more than the capacity is
  there. It waits when everything is handed out and no lock is held; where it cannot wait, or
  waits too long, the oldest go as with `drop_oldest`.
- `coalesce`: it replaces the message of the same topic and key in that one's place. Where there
  are more keys than the capacity, the oldest go as with `drop_oldest`.
- `error`: the mailbox refuses it, and the publisher is told.

Topics are matched by the patterns of contracts, but exactly: a contract pattern covers all that
lies below what it names, so patterns and topics are both closed with one more key, which no
topic contains, and begin with one, whose spelling is not folded as that of a zone would be.

Threads: as in `channel`, the GIL is not given up between a look at a mailbox and its change.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.freeze cimport is_plain_leaf
from theus._core.node cimport MAP, RECORD, Node, value_at
from theus._core.path cimport parse_path
from theus._core.pattern cimport READ, Position, compile_patterns
from theus._core.signal cimport Signal
from theus._core.view cimport View

import _thread
import collections
import os
import time

from theus._core.pattern import pattern_keys
from theus._logs import logger
from theus.errors import PathError, SettingsError

cdef enum Policy:
    DROP_OLDEST = 0
    BLOCK = 1
    COALESCE = 2
    REFUSE = 3

POLICIES = {"drop_oldest": DROP_OLDEST, "block": BLOCK, "coalesce": COALESCE, "error": REFUSE}
LONGEST_WAIT = 24 * 3600.0

log = logger("signals")


@cython.final
@cython.no_gc_clear
cdef class Waiters:
    """Callables of those who wait for something; each is called once, and must not block."""

    def __cinit__(self):
        self.calls = {}

    def __len__(self):
        return len(self.calls)

    cpdef enlist(self, wake):
        """Have `wake()` called at the next change."""
        self.calls[wake] = None

    cpdef withdraw(self, wake):
        """Take back what was given to `enlist`, if it was not called yet."""
        self.calls.pop(wake, None)

    cdef object wake(self):
        """Call all of them; returns the last error of one, to be raised when all are awake."""
        cdef dict calls = self.calls
        cdef object failure = None
        self.calls = {}
        for call in calls:
            try:
                call()
            except BaseException as error:  # an interrupt too must not leave others asleep
                failure = error
        return failure


@cython.final
@cython.no_gc_clear
cdef class Mailbox:
    """The messages of one receiver, and what happens when they become too many.

    Parameters
    ----------
    topics:
        Patterns of topics; none: every message, those without a topic included.
    capacity:
        How many messages it holds.
    policy:
        "drop_oldest", "block", "coalesce" or "error".
    key:
        With `coalesce`: the path, in the payload, of what tells messages of a topic apart.
    timeout:
        With `block`: how many seconds a publisher waits at most; None: for ever.

    Raises
    ------
    SettingsError
        An option makes no sense.
    PathError
        A pattern or the key is malformed.
    """

    def __init__(self, tuple topics, Py_ssize_t capacity, policy, key, timeout):
        if policy not in POLICIES:
            raise SettingsError(
                f"policy must be one of {', '.join(POLICIES)}, not {policy!r}",
                option="policy", value=policy,
            )
        if key is not None and policy != "coalesce":
            raise SettingsError(
                f"key is for the policy coalesce, not for {policy}", option="key", value=key
            )
        self.capacity = capacity
        self.policy = policy
        self.code = POLICIES[policy]
        self.key = None if key is None else parse_path(f"payload.{key}")[1:]
        self.timeout = timeout
        self.topics = compiled(topics) if topics else None
        self.queue = collections.OrderedDict() if self.code == COALESCE else collections.deque()
        self.readers = Waiters()
        self.writers = Waiters()
        self.owner = os.getpid()

    cdef bint wants(self, tuple keys) except -1:
        """Whether messages of a topic (its keys; None: no topic) belong here."""
        cdef Position here = self.topics
        if self.closed:
            return False
        if here is None:
            return True
        if keys is None:
            return False
        for key in keys:
            here = here.step(key)
        return here.flags & READ

    cdef bint offer(self, object message, str topic) except -1:
        """Take a message; False where it is refused."""
        cdef object _dropped  # its destructor runs when the mailbox is whole again
        if self.code == COALESCE:
            self.coalesce(message, topic)
            return True
        if self.code == REFUSE and len(self.queue) >= self.capacity:
            self.refused += 1
            return False
        self.queue.append(message)
        if self.code == DROP_OLDEST and len(self.queue) > self.capacity:
            _dropped = self.queue.popleft()
            self.lost += 1
        return True

    cdef int coalesce(self, object message, str topic) except -1:
        cdef object replaced, _dropped
        key = (topic, None if self.key is None else key_at(message, self.key))
        replaced = self.queue.get(key, MISSING)
        self.queue[key] = message
        if replaced is not MISSING:
            self.coalesced += 1
        elif len(self.queue) > self.capacity:
            _dropped = self.queue.popitem(last=False)
            self.lost += 1
        return 0

    cdef object take(self):
        """The oldest message; there is one."""
        message = (
            self.queue.popitem(last=False)[1] if self.code == COALESCE else self.queue.popleft()
        )
        if self.writers.calls and not self.crowded():
            self.writers.wake()
        return message

    cdef Py_ssize_t count(self) except -1:
        return len(self.queue)

    cdef int end(self) except -1:
        """Nothing more will come; publishers do not wait for room any more."""
        self.closed = True
        self.readers.wake()
        self.writers.wake()
        return 0

    cdef int empty(self) except -1:
        self.queue.clear()
        return 0

    cpdef bint crowded(self) except -1:
        """Whether a publisher has to wait for room here."""
        return self.code == BLOCK and not self.closed and len(self.queue) > self.capacity

    cpdef trim(self):
        """Drop the oldest messages beyond the capacity instead of waiting for room."""
        cdef list dropped = []
        while self.crowded():
            dropped.append(self.queue.popleft())
            self.lost += 1
        if dropped:
            log.warning(
                "a receiver with the policy block lost %d signals: no room came, or the publisher "
                "could not wait for it", len(dropped),
            )
            self.writers.wake()

    cpdef double patience(self, double start) except? -1:
        """Seconds that a publisher who waits since `start` has left."""
        if self.timeout is None:
            return LONGEST_WAIT
        return min(LONGEST_WAIT, self.timeout - (time.monotonic() - start))

    cpdef hurry(self):
        """Nobody waits for room any more; who does gives up."""
        self.timeout = 0.0
        self.writers.wake()

    cpdef wait(self):
        """Wait on this thread, with the GIL released, until there is room, then trim."""
        cdef double rest, start = time.monotonic()
        if os.getpid() != self.owner:  # nobody receives here after a fork
            self.trim()
        while self.crowded():
            rest = self.patience(start)
            if rest <= 0:
                self.trim()
                return
            lock = _thread.allocate_lock()
            lock.acquire()
            self.writers.enlist(lock.release)
            try:
                if self.crowded():
                    lock.acquire(True, rest)
            finally:
                self.writers.withdraw(lock.release)


cdef object MISSING = object()
cdef str END = "."


cdef Position compiled(tuple patterns):
    """The position at which the keys of a topic are looked up, see `topic_keys`."""
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise PathError(
                f"a pattern of topics is text, not {pattern!r}", path=repr(pattern)
            )
        pattern_keys(pattern)
    closed = [f'topic.{pattern}["{END}"]' for pattern in patterns]
    return compile_patterns(closed, (), False).step("topic")


cdef tuple topic_keys(str topic):
    """The keys of a topic, closed by the one that no topic contains; None for no topic."""
    return None if topic is None else (*topic.split(END), END)


cdef object key_at(object message, tuple path):
    """What stands at a path of the payload; None where there is nothing that can be a key.

    Only payloads of signals are looked into, and only into mappings and records in them.
    """
    cdef PyObject* found
    cdef View view
    if type(message) is not Signal or not isinstance((<Signal>message).payload, View):
        return None
    view = <View>(<Signal>message).payload
    value = view.node
    for key in path:
        if type(value) is not Node or (<Node>value).kind not in (MAP, RECORD):
            return None
        found = value_at(<Node>value, key, view.ver)
        if found is NULL:
            return None
        value = <object>found
    return value if is_plain_leaf(value) else None
