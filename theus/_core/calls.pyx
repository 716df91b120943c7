"""The two ways to run a process: what the engine inherits."""

from cpython.object cimport PyObject
from theus._core.context cimport Spec
from theus._core.runner cimport Runner

from theus.errors import ReentryError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL


cdef class Calls:
    """Calls of processes by function or name. Thread-safe; compiled, because every call pays."""

    def execute(self, func_or_name, *args, **kwargs):
        """Run a process from the event loop: `value = await engine.execute(f, ...)`.

        Async processes run on the running loop, sync ones in a thread, parallel ones in a
        worker. Conflicts are retried; keyword arguments that the process does not take are
        dropped. Inside another process (same task) the call joins its transaction.

        Raises what the process raises, ContractViolationError, RetryLimitError, and what audit
        and schema raise; then nothing was changed.
        """
        cdef Spec spec = self.find(func_or_name, True)
        return execute_spec(self._runner, spec, args, taken(spec, kwargs))

    def run(self, func_or_name, *args, **kwargs):
        """Run a process from a program without an event loop; its return value.

        A sync process is called on the caller's thread, with no loop and no thread in between.
        Raises ReentryError on a thread that runs an event loop; otherwise as `execute`.
        """
        cdef Spec spec = self.find(func_or_name, False)
        if self._runner.hooks.loop() is not None:
            raise ReentryError(
                f"run({spec.name!r}) was called on the thread of a running event loop and would "
                f"block it; use `await engine.execute({spec.name!r}, ...)` there"
            )
        return run_spec(self._runner, spec, args, taken(spec, kwargs))

    def _execute(self, Spec spec not None, tuple args, dict kwargs):
        """As `execute`, for a process that was looked up."""
        return execute_spec(self._runner, spec, args, kwargs)

    def _run(self, Spec spec not None, tuple args, dict kwargs):
        """As `run`, for a process that was looked up."""
        return run_spec(self._runner, spec, args, kwargs)

    cdef Spec find(self, object key, bint in_loop):
        cdef PyObject* found = PyDict_GetItemWithError(self._runner.direct, key)
        if found is not NULL:
            return <Spec>found
        return self._resolve(key, in_loop)

    def _resolve(self, key, in_loop):
        """The engine looks up a process that is called for the first time -> Spec."""
        raise NotImplementedError


cdef inline object execute_spec(Runner runner, Spec spec, tuple args, dict kwargs):
    if runner.hooks.tracer is not None:
        return runner.hooks.tracer.execute((<object>runner).execute, spec, args, kwargs)
    return runner.execute(spec, args, kwargs)


cdef inline object run_spec(Runner runner, Spec spec, tuple args, dict kwargs):
    if runner.hooks.tracer is not None:
        call = (<object>runner).complete if spec.is_async else (<object>runner).run
        return runner.hooks.tracer.run(call, spec, args, kwargs)
    if spec.is_async:
        return runner.complete(spec, args, kwargs)
    return runner.run(spec, args, kwargs)


cdef dict taken(Spec spec, dict kwargs):
    """The keyword arguments that the process takes; the others are dropped."""
    if not kwargs or spec.accepts is None:
        return kwargs
    return {key: value for key, value in kwargs.items() if key in spec.accepts}
