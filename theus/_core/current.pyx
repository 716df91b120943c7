"""The transaction that a thread is working on, and bodies that suspend.

A call of a process inside a process joins its transaction. What "inside" means is decided by
one pointer per thread: it is set while a body runs and taken back when the body returns or
suspends, so whatever else the event loop runs meanwhile does not see it. A task that is started
eagerly inside a body runs there too, but in a context of its own (Python refuses to enter a
context twice), so the identity of the context tells it from the body itself.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from theus._core.context cimport ProcessContext
from theus._core.footprint cimport ACTIVE
from theus._core.pattern cimport REPORT, STRICT
from theus._core.refusal cimport act_refused, place, raise_or_report
from theus._core.store cimport Store
from theus._core.transaction cimport Transaction

cdef extern from "Python.h":
    int PyIter_Send(object body, object value, PyObject** result)
    bint PyCoro_CheckExact(object)

cdef extern from *:
    """
    #if defined(_MSC_VER)
    static __declspec(thread) PyObject* theus_current = NULL;
    #else
    static _Thread_local PyObject* theus_current = NULL;
    #endif
    #define theus_context() ((void*)PyThreadState_Get()->context)
    """
    PyObject* theus_current
    void* theus_context()

cdef enum:
    RAISED = -1
    RETURNED = 0


cdef void* context_now() noexcept:
    """Identity of the context that this thread is in; NULL where it has none yet."""
    return theus_context()


cdef PyObject* current_now() noexcept:
    """The transaction that this thread is working on; NULL where there is none. Borrowed."""
    return theus_current


cdef bint forbid(Transaction tx, str phrase, str event, str subject, tuple where) except -1:
    """Refuse (or report) what a PURE process does; False where contracts are not enforced."""
    if not tx.pos.flags & (STRICT | REPORT) and not tx.inspected:
        return False
    error = act_refused(tx.process, tx.pos, phrase, event, subject, where)
    raise_or_report(tx.store.report, tx.pos.flags, error)
    return True


cdef Transaction joinable(Store store, bint in_loop):
    """The transaction of the process that makes this call, if it may be joined, else None."""
    cdef Transaction tx
    if theus_current is NULL:
        return None
    tx = <Transaction>theus_current
    if tx.inspected:
        forbid(tx, "call a process", "theus.run", "", place())
    if tx.status != ACTIVE or (in_loop and tx.context != theus_context()):
        return None
    if tx.store is not store:
        if tx.pure:
            forbid(tx, "work on the state of another engine", "theus.run", "", place())
        return None
    return tx


cdef object call_body(ProcessContext ctx, object func, tuple args, dict kwargs):
    """Call the body of a process; meanwhile its transaction is the current one of this thread."""
    global theus_current
    cdef PyObject* outer = theus_current
    theus_current = <PyObject*>ctx.tx
    try:
        if args or kwargs:
            return func(ctx, *args, **kwargs)
        return func(ctx)
    finally:
        theus_current = outer


cdef object call_inspecting(Transaction tx, object func, object view):
    """Call what may only look at what a transaction would commit; meanwhile it is the current one."""
    global theus_current
    cdef PyObject* outer = theus_current
    theus_current = <PyObject*>tx
    try:
        return func(view)
    finally:
        theus_current = outer


cdef object awaited(object body):
    """What to send to: a coroutine as it is, else the iterator of an awaitable."""
    return body if PyCoro_CheckExact(body) else body.__await__()


cdef bint resume(ProcessContext ctx, object body, object value) except -1:
    """Run a body until it ends (True) or suspends (False); `ctx.result`: its value, or for what."""
    global theus_current
    cdef PyObject* outer = theus_current
    cdef PyObject* result = NULL
    cdef int status
    theus_current = <PyObject*>ctx.tx
    status = PyIter_Send(body, value, &result)
    theus_current = outer
    if status == RAISED:
        return -1
    ctx.result = <object>result
    Py_DECREF(ctx.result)
    return status == RETURNED


cdef bint interrupt(ProcessContext ctx, object body, object error) except -1:
    """As `resume`, with an exception that is raised where the body waits."""
    global theus_current
    cdef PyObject* outer = theus_current
    theus_current = <PyObject*>ctx.tx
    try:
        ctx.result = body.throw(error)
        return False
    except StopIteration as stop:
        ctx.result = stop.value
        return True
    finally:
        theus_current = outer


cdef class Suspended:
    """Awaits the rest of a body that has suspended."""

    def __init__(self):
        raise TypeError("made by the runner")

    def __await__(self):
        cdef bint ended = False
        while not ended:
            sent = error = None
            try:
                sent = yield self.ctx.result
            except GeneratorExit:
                self.body.close()
                raise
            except BaseException as raised:
                error = raised
            if error is None:
                ended = resume(self.ctx, self.body, sent)
            else:
                ended = interrupt(self.ctx, self.body, error)
        return self.ctx.result


cdef Suspended suspended(ProcessContext ctx, object body):
    """The rest of a body after its first `resume`."""
    cdef Suspended rest = Suspended.__new__(Suspended)
    rest.ctx = ctx
    rest.body = body
    return rest
