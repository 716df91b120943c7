cimport cython
from libc.stdint cimport uint64_t


@cython.no_gc_clear
cdef class Hub:
    cdef list slots
    cdef uint64_t mask
    cdef dict waiters
    cdef object __weakref__
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t subscribers
    cdef readonly uint64_t sequence
    cdef readonly bint closed
    @cython.final
    cdef Py_ssize_t reached(self) noexcept
    @cython.final
    cdef int put(self, object message) noexcept
    @cython.final
    cdef int wake(self) except -1
    @cython.final
    cdef int leave(self) except -1
    @cython.final
    cdef int grow(self, Py_ssize_t capacity) except -1


@cython.no_gc_clear
cdef class Receiver:
    cdef Hub hub
    cdef uint64_t at
    cdef bint left
    cdef object __weakref__
    cdef readonly Py_ssize_t capacity
    cdef readonly uint64_t missed
    @cython.final
    cdef bint ready(self) except -1
    @cython.final
    cdef int check(self) except -1
    @cython.final
    cdef object take(self)
    @cython.final
    cdef list take_all(self, Py_ssize_t limit)
    @cython.final
    cdef int wait(self, object deadline) except -1
    cpdef enlist(self, wake)
    cpdef withdraw(self, wake)
