cimport cython
from libc.stdint cimport uint64_t


@cython.final
@cython.no_gc_clear
cdef class Ring:
    cdef list slots
    cdef double* stamps
    cdef Py_ssize_t head
    cdef readonly Py_ssize_t capacity
    cdef readonly uint64_t sequence
    cdef void append_c(self, object key, object message) noexcept
    cdef Py_ssize_t count_after(self, uint64_t since) noexcept
    cdef uint64_t kept(self) noexcept
    cdef uint64_t copy_newest(self, list items, double* times, Py_ssize_t count) noexcept
