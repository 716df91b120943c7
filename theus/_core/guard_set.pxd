cimport cython
from theus._core.guard_keys cimport KeyedGuard


@cython.final
cdef class SetGuard(KeyedGuard):
    cdef int put_member(self, object value) except -1
    cdef int drop_member(self, object value) except -1
    cdef set members(self)
