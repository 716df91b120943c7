"""What happens around the install of a commit, in one fixed order.

Before it: contract (by the guards, at the access), audit rules, schema, invariants. After it:
outbox and signals in the order of versions, then the audit's success. Whoever takes part has four
calls: `prepare` may veto, `publish` may not fail, `discard` and `failed` undo; the order is the
tuple `Pipeline.participants`, so rollback is one loop.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from theus._core.delta import plain
from theus._core.invariant import check_invariants
from theus._core.path import format_path
from theus.errors import AuditError
from theus.schema.point import Added

if TYPE_CHECKING:
    from theus._core.context import Spec
    from theus._core.delta import Op
    from theus._core.signal import Outgoing
    from theus._core.store import Store
    from theus._core.transaction import Transaction
    from theus.audit.gate import AuditValidator
    from theus.engine.tracing import Tracer
    from theus.outbox import Outbox
    from theus.schema.validator import SchemaValidator
    from theus.signals import SignalHub

__all__ = [
    "AuditParticipant",
    "InvariantParticipant",
    "Participant",
    "Pipeline",
    "SchemaParticipant",
]


class Participant:
    """Someone who takes part in commits; what a class leaves as it is here is never called."""

    def prepare(self, tx: Transaction, spec: Spec | None) -> None:
        """Look at what would be committed; raise to refuse it."""

    def publish(self, tx: Transaction, spec: Spec | None) -> None:
        """The commit is visible. May not fail."""

    def discard(self, tx: Transaction, error: BaseException) -> None:
        """The attempt had no effect. May not fail."""

    def failed(self, tx: Transaction, spec: Spec, error: BaseException) -> None:
        """The same, because the body of a process or a check raised. May not fail."""


class SchemaParticipant(Participant):
    """The resulting state must fit the model, or nothing becomes visible."""

    def __init__(self, validator: SchemaValidator) -> None:
        self._validator = validator

    def prepare(self, tx: Transaction, spec: Spec | None) -> None:
        changed, added = _touched(tx.ops or ())
        if not changed and not added:
            return

        def get_plain(path: tuple[Any, ...]) -> Any:
            value = tx.resulting(path, _MISSING, count=True)
            if value is _MISSING:
                raise KeyError(format_path(path))
            return value

        self._validator.validate(
            changed, get_plain, added=added, records=tx.records_on, process=tx.process
        )


def _touched(ops: Sequence[Op]) -> tuple[list[tuple[Any, ...]], list[Added]]:
    """Paths that operations change, and what they add to lists and sets; without the heavy zone."""
    changed, added = [], []
    for op in ops:
        path = op.path
        if not path or path[0] == "heavy":
            continue
        if op.kind == "extend":
            added.append(Added(path, [plain(one) for one in op.new]))
        elif op.kind == "add":
            added.append(Added(path[:-1], path[-1:]))
        else:
            changed.append(path[:-1] if op.kind == "discard" else path)
    return changed, added


class InvariantParticipant(Participant):
    """Every invariant that a commit touches must hold for its result."""

    prepare = staticmethod(check_invariants)


class AuditParticipant(Participant):
    """Rules on inputs before the body and on outputs before the commit; counts what fails."""

    def __init__(self, validator: AuditValidator) -> None:
        self._validator = validator

    def before(
        self, tx: Transaction, spec: Spec, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Check the rules on the inputs of an attempt."""
        if self._validator.has_rules(spec.name):
            check = self._validator.begin(spec.name)
            tx.extra = check
            check.inputs(_named(spec, args, kwargs), _lookup(tx))

    def prepare(self, tx: Transaction, spec: Spec | None) -> None:
        if tx.extra is not None:
            tx.extra.outputs(_lookup(tx))

    def publish(self, tx: Transaction, spec: Spec | None) -> None:
        if tx.extra is not None:
            tx.extra.publish()
        if spec is not None:
            self._validator.system.log_success(spec.name)

    def discard(self, tx: Transaction, error: BaseException) -> None:
        if tx.extra is not None:
            tx.extra.discard()

    def failed(self, tx: Transaction, spec: Spec, error: BaseException) -> None:
        """A body or a rule raised: failures that were found are kept, and it is logged."""
        if tx.extra is not None:
            tx.extra.publish()
        if isinstance(error, AuditError):  # a rule, whose own key has it
            return
        try:
            self._validator.system.log_fail(spec.name, f"{type(error).__name__}: {error}")
        except AuditError as refusal:
            error.add_note(f"audit: {refusal}")


_MISSING = object()


