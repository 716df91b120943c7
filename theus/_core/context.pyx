"""`ProcessContext`: what a process receives as its first argument; `Spec`: what is known of it."""

cimport cython
from theus._core.guard cimport Guard, area_guard, root_guard
from theus._core.guard_map cimport MapGuard
from theus._core.pattern cimport BELOW, READ, Position
from theus._core.transaction cimport Transaction

from theus.errors import ImmutableError


@cython.final
cdef class Spec:
    """Everything about a registered process that can be known before it runs.

    Made once by the engine's registry. `services` gives a context what lies outside the core:
    `logger(name)` and `heavy(guard)`.
    """

    def __init__(self, name, *, func, contract, is_async, parallel, pure, serializable,
                 write_timeout_ms, Position pos not None, Position out_pos not None, single,
                 outputs, accepts, errors, services, watched=False, effects=None, duty=None):
        self.name = name
        self.func = func
        self.contract = contract
        self.is_async = is_async
        self.parallel = parallel
        self.pure = pure
        self.serializable = serializable
        self.write_timeout_ms = write_timeout_ms
        self.pos = pos
        self.out_pos = out_pos
        self.single = single
        self.in_domain = single is not None and len(single) > 1 and single[0] == "domain"
        self.outputs = outputs
        self.accepts = accepts
        self.errors = errors
        self.watched = watched
        self.effects = effects
        self.duty = duty
        self.services = services

    def __repr__(self):
        return f"<Spec of {self.name!r}>"


cdef class SignalWriter:
    """`ctx.signal`: assign a topic to queue a signal; reading gives what is queued or latched."""

    cdef Transaction tx
    cdef dict latched
    cdef Spec spec

    def __init__(self):
        raise TypeError("made by a process context")

    def __setitem__(self, topic, payload):
        if self.spec.effects is not None:
            self.spec.effects.check(self.tx, "signal", topic)
        self.tx.queue_signal(topic, payload)

    def __setattr__(self, topic, payload):
        self[topic] = payload

    def __getitem__(self, topic):
        if self.tx.signals is not None and topic in self.tx.signals:
            return self.tx.signals[topic]
        return self.latched[topic]

    def __getattr__(self, topic):
        try:
            return self[topic]
        except KeyError:
            raise AttributeError(f"no signal {topic!r} is queued or latched", name=topic) from None

    def __contains__(self, topic):
        return topic in self.latched or (self.tx.signals is not None and topic in self.tx.signals)

    def get(self, topic, default=None):
        """The payload of a topic, or `default`."""
        return self[topic] if topic in self else default


