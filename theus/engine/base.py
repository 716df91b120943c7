"""What an engine is made of, and the look at its state."""

from __future__ import annotations

import asyncio
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theus._core.calls import Calls
from theus._core.chain import RetryPolicy
from theus._core.conflict import Arbiter, ConflictManager
from theus._core.context import Spec
from theus._core.guard_keys import detached
from theus._core.hooks import Hooks
from theus._core.invariant import refuse_in_invariant
from theus._core.ring import Ring
from theus._core.runner import Runner
from theus._core.state import State, state_of
from theus._core.store import Store
from theus._core.watch import Invariant
from theus._logs import logger
from theus.context.base import zones_of
from theus.context.limits import marks_of
from theus.context.locking import LockManager
from theus.context.logs import ContextLoggerAdapter
from theus.context.namespaces import NamespaceRegistry
from theus.context.updates import FunctionResult, StateUpdate
from theus.contracts.violations import Violations
from theus.engine.commit import AuditParticipant, Pipeline, SchemaParticipant
from theus.engine.dispatch import Dispatcher
from theus.engine.events import EventParticipant
from theus.engine.lanes import Lanes
from theus.engine.measures import make_counters, measure
from theus.engine.registry import ProcessRegistry
from theus.engine.settings import Settings
from theus.engine.updates import apply_update
from theus.errors import EngineClosedError, SettingsError
from theus.outbox import Outbox, OutboxCollector
from theus.signals import SignalHub

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import TracerProvider

    from theus.audit import AuditSystem
    from theus.heavy.allocator import HeavyZoneAllocator
    from theus.heavy.lease import WriteLease

__all__ = ["EngineBase"]


def _mode(strict: bool | None, contracts: str | None) -> str | None:
    """The mode of contracts from its two spellings: `strict_mode` is "enforce" or "off"."""
    if strict is None:
        return contracts
    mode = "enforce" if strict else "off"
    if contracts is not None and (contracts == "enforce") is not bool(strict):
        raise SettingsError(
            f"strict_mode={strict!r} and contracts={contracts!r} contradict each other; give one "
            f"of them",
            option="contracts",
            value=contracts,
        )
    return contracts or mode


def _collector() -> OutboxCollector:
    """The outbox of one transaction; payloads are detached from it when they are queued."""
    return OutboxCollector(detached)


class _Services:
    """What contexts get from outside the core."""

    def __init__(self, engine: EngineBase) -> None:
        engine_of = weakref.ref(engine)

        def zone() -> HeavyZoneAllocator:
            owner = engine_of()
            if owner is None:
                raise EngineClosedError("the engine is gone; nothing can be written for it")
            return owner.heavy

        def lend(shape: Any, dtype: Any, key: str) -> WriteLease:
            return zone().lease(shape, dtype, key=key)

        self.zone = zone
        self._lend = lend

    @staticmethod
    def logger(name: str) -> ContextLoggerAdapter:
        return ContextLoggerAdapter(logger(f"process.{name}"), name)

    def heavy(self, guard: Any) -> Any:
        from theus.engine.heavy_lane import ProcessHeavy

        return ProcessHeavy(guard, self._lend)


