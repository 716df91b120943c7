cimport cython
from libc.stdint cimport uint64_t
from theus._core.channel cimport Hub
from theus._core.mailbox cimport Mailbox, Waiters


@cython.no_gc_clear
cdef class Receiver:
    cdef Hub hub
    cdef Mailbox box
    cdef uint64_t at
    cdef uint64_t lost
    cdef bint left
    cdef object __weakref__
    cdef readonly bint typed
    cdef readonly Py_ssize_t capacity
    @cython.final
    cdef uint64_t behind(self) except? 7
    @cython.final
    cdef bint ready(self) except -1
    @cython.final
    cdef uint64_t find_lost(self) except? 7
    @cython.final
    cdef int check(self) except -1
    @cython.final
    cdef object take(self)
    @cython.final
    cdef object shown(self, object message)
    @cython.final
    cdef list take_all(self, Py_ssize_t limit)
    @cython.final
    cdef int wait(self, object deadline) except -1
    @cython.final
    cdef Waiters waiters(self)
    cpdef enlist(self, wake)
    cpdef withdraw(self, wake)
