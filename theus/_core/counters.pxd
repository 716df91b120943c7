cimport cython


@cython.final
cdef class Counters:
    cdef public Py_ssize_t attempts
    cdef public Py_ssize_t retries
    cdef public Py_ssize_t tickets
    cdef public Py_ssize_t max_attempts
    cdef public Py_ssize_t failures
    cdef dict ended           # cause -> transactions
    cdef dict paused          # reason -> waits
    cdef dict seconds         # reason -> how long they took
    cdef tuple causes
    cpdef int abort(self, str cause) except -1
    cpdef int ended_by(self, error) except -1
