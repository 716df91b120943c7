cimport cython
from libc.stdint cimport uint64_t
from theus._core.pattern cimport Position


@cython.final
@cython.no_gc_clear
cdef class Waiters:
    cdef dict calls
    cpdef enlist(self, wake)
    cpdef withdraw(self, wake)
    cdef object wake(self)


@cython.final
@cython.no_gc_clear
cdef class Mailbox:
    cdef Position topics
    cdef int code
    cdef object queue
    cdef tuple key
    cdef object owner
    cdef bint closed
    cdef uint64_t lost
    cdef Waiters readers
    cdef readonly Waiters writers
    cdef readonly Py_ssize_t capacity
    cdef readonly str policy
    cdef readonly object timeout
    cdef readonly uint64_t coalesced
    cdef readonly uint64_t refused
    cdef bint wants(self, tuple keys) except -1
    cdef bint offer(self, object message, str topic) except -1
    cdef int coalesce(self, object message, str topic) except -1
    cdef object take(self)
    cdef Py_ssize_t count(self) except -1
    cdef int end(self) except -1
    cdef int empty(self) except -1
    cpdef bint crowded(self) except -1
    cpdef trim(self)
    cpdef double patience(self, double start) except? -1
    cpdef hurry(self)
    cpdef wait(self)


cdef tuple topic_keys(str topic)
