"""TheusEngine: wires the parts together. Methods are short; the work is done elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from theus._closing import Closing
from theus._core.context import Spec
from theus.engine import flows
from theus.engine.discovery import scan
from theus.engine.lanes import in_event_loop
from theus.engine.many import Many
from theus.errors import ReentryError

if TYPE_CHECKING:
    from theus.parallel import PoolBackend

__all__ = ["TheusEngine"]


class TheusEngine(Many, Closing):
    """Owns the state; registers and runs processes as transactions.

    Parameters
    ----------
    context:
        Initial state: a `BaseSystemContext`, a mapping, a pydantic model or any object with
        `to_dict()`; copied in. None: empty `domain` and `global`.
    strict_mode:
        Enforce contracts (`strict_guards` is another spelling); False: ``contracts="off"``.
    contracts:
        "enforce" (default), "report" (let through and collect in `violations`) or "off".
    strict_cas:
        `compare_and_swap` refuses every version mismatch, not only changes of the same key.
    audit_recipe:
        `AuditRecipe`, `AuditRecipeBook` or the path of a recipe file.
    schema:
        Model that every resulting state must fit (see `set_schema`).
    isolation:
        "serializable" (default) or "snapshot".
    write_timeout_ms:
        Longest time from the start of a process to its commit; None: no limit.
    pool, pool_size:
        Where `@process(parallel=True)` runs ("processes", "threads", "inline") and how many
        workers there are.
    options:
        Further fields of `theus.engine.settings.Settings`.

    A context manager, sync and async: leaving it shuts down what was started. Thread-safe: all
    methods may be called from any thread and task at once.
    """

    @property
    def registry(self) -> Mapping[str, Callable[..., Any]]:
        """Registered processes by name; read-only."""
        return self._registry.view

    def register(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Register a decorated function; returns it.

        Raises RegistrationError or ContractViolationError, see `ProcessRegistry.register`.
        """
        self._registry.register(func)
        return func

    def scan_and_register(self, path: str | Path) -> list[str]:
        """Import the files at or below `path` and register their processes; their names.

        Raises DiscoveryError naming every file that failed, after everything else was done.
        """
        return scan(path, self._registry.register)

    def _resolve(self, key: Any, in_loop: bool) -> Spec:
        if self._closed:
            self._refuse_closed()
        spec = self._registry.resolve(key)
        if spec.parallel:
            return self._remote_spec(spec, in_loop)
        self._runner.direct[key] = spec
        if self._registry.resolve(key) is not spec:  # registered again in the meantime
            self._runner.direct.pop(key, None)
        return spec

    def _remote_spec(self, spec: Spec, in_loop: bool) -> Spec:
        """The variant of a parallel process whose body is a call to a worker."""
        pair = self._remote.get(spec.name)
        if pair is None or pair[0].contract is not spec.contract:
            dispatcher, func = self._dispatcher, spec.func
            pair = (
                self._registry.variant(spec, dispatcher.stand_in(func, spec.contract), False),
                self._registry.variant(spec, dispatcher.async_stand_in(func, spec.contract), True),
            )
            self._remote[spec.name] = pair
        return pair[in_loop]

    def execute_process_async(
        self, name: str, func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Awaitable[Any]:
        """Run a function under a name, unregistered: async on the loop, sync in a thread."""
        spec = self._registry.anonymous(name, func)
        awaitable: Awaitable[Any] = self._execute(spec, args, kwargs)
        return awaitable

    def execute_parallel(self, name: Callable[..., Any] | str, **kwargs: Any) -> Any:
        """Run a process in the worker pool, whether or not it is marked parallel; blocking."""
        spec = self._remote_spec(self._registry.resolve(name), False)
        self._refuse_closed()
        return self._run(spec, (), kwargs)

    def get_pool(self) -> PoolBackend:
        """The worker pool, started on first use."""
        return self._dispatcher.pool()

    def attach_worker(self, worker: Callable[[Any], Any] | None) -> None:
        """Who delivers outbox messages: `worker(message)`; None: nobody, they stay queued."""
        self._outbox.attach_worker(worker)

    def process_outbox(self) -> int:
        """Deliver what is queued, in order; returns how many messages were delivered.

        Raises OutboxError where the worker raises; the message stays queued.
        """
        return self._outbox.process_outbox()

    # --- workflows -----------------------------------------------------------------------------

    def execute_workflow(self, path_or_text: str | Path, **kwargs: Any) -> list[str]:
        """Run a workflow, from a thread without a loop; names of the processes it ran."""
        if in_event_loop():
            raise ReentryError(
                "execute_workflow was called on the thread of a running event loop and would "
                "block it; use `await engine.execute_workflow_async(...)` there"
            )
        workflow = flows.make_workflow(self, path_or_text)
        executor = flows.FlowExecutor(self, kwargs)
        return list(workflow.execute(lambda: flows.flow_context(self._store), executor))

    async def execute_workflow_async(self, path_or_text: str | Path, **kwargs: Any) -> list[str]:
        """Run a workflow on the running loop; names of the processes it ran, in order."""
        workflow = flows.make_workflow(self, path_or_text)

        def call(name: str, **arguments: Any) -> Awaitable[Any]:
            return self.execute(name, **{**kwargs, **arguments})

        context = lambda: flows.flow_context(self._store)  # noqa: E731
        return list(await workflow.execute_async(context, call))

    def _run_side_by_side(
        self, calls: Sequence[tuple[str, Mapping[str, Any]]], limit: int | None
    ) -> list[Any]:
        """Run processes in threads of their own and wait for all; the first error is raised."""
        if not calls:
            return []
        with ThreadPoolExecutor(limit or len(calls), thread_name_prefix="theus-flow") as threads:
            futures = [
                threads.submit(copy_context().run, partial(self.run, name, **arguments))
                for name, arguments in calls
            ]
            done: Iterable[Any] = [future.exception() for future in futures]
        for error in done:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    # --- the end -------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Stop what was started: workers, threads, relay, heavy segments. Safe to call again.

        The state can still be read; nothing can be run or committed any more. The signal hub is
        closed: receivers get what is there, then their iteration ends.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._runner.direct.clear()
            heavy, self._heavy = self._heavy, None
        self._hub.stop_waiting()
        self._dispatcher.close()
        self._lanes.close()
        self._outbox.stop_relay()
        self._hub.close()
        self._locks.detach(self._context)
        if heavy is not None:
            heavy.cleanup()

    def __enter__(self) -> Self:
        self._refuse_closed()
        return self

    def _leave(self, error: BaseException | None) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        self._refuse_closed()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.shutdown)

    def __repr__(self) -> str:
        return f"<TheusEngine at version {self._store.ver}, {len(self.registry)} processes>"
