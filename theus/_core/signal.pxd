cimport cython
from theus._core.node cimport u64


@cython.final
cdef class Signal:
    cdef readonly str topic
    cdef readonly object payload
    cdef readonly u64 version
    cdef readonly object process
    cdef str words
    cdef str get_text(self)


@cython.final
cdef class Outgoing:
    cdef readonly u64 version
    cdef readonly object process
    cdef readonly tuple messages
    cdef readonly dict signals
    cdef readonly list refused
    cdef public bint queued       # its messages are in the outbox
    cdef bint delivered           # its signals are with the receivers
    cdef dict replaced            # the latch before


cdef Outgoing outgoing(object process, tuple messages, dict signals)
cdef Signal make_signal(str topic, object payload, u64 version, object process)
cdef Signal signal_of(object message)
cdef str topic_of(object message)
cdef str checked_topic(object topic)
cdef object payload_of(object value)
