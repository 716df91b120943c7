from cpython.object cimport PyObject
from theus._core.context cimport ProcessContext
from theus._core.store cimport Store
from theus._core.transaction cimport Transaction


cdef class Suspended:
    cdef ProcessContext ctx
    cdef object body


cdef void* context_now() noexcept
cdef PyObject* current_now() noexcept
cdef bint forbid(Transaction tx, str phrase, str event, str subject, tuple where) except -1
cdef Transaction joinable(Store store, bint in_loop)
cdef object call_body(ProcessContext ctx, object func, tuple args, dict kwargs)
cdef object call_inspecting(Transaction tx, object func, object view)
cdef object awaited(object body)
cdef bint resume(ProcessContext ctx, object body, object value) except -1
cdef Suspended suspended(ProcessContext ctx, object body)
