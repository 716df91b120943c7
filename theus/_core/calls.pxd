from theus._core.context cimport Spec
from theus._core.runner cimport Runner


cdef class Calls:
    cdef public Runner _runner
    cdef Spec find(self, object key, bint in_loop)
