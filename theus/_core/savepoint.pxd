from theus._core.footprint cimport Footprint


cdef class Savepoint:
    cdef Footprint tx
    cdef dict saved          # Draft -> its copy
    cdef Py_ssize_t drafts   # how many drafts there were
    cdef Py_ssize_t messages
    cdef dict signals
    cdef int restore_drafts(self) except -1


cdef Savepoint take_savepoint(Footprint tx)
