cimport cython
from libc.stdint cimport uint64_t
from theus._core.mailbox cimport Mailbox, Waiters


@cython.no_gc_clear
cdef class Hub:
    cdef list slots
    cdef uint64_t mask
    cdef Py_ssize_t listeners     # receivers without a mailbox
    cdef object __weakref__
    cdef readonly Waiters waiters
    cdef readonly tuple mailboxes  # None: there are none
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t subscribers
    cdef readonly uint64_t sequence
    cdef readonly uint64_t published
    cdef uint64_t told            # messages lost by receivers that know it
    cdef readonly uint64_t refused
    cdef readonly bint closed
    @cython.final
    cdef int put(self, object message) noexcept
    @cython.final
    cdef Py_ssize_t offer(self, object message, list refused) except -1
    @cython.final
    cdef Py_ssize_t spread(self, list batch) except -1
    @cython.final
    cdef int wake(self) except -1
    @cython.final
    cdef int join(self, Mailbox box) except -1
    @cython.final
    cdef int leave(self, Mailbox box) except -1
    @cython.final
    cdef int grow(self, Py_ssize_t capacity) except -1


cdef Py_ssize_t checked(str option, object value, Py_ssize_t highest) except -1
