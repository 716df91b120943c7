cimport cython
from theus._core.context cimport ProcessContext, Spec


@cython.final
cdef class Lent:
    cdef tuple args
    cdef dict kwargs
    cdef tuple own_args
    cdef dict own_kwargs


cdef Lent lend(tuple args, dict kwargs)
cdef int take_back(Spec spec, ProcessContext ctx, Lent lent) except -1
