"""`Signal`: something that happened, with the commit that made it so; and what a commit sends.

A payload leaves its transaction when the signal is queued: it is copied in as the state would
copy it, and is read-only from then on, so nothing committed can be changed through a signal and
no receiver can change what another one gets. What the state could not hold (an exception, a
connection) is sent as its text.
"""

cimport cython
from theus._core.freeze cimport ingest, is_plain_leaf, thaw_value
from theus._core.held cimport is_held, plain_of
from theus._core.node cimport Node, u64
from theus._core.view cimport view_of

from theus.errors import ContextError, ImmutableError, UnsupportedValueError


@cython.final
@cython.freelist(64)
cdef class Signal:
    """One signal: immutable, hashable if its payload is, picklable.

    `str(signal)` is its text form, `"topic:payload"`; `case Signal(topic, payload)` matches.

    Parameters
    ----------
    topic:
        What it is about: text that is not empty, with dots between levels (`orders.new`).
    payload:
        What is to be known; copied in, and read-only from then on.
    version:
        The version of the state that it tells of; 0 where no commit sent it.
    process:
        Who sent it, by name; None where no process did.

    Raises
    ------
    ContextError
        The topic is no text, or empty.
    """

    __match_args__ = ("topic", "payload", "version", "process")

    def __init__(self, topic, payload=None, version=0, process=None):
        if self.topic is not None:
            raise ImmutableError("Immutable: a Signal cannot be made anew; make another one")
        self.version = version
        self.payload = payload_of(payload)
        self.process = process
        self.topic = checked_topic(topic)

    cdef str get_text(self):
        if self.words is None:
            self.words = text_of(self.topic, self.payload)
        return self.words

    @property
    def text(self):
        """The text form, `"topic:payload"`, the payload written as its plain copy."""
        return self.get_text()

    def __str__(self):
        return self.get_text()

    def __repr__(self):
        who = "" if self.process is None else f", process={self.process!r}"
        return f"Signal({self.topic!r}, {plain_payload(self)!r}, version={self.version}{who})"

    def __eq__(self, other):
        cdef Signal signal
        if type(other) is not Signal:
            return NotImplemented
        signal = <Signal>other
        return (
            self.topic == signal.topic and self.version == signal.version
            and self.process == signal.process and self.payload == signal.payload
        )

    def __hash__(self):
        return hash((self.topic, self.payload, self.version, self.process))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return Signal, (self.topic, plain_payload(self), self.version, self.process)


@cython.final
cdef class Outgoing:
    """What one commit sends. Its version is set, and it is queued, when the commit is visible.

    `refused` has the topic of a signal once for every receiver that was full and refused it
    (policy `error`).
    """

    def __init__(self):
        raise TypeError("made by a transaction")


cdef Outgoing outgoing(object process, tuple messages, dict signals):
    cdef Outgoing sent = Outgoing.__new__(Outgoing)
    sent.process = process
    sent.messages = messages
    sent.signals = signals
    return sent


cdef Signal make_signal(str topic, object payload, u64 version, object process):
    """A signal of a commit; its payload is read-only already."""
    cdef Signal signal = Signal.__new__(Signal)
    signal.topic = topic
    signal.payload = payload
    signal.version = version
    signal.process = process
    return signal


cdef Signal signal_of(object message):
    """A message as a signal: text is split at its first colon, other objects have no topic."""
    if type(message) is Signal:
        return <Signal>message
    if type(message) is str:
        topic, _, payload = (<str>message).partition(":")
        return make_signal(topic, payload, 0, None)
    return make_signal("", message, 0, None)


cdef str topic_of(object message):
    """The topic of a message; None where it has none."""
    if type(message) is Signal:
        return (<Signal>message).topic
    if type(message) is str:
        return (<str>message).partition(":")[0]
    return None


cdef str checked_topic(object topic):
    if not isinstance(topic, str) or not topic:
        raise ContextError(f"a signal's topic is a non-empty text, not {topic!r}")
    return topic if type(topic) is str else str.__str__(topic)


cdef object payload_of(object value):
    """A read-only, detached form of a payload; the text of what the state could not hold."""
    if is_plain_leaf(value):
        return value
    try:
        held = ingest(value, ("payload",))
    except UnsupportedValueError:
        return str(value)
    return view_of(<Node>held, None, 0) if type(held) is Node else held


cdef object plain_payload(Signal signal):
    payload = signal.payload
    return plain_of(payload) if is_held(payload) else thaw_value(payload, 0)


cdef str text_of(str topic, object payload):
    """`"topic:payload"`. A payload without a text is told by its type: a commit stays done."""
    try:
        if type(payload) is frozenset:  # how a set is held
            return f"{topic}:{set(payload)}"
        return f"{topic}:{plain_of(payload) if is_held(payload) else thaw_value(payload, 0)}"
    except Exception:
        from theus._logs import logger

        logger("signals").exception("the payload of signal %r has no text; its type is sent instead", topic)
        return f"{topic}:<{payload.__class__.__name__}>"
