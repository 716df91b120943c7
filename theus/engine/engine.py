"""TheusEngine: wires the parts together. Methods are short; the work is done elsewhere."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from theus._core.calls import Calls
from theus._core.chain import RetryPolicy
from theus._core.conflict import Arbiter, ConflictManager, RetryDecision
from theus._core.context import Spec
from theus._core.guard_keys import detached
from theus._core.hooks import Hooks
from theus._core.pattern import unlimited
from theus._core.ring import Ring
from theus._core.runner import Runner
from theus._core.state import State, state_of
from theus._core.store import Store
from theus._core.transaction import Transaction
from theus.context.base import zones_of
from theus.context.updates import FunctionResult, StateUpdate
from theus.engine import flows
from theus.engine.attempts import Attempts
from theus.engine.commit import AuditParticipant, Pipeline, SchemaParticipant
from theus.engine.discovery import scan
from theus.engine.dispatch import Dispatcher
from theus.engine.editing import editing
from theus.engine.lanes import Lanes, in_event_loop
from theus.engine.registry import ProcessRegistry
from theus.engine.settings import Settings
from theus.engine.updates import apply_update
from theus.errors import (
    ConflictError,
    EngineClosedError,
    ReentryError,
    SettingsError,
    SystemBusyError,
)
from theus.outbox import Outbox, OutboxCollector
from theus.signals import SignalHub

if TYPE_CHECKING:
    from theus.audit import AuditSystem
    from theus.heavy.allocator import HeavyZoneAllocator
    from theus.parallel import PoolBackend

__all__ = ["TheusEngine"]


def _collector() -> OutboxCollector:
    """The outbox of one transaction; payloads are detached from it when they are queued."""
    return OutboxCollector(detached)


class _Services:
    """What contexts get from outside the core."""

    @staticmethod
    def logger(name: str) -> logging.Logger:
        return logging.getLogger(f"theus.process.{name}")

    @staticmethod
    def heavy(guard: Any) -> Any:
        from theus.engine.heavy_lane import ProcessHeavy

        return ProcessHeavy(guard)


class TheusEngine(Calls):
    """Owns the state; registers and runs processes as transactions.

    Parameters
    ----------
    context:
        Initial state: a `BaseSystemContext`, a mapping, a pydantic model or any object with
        `to_dict()`; copied in. None: empty `domain` and `global`.
    strict_mode:
        Enforce contracts (`strict_guards` is another spelling).
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

    def __init__(
        self,
        context: Any = None,
        strict_mode: bool | None = None,
        strict_cas: bool = False,
        audit_recipe: Any = None,
        *,
        strict_guards: bool | None = None,
        schema: Any = None,
        isolation: str = "serializable",
        write_timeout_ms: float | None = None,
        pool: str | None = None,
        pool_size: int | None = None,
        **options: Any,
    ) -> None:
        strict = strict_mode if strict_mode is not None else strict_guards
        self.settings = Settings.read(
            strict_mode=True if strict is None else bool(strict),
            strict_cas=strict_cas,
            isolation=isolation,
            write_timeout_ms=write_timeout_ms,
            pool=pool,
            pool_size=pool_size,
            **options,
        )
        settings = self.settings
        self._context = context
        self._store = Store(zones_of(context), history=settings.history)
        self._hub = SignalHub()
        self._store.hub = self._hub
        self._store.outbox = _collector
        self._store.meta = Ring(settings.meta_capacity)
        self._outbox = Outbox()
        self._arbiter = Arbiter(self._store, settings.lease_ms / 1000.0)
        self._conflicts = ConflictManager(
            settings.max_retries, settings.base_backoff_ms, lease_ms=settings.lease_ms
        )
        self._lanes = Lanes()
        self._dispatcher = Dispatcher(settings)
        self._registry = ProcessRegistry(settings, _Services)
        self._remote: dict[str, tuple[Spec, Spec]] = {}
        self._pipeline = Pipeline(self._store, self._outbox)
        self._hooks = self._make_hooks()
        policy = RetryPolicy(
            self._arbiter,
            max_retries=settings.max_retries,
            base_backoff_ms=settings.base_backoff_ms,
        )
        self._runner = Runner(self._store, policy, self._hooks)
        self._everything = unlimited(False)
        self._heavy: HeavyZoneAllocator | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._audit_system: AuditSystem | None = None
        if audit_recipe is not None:
            self._wire_audit(audit_recipe)
        if schema is not None:
            self.set_schema(schema)

    def _make_hooks(self) -> Hooks:
        hooks = Hooks()
        lanes = self._lanes
        hooks.sleep, hooks.sleep_async = lanes.sleep, lanes.sleep_async
        hooks.park, hooks.park_async = lanes.park, lanes.park_async
        hooks.thread = lanes.thread
        hooks.loop = asyncio._get_running_loop
        hooks.complete = asyncio.run
        hooks.update_type = StateUpdate
        hooks.result_type = FunctionResult
        hooks.apply_update = apply_update
        self._pipeline.wire(hooks)
        return hooks

    def _wire_audit(self, recipe: Any) -> None:
        from theus.audit import AuditValidator

        if isinstance(recipe, (str, Path)):
            from theus.config import ConfigFactory

            recipe = ConfigFactory.load_recipe(recipe)
        validator = AuditValidator(recipe)
        self._audit_system = validator.system
        self._pipeline.audit = AuditParticipant(validator)
        self._pipeline.wire(self._hooks)

    # --- state -----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The newest version; the same object as long as nothing is committed. O(1)."""
        return state_of(self._store)

    @property
    def context(self) -> Any:
        """The context object the engine was made from."""
        return self._context

    @property
    def signal(self) -> SignalHub:
        """The signal hub."""
        return self._hub

    @property
    def audit(self) -> AuditSystem | None:
        """The audit system, where an audit recipe was given."""
        return self._audit_system

    @property
    def outbox(self) -> Outbox:
        """Messages of committed transactions that were not delivered yet."""
        return self._outbox

    @property
    def heavy(self) -> HeavyZoneAllocator:
        """The allocator of heavy arrays, made on first use; its segments go at shutdown."""
        with self._lock:
            if self._heavy is None:
                self._refuse_closed()
                self._heavy = self._make_heavy()
            return self._heavy

    def _make_heavy(self) -> HeavyZoneAllocator:
        from theus.heavy.allocator import HeavyZoneAllocator
        from theus.heavy.registry import MemoryRegistry

        registry = None
        if self.settings.registry_dir is not None:
            registry = MemoryRegistry(directory=self.settings.registry_dir)
        return HeavyZoneAllocator(
            registry=registry, capacity_bytes=self.settings.heap_mb * 1024 * 1024
        )

    def stats(self) -> dict[str, Any]:
        """Counters: commits, conflicts, retries, what is alive. One look, no lock."""
        store, counters = self._store, self._runner.counters
        return {
            "version": store.ver,
            "commits": store.commits,
            "conflicts": store.conflicts,
            "attempts": counters.attempts,
            "retries": counters.retries,
            "max_attempts": max(counters.max_attempts, min(1, counters.attempts)),
            "failures": counters.failures,
            "tickets": counters.tickets,
            "parked": counters.parked,
            "waiting": self._arbiter.waiting,
            "snapshots_alive": store.alive,
            "undo_records": store.undo_records,
            "history": len(store.history),
            "outbox_pending": len(self._outbox),
        }

    def collect(self) -> int:
        """Prune undo records that nobody needs, all of them now; returns how many are left."""
        return self._store.collect()

    # --- processes ---------------------------------------------------------------------------

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
        return self._runner.execute(spec, args, kwargs)

    def execute_parallel(self, name: Callable[..., Any] | str, **kwargs: Any) -> Any:
        """Run a process in the worker pool, whether or not it is marked parallel; blocking."""
        spec = self._remote_spec(self._registry.resolve(name), False)
        self._refuse_closed()
        return self._runner.run(spec, (), kwargs)

    def get_pool(self) -> PoolBackend:
        """The worker pool, started on first use."""
        return self._dispatcher.pool()

    # --- transactions ------------------------------------------------------------------------

    def transaction(
        self, write_timeout_ms: float | None = 5000, *, isolation: str | None = None
    ) -> Transaction:
        """A transaction for a `with` block: it commits at the end, or rolls back on an error.

        Raises ConflictError at the end of the block where something it read or wrote changed
        meanwhile; `attempts` retries.
        """
        return self._new_transaction(write_timeout_ms=write_timeout_ms, isolation=isolation)

    def begin(
        self, write_timeout_ms: float | None = None, *, isolation: str | None = None
    ) -> Transaction:
        """A transaction that is committed or rolled back by hand."""
        return self._new_transaction(write_timeout_ms=write_timeout_ms, isolation=isolation)

    def attempts(
        self,
        write_timeout_ms: float | None = None,
        *,
        isolation: str | None = None,
        label: str = "transaction",
    ) -> Attempts:
        """A retry loop around a block: `for attempt in engine.attempts(): with attempt as tx: ...`

        Use `async for` under an event loop. At most `max_retries + 2` attempts lose; then
        RetryLimitError.
        """
        options = {"write_timeout_ms": write_timeout_ms, "isolation": isolation}
        return Attempts(self, label, options)

    def _new_transaction(
        self,
        *,
        write_timeout_ms: float | None = None,
        isolation: str | None = None,
        chain: Any = None,
        process: str | None = None,
    ) -> Transaction:
        tx = Transaction.__new__(Transaction)
        self._attach(tx, write_timeout_ms, isolation, chain, process)
        return tx

    def adopt_transaction(self, tx: Transaction, write_timeout_ms: float | None) -> None:
        """Wire a `Transaction(engine)` that was made by its constructor."""
        self._attach(tx, write_timeout_ms, None, None, None)

    def _attach(
        self,
        tx: Transaction,
        timeout: float | None,
        isolation: str | None,
        chain: Any,
        process: Any,
    ) -> None:
        self._refuse_closed()
        level = isolation or self.settings.isolation
        if level not in ("serializable", "snapshot"):
            raise SettingsError(
                f"isolation must be serializable or snapshot, got {level!r}",
                option="isolation",
                value=level,
            )
        tx.attach(
            self._store,
            self._everything,
            serializable=level == "serializable",
            process=process,
            write_timeout_ms=timeout,
            hook=self._runner.commit,
            chain=chain,
        )

    def compare_and_swap(
        self,
        expected_version: int,
        data: Mapping[str, Any] | None = None,
        heavy: Mapping[str, Any] | None = None,
        signal: Mapping[str, Any] | None = None,
        requester: str | None = None,
    ) -> State | None:
        """Change state only if what is changed is still as it was at `expected_version`.

        None on success. With `strict_cas` any change since refuses, and the current state is
        returned instead of changing anything. Otherwise raises ContextError ("CAS Version
        Mismatch", naming the paths) where one of the keys changed, and SystemBusyError while
        another requester has priority (`report_conflict`).
        """
        self._refuse_busy(requester)
        tx = self._new_transaction(process=requester)
        tx.assert_version(expected_version, strict=self.settings.strict_cas)
        try:
            tx.update(data=data, heavy=heavy, signal=signal)
            self._runner.commit(tx)
        except ConflictError:
            if self.settings.strict_cas:
                return self.state
            raise
        finally:
            tx.rollback()
        return None

    def _refuse_busy(self, requester: str | None) -> None:
        holder = self._conflicts.vip_holder
        if holder is not None and holder != requester:
            raise SystemBusyError(
                f"System Busy: {holder!r} has priority after too many conflicts. Try again in a "
                f"moment; it loses its place after {self.settings.lease_ms:.0f} ms.",
                holder=holder,
                wait_ms=50.0,
            )

    def edit(self) -> AbstractContextManager[Any]:
        """Set-up code: `with engine.edit() as context: context.domain.x = 1`; one commit."""
        return editing(self, self._context)

    def set_schema(self, model: Any) -> None:
        """Check every resulting state against a model (pydantic v2 or dataclass); None: no more.

        Raises SchemaViolationError if the present state does not fit.
        """
        if model is None:
            self._pipeline.schema = None
        else:
            from theus.schema import SchemaValidator

            validator = SchemaValidator(model)
            data = self.state.to_dict()
            validator.validate(None, lambda path: _at(data, path))
            self._pipeline.schema = SchemaParticipant(validator)
        self._pipeline.wire(self._hooks)

    # --- conflicts, messages -------------------------------------------------------------------

    def report_conflict(self, name: str) -> RetryDecision:
        """Count a failure of a requester; see `ConflictManager`."""
        return self._conflicts.report_conflict(name)

    def report_success(self, name: str) -> None:
        """Forget the failures of a requester."""
        self._conflicts.report_success(name)

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
            futures = [threads.submit(self.run, name, **arguments) for name, arguments in calls]
            done: Iterable[Any] = [future.exception() for future in futures]
        for error in done:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    # --- the end -------------------------------------------------------------------------------

    def _refuse_closed(self) -> None:
        if self._closed:
            raise EngineClosedError("the engine was shut down; make a new one")

    def shutdown(self) -> None:
        """Stop what was started: workers, threads, relay, heavy segments. Safe to call again.

        The state can still be read; nothing can be run or committed any more.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._runner.direct.clear()
            heavy, self._heavy = self._heavy, None
        self._dispatcher.close()
        self._lanes.close()
        self._outbox.stop_relay()
        if heavy is not None:
            heavy.cleanup()

    def __enter__(self) -> TheusEngine:
        self._refuse_closed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> TheusEngine:
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


def _at(data: Any, path: Sequence[Any]) -> Any:
    for key in path:
        data = data[key]
    return data
