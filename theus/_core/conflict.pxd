cimport cython
from theus._core.footprint cimport Footprint
from theus._core.store cimport Store


@cython.final
cdef class Ticket:
    cdef readonly object chain
    cdef readonly object label
    cdef readonly bint universal
    cdef readonly double deadline
    cdef readonly double lease
    cdef readonly bint over
    cdef dict nodes
    cdef list waiters
    cdef object __weakref__
    cdef bint blocks(self, Footprint footprint) except -1
    cdef int cover(self, Footprint footprint) except -1


@cython.final
cdef class Arbiter:
    cdef Store store
    cdef readonly double lease_s
    cdef object queue
    cdef object lock
    cdef list advance(self)
