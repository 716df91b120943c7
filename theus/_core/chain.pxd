cimport cython
from theus._core.conflict cimport Arbiter, Ticket
from theus._core.counters cimport Counters
from theus._core.footprint cimport Footprint


@cython.final
cdef class RetryPolicy:
    cdef readonly Arbiter arbiter
    cdef readonly Counters counters
    cdef readonly Py_ssize_t max_retries
    cdef readonly double base_backoff_ms


@cython.final
cdef class Chain:
    cdef RetryPolicy policy
    cdef readonly object label
    cdef readonly Py_ssize_t failures
    cdef public Py_ssize_t attempts
    cdef readonly Ticket ticket
    cdef readonly bint turn
    cdef readonly double wait
    cdef double lease_s
    cpdef int start(self) except -1
    cpdef int lost(self, Footprint tx, error, double mean_ms) except -1
    cdef int give_up(self, error) except -1
    cpdef close(self)
