cimport cython
from theus._core.chain cimport Chain, RetryPolicy
from theus._core.context cimport ProcessContext, Spec
from theus._core.counters cimport Counters
from theus._core.hooks cimport Hooks
from theus._core.store cimport Store
from theus._core.transaction cimport Transaction


@cython.final
cdef class Runner:
    cdef readonly Store store
    cdef readonly RetryPolicy policy
    cdef readonly Counters counters
    cdef readonly Hooks hooks
    cdef readonly dict direct
    cdef ProcessContext begin(self, Spec spec, Chain chain)
    cdef int map_result(self, Spec spec, ProcessContext ctx, object result, bint last) except -1
    cdef object unwrap(self, Spec spec, Transaction tx, object result)
    cdef object settle(self, Spec spec, ProcessContext ctx, object result)
    cdef object attempt(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs)
    cdef object attempt_call(self, Spec spec, ProcessContext ctx, tuple args, dict kwargs)
    cdef bint done(self, Spec spec, Transaction tx, Chain chain) except -1
    cdef Chain lost(self, Spec spec, Transaction tx, Chain chain, error)
    cdef object broke(self, Spec spec, Transaction tx, Chain chain, error)
    cdef object undeclared(self, Spec spec, error)
    cdef int finish_joined(self, Spec spec, ProcessContext ctx, object result) except -1
    cdef int pause(self, Chain chain) except -1
    cdef int wait_install(self, Transaction tx) except -1
    cpdef run(self, Spec spec, tuple args, dict kwargs)