@cython.freelist(32)
cdef class ProcessContext:
    """What a process sees: one snapshot with its own pending writes, and its channels out.

    `domain`, `global_`, `heavy` (guards), `signal`, `outbox`, `local` (a dict that dies with the
    call), `log` (a logger that knows the process), `version`, `state`, `data`. A context is used
    by one attempt, in one thread or task.
    """

    def __init__(self):
        raise TypeError("contexts are made by the engine")

    cdef Guard get_root(self):
        if self.root is None:
            self.root = root_guard(self.tx, self.tx.store.root, self.spec.pos, None)
            if self.domain_guard is not None:
                self.root.remember("domain", self.domain_guard)
        return self.root

    cdef object area(self, str name):
        return <Guard>(<MapGuard>self.get_root()).lookup(name, None)

    cdef object get_domain(self):
        """The area `domain`; its guard is kept as long as the area itself is not replaced."""
        if not self.tx.untouched() and self.tx.find_draft(self.tx.store.root) is not None:
            return self.area("domain")
        if self.domain_guard is None:
            if self.root is None:
                self.domain_guard = area_guard(self.tx, self.spec.pos, "domain")
            if self.domain_guard is None:
                return self.area("domain")
        return self.domain_guard

    cdef object take(self):
        """The value of the body, which is not kept."""
        result, self.result = self.result, None
        return result

    @property
    def domain(self):
        """The area `domain`."""
        return self.get_domain()

    @property
    def domain_ctx(self):
        """The same as `domain`."""
        return self.domain

    @property
    def global_(self):
        """The area `global`."""
        return self.area("global")

    @property
    def global_ctx(self):
        """The same as `global_`."""
        return self.area("global")

    @property
    def data(self):
        """All areas."""
        return self.get_root()

    @property
    def heavy(self):
        """The heavy zone: descriptors come out as arrays, without copying."""
        if self.heavy_view is None:
            guard = root_guard(self.tx, self.tx.store.heavy, self.spec.pos, "heavy")
            if self.spec.pure and not guard.flags & (READ | BELOW):
                guard.refuse("read", None)
            self.heavy_view = self.spec.services.heavy(guard)
        return self.heavy_view

    @property
    def signal(self):
        """Queue signals: `ctx.signal.topic = payload`. PURE processes have none."""
        cdef SignalWriter writer
        if self.spec.pure:
            raise AttributeError(
                f"PURE process {self.spec.name!r} has no signals: what it computes may depend on its "
                f"inputs only", name="signal",
            )
        if self.signal_view is None:
            writer = SignalWriter.__new__(SignalWriter)
            writer.tx = self.tx
            writer.latched = self.tx.latch()
            writer.spec = self.spec
            self.signal_view = writer
        return self.signal_view

    @property
    def meta(self):
        """Entries of the meta log, oldest first. PURE processes have none."""
        if self.spec.pure:
            raise AttributeError(
                f"PURE process {self.spec.name!r} has no meta log: what it computes may depend on its "
                f"inputs only", name="meta",
            )
        return self.tx.state.meta

    @property
    def outbox(self):
        """Messages that leave after the commit: `ctx.outbox.add(OutboxMsg(topic, payload))`.

        PURE processes have none.
        """
        if self.spec.pure:
            raise AttributeError(
                f"PURE process {self.spec.name!r} has no outbox: what it computes may depend on its "
                f"inputs only", name="outbox",
            )
        if self.spec.effects is not None:
            return self.spec.effects.outbox(self.tx)
        return self.tx.outbox

    @property
    def local(self):
        """A plain dict that dies with the call."""
        if self.scratch is None:
            self.scratch = {}
        return self.scratch

    @property
    def log(self):
        """A logger that knows the process."""
        if self.logger is None:
            self.logger = self.spec.services.logger(self.spec.name)
        return self.logger

    @property
    def version(self):
        """Version of the snapshot."""
        return self.tx.ver

    @property
    def state(self):
        """The `State` of the snapshot, without pending writes; a PURE process sees only the data."""
        state = self.tx.state
        return state.restrict_view() if self.spec.pure else state

    @property
    def process(self):
        """Name of the process."""
        return self.spec.name

    def peek(self, path, default=None):
        """A read that never causes a conflict; see `Transaction.peek`."""
        return self.tx.peek(path, default)

    def ensure(self, path):
        """A read that always counts; see `Transaction.ensure`."""
        return self.tx.ensure(path)

    def incr(self, path, by=1):
        """Commuting addition; see `Transaction.incr`."""
        self.tx.incr(path, by)

    def append(self, path, value):
        """Commuting append to a list."""
        self.tx.append(path, value)

    def extend(self, path, values):
        """Commuting extension of a list."""
        self.tx.extend(path, values)

    def add(self, path, value):
        """Commuting addition to a set."""
        self.tx.add(path, value)

    def discard(self, path, value):
        """Commuting removal from a set."""
        self.tx.discard(path, value)

    def max(self, path, value):
        """Commuting maximum."""
        self.tx.max(path, value)

    def min(self, path, value):
        """Commuting minimum."""
        self.tx.min(path, value)

    def savepoint(self):
        """A place to return to; see `Transaction.savepoint`."""
        return self.tx.savepoint()

    def __getattr__(self, name):
        if self.spec.pure and name in ("signal", "meta", "outbox"):
            raise AttributeError(
                f"PURE process {self.spec.name!r} has no {name}: what it computes may depend on its "
                f"inputs only", name=name,
            )
        if name.startswith("_"):
            raise AttributeError(f"a process context has no attribute {name!r}", name=name)
        area = (<MapGuard>self.get_root()).lookup(name, self.tx.absent)
        if area is self.tx.absent:
            raise AttributeError(
                f"a process context has no attribute {name!r}, and there is no area of that name",
                name=name,
            )
        return area

    def __setattr__(self, name, value):
        raise ImmutableError(
            f"Immutable: assign to fields of an area (ctx.domain.{name} = ...), not to the context "
            f"itself; scratch values go into ctx.local"
        )

    def __repr__(self):
        return f"<ProcessContext of {self.spec.name!r} at version {self.tx.ver}>"


cpdef Transaction transaction_of(ctx):
    """The transaction that a context works on; None where `ctx` is no context of a process."""
    if isinstance(ctx, Transaction):
        return <Transaction>ctx
    return (<ProcessContext>ctx).tx if isinstance(ctx, ProcessContext) else None