def _named(spec: Spec, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, positional ones included."""
    names = list(inspect.signature(spec.func).parameters)[1 : len(args) + 1]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _lookup(tx: Transaction) -> Any:
    def look(path: str) -> Any:
        value = tx.resulting(path, _MISSING, count=True)
        if value is _MISSING:
            raise KeyError(path)
        return value

    return look


class Pipeline:
    """The participants of one engine, and the hand-out of messages after commits.

    Thread-safe: participants are replaced as a whole; one lock makes messages and signals
    leave in the order of versions, held while they are queued, not while they are delivered.
    """

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        hub: SignalHub,
        timed: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._timed = timed
        self._outbox = outbox
        self._hub = hub
        self._order = threading.RLock()
        self._wiring = threading.Lock()
        self._handing_out = False
        self.tracer: Tracer | None = None
        self.audit: AuditParticipant | None = None
        self.schema: SchemaParticipant | None = None
        self.invariants: InvariantParticipant | None = None
        self.leases: Participant | None = None
        self.events: Participant | None = None

    @property
    def participants(self) -> tuple[Participant | Tracer, ...]:
        """Who takes part, in order."""
        checks = (self.audit, self.schema, self.invariants, self.leases)
        everyone = (self.tracer, *checks, self.events)
        return tuple(item for item in everyone if item is not None)

    def _calls(self, name: str) -> tuple[Callable[..., None], ...]:
        """The calls of this name that have something to do, in order."""
        idle = getattr(Participant, name)
        everyone = self.participants
        return tuple(getattr(one, name) for one in everyone if getattr(type(one), name) is not idle)

    def wire(self, hooks: Any) -> None:
        """Give the runner exactly the calls that have something to do."""
        with self._wiring:
            self._wire(hooks)

    def _wire(self, hooks: Any) -> None:
        audit = self.audit
        self._prepare, self._publish = self._calls("prepare"), self._calls("publish")
        self._discard, self._failed = self._calls("discard")[::-1], self._calls("failed")[::-1]
        hooks.before = audit.before if audit is not None else None
        hooks.tracer = self.tracer
        hooks.failed = self.failed if self._failed else None
        hooks.check = self.check if self._prepare else None
        if len(self._prepare) == 1:
            hooks.check = self._prepare[0]
        hooks.after = self.after if self._publish else None
        hooks.discard = self.discard if self._discard else None
        hooks.publish = self.hand_out
        hooks.backpressure = self.backpressure
        hooks.backpressure_async = self.backpressure_async

    def check(self, tx: Transaction, spec: Spec | None) -> None:
        """Everything that may veto a commit, in order."""
        for prepare in self._prepare:
            prepare(tx, spec)

    def after(self, tx: Transaction, spec: Spec | None) -> None:
        """Tell everyone that the commit is visible."""
        for publish in self._publish:
            publish(tx, spec)

    def discard(self, tx: Transaction, error: BaseException) -> None:
        """Tell everyone that an attempt had no effect."""
        for discard in self._discard:
            discard(tx, error)

    def failed(self, tx: Transaction, spec: Spec, error: BaseException) -> None:
        """Tell everyone that a body or a check raised."""
        for failed in self._failed:
            failed(tx, spec, error)

    def hand_out(self, sent: Outgoing | None) -> bool:
        """Messages and signals of finished commits, in the order of their versions, once.

        Whoever comes first hands out what all have committed; `sent` is what the caller's own
        commit sends. Returns whether `backpressure` has something to do for it. A commit made
        while this thread hands out (by a destructor) is handed out after what is under way.
        """
        outgoing = self._store.outgoing
        with self._order:
            if not self._handing_out:
                self._handing_out = True
                try:
                    while outgoing:  # what an interrupt leaves here goes out with the next
                        each = outgoing[0]
                        if each.messages and not each.queued:
                            self._outbox.publish(each.messages)
                            each.queued = True
                        self._hub.deliver(each)
                        outgoing.popleft()
                finally:
                    self._handing_out = False
        if sent is None or not sent.signals:
            return False
        return sent.refused is not None or self._hub.crowded

    def make_room(self) -> None:
        """Wait for receivers that are full and want publishers to wait; see `SignalHub`."""
        if self._hub.crowded:
            with self._timed("receivers"):
                self._hub.make_room()

    async def make_room_async(self) -> None:
        """The same without blocking the loop."""
        if self._hub.crowded:
            with self._timed("receivers"):
                await self._hub.make_room_async()

    def complain(self, sent: Outgoing | None) -> None:
        """Raise SignalFullError for what receivers refused of a commit, which is done."""
        if sent is not None and sent.refused:
            self._hub.complain(sent.refused, sent.version)

    def backpressure(self, sent: Outgoing | None) -> None:
        """What a committer does at last, with nothing held: wait, and be told."""
        self.make_room()
        self.complain(sent)

    async def backpressure_async(self, sent: Outgoing | None) -> None:
        """The same without blocking the loop."""
        await self.make_room_async()
        self.complain(sent)
