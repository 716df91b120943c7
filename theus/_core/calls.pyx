"""The two ways to run a process: what the engine inherits."""

from cpython.object cimport PyObject
from theus._core.context cimport Spec

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
        return self._runner.execute(spec, args, taken(spec, kwargs))

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
        if spec.is_async:
            return self._runner.complete(spec, args, taken(spec, kwargs))
        return self._runner.run(spec, args, taken(spec, kwargs))

    cdef Spec find(self, object key, bint in_loop):
        cdef PyObject* found = PyDict_GetItemWithError(self._runner.direct, key)
        if found is not NULL:
            return <Spec>found
        return self._resolve(key, in_loop)

    def _resolve(self, key, in_loop):
        """The engine looks up a process that is called for the first time -> Spec."""
        raise NotImplementedError


cdef dict taken(Spec spec, dict kwargs):
    """The keyword arguments that the process takes; the others are dropped."""
    if not kwargs or spec.accepts is None:
        return kwargs
    return {key: value for key, value in kwargs.items() if key in spec.accepts}
