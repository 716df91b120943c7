from theus._core.access cimport Access


cdef class Commuting(Access):
    cdef int commuting(self, int code, object path, object value) except -1
