cimport cython
from theus._core.guard cimport Guard
from theus._core.pattern cimport Position
from theus._core.transaction cimport Transaction


cdef class ProcessContext:
    cdef Transaction tx
    cdef Spec spec
    cdef Guard root
    cdef Guard domain_guard
    cdef dict scratch
    cdef object logger
    cdef object heavy_view
    cdef object signal_view
    cdef object result       # of the body, or what it waits for
    cdef object lent         # copies of arguments that the body was given, of a module further up
    cdef Guard get_root(self)
    cdef object area(self, str name)
    cdef object get_domain(self)
    cdef object take(self)


@cython.final
cdef class Spec:
    cdef readonly str name
    cdef readonly object func
    cdef readonly object contract
    cdef readonly bint is_async
    cdef readonly bint parallel
    cdef readonly bint pure
    cdef readonly bint watched   # PURE, and that is enforced or reported
    cdef readonly bint serializable
    cdef readonly double write_timeout_ms
    cdef readonly Position pos
    cdef readonly Position out_pos
    cdef readonly tuple single
    cdef bint in_domain      # the single output lies below `domain`
    cdef readonly object outputs
    cdef readonly object accepts
    cdef readonly object errors
    cdef readonly object effects   # checks signals and messages; None: not limited
    cdef object duty         # looks for outputs that were not written; None: not (any more)
    cdef readonly object services
    cdef public double mean_ms


cpdef Transaction transaction_of(ctx)
