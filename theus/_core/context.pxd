cimport cython
from theus._core.guard cimport Guard
from theus._core.transaction cimport Transaction


cdef class ProcessContext:
    cdef readonly Transaction tx
    cdef Spec spec
    cdef Guard root
    cdef Guard domain_guard
    cdef dict scratch
    cdef object logger
    cdef object heavy_view
    cdef object signal_view
    cdef Guard get_root(self)
    cdef Guard area(self, str name)


@cython.final
cdef class Spec:
    cdef readonly str name
    cdef readonly object func
    cdef readonly object contract
    cdef readonly bint is_async
    cdef readonly bint parallel
    cdef readonly bint pure
    cdef readonly bint serializable
    cdef readonly double write_timeout_ms
    cdef readonly object pos
    cdef readonly object out_pos
    cdef readonly tuple single
    cdef readonly object outputs
    cdef readonly object accepts
    cdef readonly object errors
    cdef readonly object services
    cdef public double mean_ms