class EngineBase(Calls):
    """The parts of an engine, wired together."""

    def __init__(
        self,
        context: Any = None,
        strict_mode: bool | None = None,
        strict_cas: bool = False,
        audit_recipe: Any = None,
        *,
        strict_guards: bool | None = None,
        contracts: str | None = None,
        schema: Any = None,
        isolation: str = "serializable",
        write_timeout_ms: float | None = None,
        pool: str | None = None,
        pool_size: int | None = None,
        **options: Any,
    ) -> None:
        strict = strict_mode if strict_mode is not None else strict_guards
        self.settings = Settings.read(
            contracts=_mode(strict, contracts),
            strict_cas=strict_cas,
            isolation=isolation,
            write_timeout_ms=write_timeout_ms,
            pool=pool,
            pool_size=pool_size,
            **options,
        )
        self._context = context
        self._lock = threading.Lock()
        self._invariants: dict[str, Invariant] = {}
        self._invariants_lock = threading.Lock()
        self._schema_lock = threading.RLock()
        self._closed = False
        self._heavy: HeavyZoneAllocator | None = None
        self._audit_system: AuditSystem | None = None
        self._make_state(context)
        self._make_runner()
        self._locks = LockManager(self.settings.strict_mode)
        self._locks.attach(context)
        if audit_recipe is not None:
            self._wire_audit(audit_recipe)
        if schema is not None:
            self.set_schema(schema)

    def _make_state(self, context: Any) -> None:
        settings = self.settings
        self._store = Store(
            zones_of(context),
            history=settings.history,
            history_bytes=settings.history_bytes,
            time_travel=settings.time_travel,
            keep_reads=settings.keep_reads,
        )
        self._hub = SignalHub()
        self._outbox = Outbox()
        self._store.hub = self._hub
        self._store.marks = marks_of(context)
        self._store.outbox = _collector
        self._store.counters = self._counters = make_counters()
        self._lanes = Lanes(self._counters.waited)
        self._store.meta = Ring(settings.meta_capacity)
        self._pipeline = Pipeline(self._store, self._outbox, self._hub, self._lanes.timed)
        self._pipeline.events = EventParticipant(self._store.meta)
        self._violations = Violations()
        self._store.report = self._violations.note

    def _make_runner(self) -> None:
        settings = self.settings
        retries, backoff = settings.max_retries, settings.base_backoff_ms
        self._arbiter = Arbiter(self._store, settings.lease_ms / 1000.0)
        self._conflicts = ConflictManager(retries, backoff, lease_ms=settings.lease_ms)
        self._hooks = self._make_hooks()
        policy = RetryPolicy(
            self._arbiter, self._counters, max_retries=retries, base_backoff_ms=backoff
        )
        self._runner = Runner(self._store, policy, self._hooks)
        services = _Services(self)
        self._dispatcher = Dispatcher(settings, services.zone)
        self._registry = ProcessRegistry(
            settings, services, self._violations.note, self._runner.direct
        )
        self._remote: dict[str, tuple[Spec, Spec]] = {}

    def _make_hooks(self) -> Hooks:
        hooks = Hooks()
        lanes = self._lanes
        hooks.sleep, hooks.sleep_async = lanes.sleep, lanes.sleep_async
        hooks.park, hooks.park_async = lanes.park, lanes.park_async
        hooks.thread, hooks.thread_to_end = lanes.thread, lanes.thread_to_end
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
        validator = recipe if isinstance(recipe, AuditValidator) else AuditValidator(recipe)
        self._registry.expect = validator.expect
        self._audit_system = validator.system
        self._pipeline.audit = AuditParticipant(validator)
        self._pipeline.wire(self._hooks)

    @property
    def state(self) -> State:
        """The newest version; the same object as long as nothing is committed. O(1)."""
        if self._invariants:
            refuse_in_invariant("theus.state")
        return state_of(self._store)

    @property
    def context(self) -> Any:
        """The context object the engine was made from."""
        return self._context

    @property
    def namespaces(self) -> NamespaceRegistry:
        """The areas beside `domain` and `global` that the context's class declares."""
        return NamespaceRegistry(self._context)

    @property
    def signal(self) -> SignalHub:
        """The signal hub."""
        return self._hub

    @property
    def violations(self) -> Violations:
        """What contracts do not allow and was let through: the mode "report"."""
        return self._violations

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
        made = HeavyZoneAllocator(
            registry=registry,
            capacity_bytes=self.settings.heap_mb * 1024 * 1024,
            spill_dir=self.settings.spill_dir,
        )
        engine_of = weakref.ref(self)

        def expect() -> None:
            owner = engine_of()
            if owner is not None:
                owner._expect_leases()

        made.on_lease = expect
        return made

    def _expect_leases(self) -> None:
        """From the first lease on, commits end the right to write what they publish."""
        if self._pipeline.leases is None:
            from theus.engine.heavy_lane import LeaseParticipant

            self._pipeline.leases = LeaseParticipant()
            self._pipeline.wire(self._hooks)

    def stats(self) -> dict[str, Any]:
        """The metrics of this engine, as plain numbers: what it has done and what it holds.

        docs/observability.md explains each; `theus.metrics` writes them for Prometheus.
        """
        return measure(self)

    def collect(self) -> int:
        """Prune undo records that nobody needs, all of them now; returns how many are left."""
        return self._store.collect()

    def set_schema(self, model: Any) -> None:
        """Check the result of every commit against a schema; None: no more.

        A pydantic v2 model, a dataclass (classes), or a JSON Schema (a mapping). What a commit
        touches is checked, before anything is visible.

        Raises SchemaViolationError if the present state does not fit; then the schema is what it
        was. Commits of other threads that are under way are checked by the new one.
        """
        refuse_in_invariant("theus.set_schema")
        with self._schema_lock:
            before = self._pipeline.schema
            if model is None:
                self._use_schema(None)
                return
            from theus.schema import SchemaValidator

            validator = SchemaValidator(model)
            self._use_schema(SchemaParticipant(validator))
            try:
                data = self.state.to_dict()
                validator.validate(None, lambda path: _at(data, path))
            except BaseException:
                self._use_schema(before)
                raise

    def _use_schema(self, schema: SchemaParticipant | None) -> None:
        """From now on every commit that is installed was checked by this."""
        self._pipeline.schema = schema
        self._pipeline.wire(self._hooks)
        if schema is not None:
            self._store.renew_rules()

    def set_tracer_provider(self, provider: TracerProvider | None) -> None:
        """Trace calls with OpenTelemetry from now on; None: no more. See docs/observability.md."""
        tracer = None
        if provider is not None:
            from theus.engine.tracing import Tracer

            tracer = Tracer(provider)
        self._pipeline.tracer = self._dispatcher.tracer = tracer
        self._pipeline.wire(self._hooks)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise EngineClosedError("the engine was shut down; make a new one")


def _at(data: Any, path: Sequence[Any]) -> Any:
    for key in path:
        data = data[key]
    return data
