"""Transactions: one unit of work over one snapshot.

    active --commit--> committed
       |  `--conflict, time-out, error--> failed
       `--rollback--> rolled back

Everything written is pending until the commit, which installs all of it or nothing. After its
end a transaction, its guards and its savepoints refuse use and hold no references to the
snapshot. One transaction is used by one thread or task at a time; any number of them run side
by side.
"""

from cpython.object cimport PyObject
from theus._core.commit cimport FENCED, release
from theus._core.commit cimport install as install_plan
from theus._core.commit cimport prepare as prepare_plan
from theus._core.delta cimport OP_INCR, OP_MAX, OP_MIN, Op, make_op
from theus._core.footprint cimport (
    ACTIVE, COMMITTED, FAILED, KEY, ROLLED_BACK, Draft, Footprint,
)
from theus._core.freeze cimport ingest, is_plain_leaf
from theus._core.guard cimport Guard, detached_guard, root_guard
from theus._core.guard_list cimport ListGuard
from theus._core.guard_map cimport KeyedGuard, MapGuard, commute_all, plain_value
from theus._core.guard_set cimport SetGuard
from theus._core.node cimport LIST, Node, Tomb, u64, value_at
from theus._core.path cimport format_path, parse_path
from theus._core.pattern cimport READ, Position, unlimited
from theus._core.state cimport State
from theus._core.store cimport Store

import datetime
import decimal
import time

from theus._core.delta import DeltaEntry, plain
from theus._core.footprint import STATUS_NAMES
from theus._core.guard_map import commute
from theus._core.state import set_updater
from theus.errors import ConflictError, PathError, TransactionStateError, WriteTimeoutError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

NUMERIC = (int, float, complex, decimal.Decimal, datetime.timedelta)
MERGED_AREAS = frozenset(("domain", "global"))


cdef class Savepoint:
    """A place to return to inside a transaction: `rollback()` undoes every write since.

    Covers state, outbox and signals. What was read since stays read. Rolling back to a
    savepoint ends the ones taken after it; it can be repeated.
    """

    def __init__(self):
        raise TypeError("savepoints are taken by a transaction")

    def rollback(self):
        """Undo all writes since; TransactionStateError where it has ended."""
        self.tx.rollback_to(self)

    def release(self):
        """Forget the savepoint, keep the writes."""
        self.tx.release_savepoint(self)


cdef class Unlimited:
    """Lifts the contract from `Transaction`'s own methods for the time of a block."""

    def __init__(self):
        raise TypeError("made by a transaction")

    def __enter__(self):
        tx = self.tx
        self.saved = (tx.pos, tx.root, tx.heavy_root, tx.pure)
        tx.pos, tx.root, tx.heavy_root, tx.pure = unlimited(False), None, None, False
        return tx

    def __exit__(self, kind, error, trace):
        if self.tx.status == ACTIVE:
            self.tx.pos, self.tx.root, self.tx.heavy_root, self.tx.pure = self.saved
        return False


cdef class Transaction(Footprint):
    """A unit of work: reads from one snapshot, pending writes, all or nothing.

    Used as a context manager it commits at the end of the block, or rolls back if the block
    raises. `engine.transaction()` makes one.

    Parameters
    ----------
    engine:
        Whose state to work on; None makes a private, empty one.
    write_timeout_ms:
        Writes or a commit later than this after the start fail; None: no limit.
    """

    def __init__(self, engine=None, write_timeout_ms=5000):
        if self.store is not None:
            return
        if engine is not None:
            engine.adopt_transaction(self, write_timeout_ms)
            return
        self.open(Store({"domain": {}, "global": {}}), unlimited(False), True)
        self.started = time.monotonic()
        self.limit_ms = 0 if write_timeout_ms is None else write_timeout_ms

    cdef int open(self, Store store, Position pos, bint serializable) except -1:
        self.store = store
        self.pos = pos
        self.track = serializable
        self.snap = store.begin()
        self.ver = self.snap.ver
        self.absent = store.absent
        self.signals = None
        self.outbox_log = None
        return 0

    def attach(self, Store store not None, Position pos not None, *, serializable=True, process=None,
               write_timeout_ms=None, outbox=None, hook=None, chain=None, pure=False):
        """Wire a fresh transaction; used by the engine, once."""
        if self.store is not None:
            raise TransactionStateError("this transaction is wired already", status="active")
        self.open(store, pos, serializable)
        self.process = process
        self.limit_ms = 0 if write_timeout_ms is None else write_timeout_ms
        self.outbox_log = outbox
        self.commit_hook = hook
        self.chain = chain
        self.pure = pure
        self.started = time.monotonic()

    @staticmethod
    def over(Store store not None):
        """A transaction on a bare store: unlimited, serializable, no checks."""
        cdef Transaction tx = Transaction.__new__(Transaction)
        tx.open(store, unlimited(False), True)
        return tx

    # --- reading -----------------------------------------------------------------------------

    cdef Guard get_root(self):
        if self.root is None:
            if self.status != ACTIVE:
                self.ended()
            self.root = root_guard(self, self.store.root, self.pos, None)
        return self.root

    cdef Guard get_heavy(self):
        if self.heavy_root is None:
            if self.status != ACTIVE:
                self.ended()
            self.heavy_root = root_guard(self, self.store.heavy, self.pos, "heavy")
        return self.heavy_root

    cdef Guard area(self, str name):
        return <Guard>(<MapGuard>self.get_root()).lookup(name, None)

    @property
    def data(self):
        """Guard over all areas of the data."""
        return self.get_root()

    @property
    def domain(self):
        """Guard over the area `domain`."""
        if self.domain_guard is None:
            self.domain_guard = self.area("domain")
        return self.domain_guard

    @property
    def domain_ctx(self):
        """The same as `domain`."""
        return self.domain

    @property
    def global_(self):
        """Guard over the area `global`."""
        return self.area("global")

    @property
    def global_ctx(self):
        """The same as `global_`."""
        return self.area("global")

    @property
    def heavy(self):
        """Guard over the heavy zone: objects by reference."""
        return self.get_heavy()

    @property
    def version(self):
        """Version of the snapshot."""
        return self.ver

    @property
    def state(self):
        """The `State` this transaction started from (without its own writes)."""
        if self.status != ACTIVE:
            self.ended()
        return State.over(self.store, self.snap)

    @property
    def status_name(self):
        """"active", "committed", "rolled back" or "failed"."""
        return STATUS_NAMES[self.status]

    cdef Guard reach(self, tuple parts):
        """The guard of a container by path; PathError where there is none."""
        found = self.walk(parts)
        if not isinstance(found, Guard):
            raise PathError(
                f"{format_path(parts)!r} is a {type(found).__name__}, not a container of the state",
                path=format_path(parts),
            )
        return <Guard>found

    def walk(self, tuple parts):
        """The value at a path, read like any other; PathError where there is none."""
        value = self.get_root()
        begin = 0
        if parts and parts[0] == "heavy":
            value = self.get_heavy()
            begin = 1
        for index in range(begin, len(parts)):
            found = step(value, parts[index], self.absent)
            if found is self.absent:
                raise PathError(
                    f"there is no {format_path(parts[:index + 1])!r} in the state",
                    path=format_path(parts[:index + 1]),
                )
            value = found
        return value

    def get(self, path, default=None):
        """The value at a path, or `default` where there is none. Counts as read."""
        try:
            return self.walk(parse_path(path))
        except PathError:
            return default

    def peek(self, path, default=None):
        """The value at a path without counting as read: it never causes a conflict.

        Containers come out as plain copies. Own pending writes are seen.
        """
        cdef tuple parts = parse_path(path)
        cdef Position pos = self.pos
        cdef Guard guard = self.get_root()
        cdef Py_ssize_t begin = 0
        if parts and parts[0] == "heavy":
            guard = self.get_heavy()
            pos = pos.step("heavy")
            begin = 1
        for key in parts[begin:]:
            pos = pos.step(key)
        if not pos.flags & READ:
            raise guard.violation("read", parts[len(parts) - 1])
        value = peek_value(self, guard.node, parts, begin)
        return default if value is self.absent else value

    def ensure(self, path):
        """Make a read of the path count, also under `isolation="snapshot"`. Returns the value."""
        cdef tuple parts = parse_path(path)
        cdef bint track = self.track
        self.track = True
        try:
            value = self.get_root() if parts[0] != "heavy" else self.get_heavy()
            for key in parts[1 if parts[0] == "heavy" else 0:]:
                if isinstance(value, Guard):
                    note_passage(self, <Guard>value, key)
                value = step(value, key, self.absent)
                if value is self.absent:
                    return None
            if isinstance(value, Guard):
                self.note((<Guard>value).node, NULL, 3)
            return value
        finally:
            self.track = track

    # --- writing -----------------------------------------------------------------------------

    cdef int check_time(self) except -1:
        cdef double elapsed
        if self.status != ACTIVE:
            self.ended()
        if self.limit_ms > 0:
            elapsed = (time.monotonic() - self.started) * 1000.0
            if elapsed > self.limit_ms:
                self.finish(FAILED)
                who = f"process {self.process!r}" if self.process else "the transaction"
                raise WriteTimeoutError(
                    f"{who} held its writes for {elapsed:.0f} ms, longer than the "
                    f"{self.limit_ms:.0f} ms allowed; nothing was changed. Do slow work before the "
                    f"transaction, or raise `write_timeout_ms`.",
                    elapsed_ms=elapsed, limit_ms=self.limit_ms, process=self.process,
                )
        return 0

    cdef int put_path(self, tuple parts, object value) except -1:
        """Set exactly this path; missing mappings on the way are made."""
        cdef Py_ssize_t index, last = len(parts) - 1
        cdef Py_ssize_t begin = 0
        target = self.get_root()
        if parts[0] == "heavy":
            if last == 0:
                for key, item in dict(value).items():
                    (<MapGuard>self.get_heavy()).put(key, item)
                return 0
            target = self.get_heavy()
            begin = 1
        for index in range(begin, last):
            found = step(target, parts[index], self.absent)
            if found is self.absent:
                if isinstance(target, ListGuard):
                    raise PathError(
                        f"there is no {format_path(parts[:index + 1])!r} in the state",
                        path=format_path(parts[:index + 1]),
                    )
                assign(target, parts[index], {})
                found = step(target, parts[index], self.absent)
            target = found
        assign(target, parts[last], value)
        return 0

    cdef bint put_plain(self, Guard root, tuple parts, object value) except -1:
        """The common case of `put_path`: mappings all the way. False where it is another case."""
        cdef Py_ssize_t index, last = len(parts) - 1
        cdef object key = parts[0]
        if last < 1 or key == "heavy":
            return False
        for index in range(last):
            found = (<MapGuard>root).lookup(parts[index], None)
            if type(found) is not MapGuard:
                return False
            root = <Guard>found
        (<MapGuard>root).put(parts[last], value)
        return True

    def set(self, path, value):
        """Replace exactly what is at the path. Missing mappings on the way are made."""
        self.check_time()
        self.put_path(parse_path(path), value)

    def delete(self, path):
        """Remove what is at the path; PathError where there is nothing."""
        cdef tuple parts = parse_path(path)
        self.check_time()
        parent = self.walk(parts[:len(parts) - 1])
        key = parts[len(parts) - 1]
        try:
            del parent[list_index(parent, key)]
        except (KeyError, IndexError):
            raise PathError(f"there is no {format_path(parts)!r} in the state", path=format_path(parts)) from None

    def update(self, data=None, heavy=None, signal=None):
        """Queue changes.

        Parameters
        ----------
        data:
            Mapping. Fields of `domain` and `global` are merged one level deep (a field named is
            replaced whole); any other top-level key is replaced; dotted keys replace exactly
            that path.
        heavy:
            Mapping of key to object, held by reference.
        signal:
            Mapping of topic to payload, sent after the commit.

        Raises WriteTimeoutError after the deadline, ContractViolationError where not allowed.
        """
        self.check_time()
        if data is not None:
            for key, value in dict(data).items():
                self.update_key(key, value)
        if heavy is not None:
            for key, value in dict(heavy).items():
                (<MapGuard>self.get_heavy()).put(key, value)
        if signal is not None:
            for topic, payload in dict(signal).items():
                self.queue_signal(topic, payload)

    def update_key(self, key, value):
        """One entry of `update(data=...)`."""
        cdef tuple parts = parse_path(key) if isinstance(key, str) else (key,)
        if len(parts) == 1 and parts[0] in MERGED_AREAS:
            for name, item in dict(value).items():
                self.put_path((parts[0], name), item)
        else:
            self.put_path(parts, value)

    def queue_signal(self, topic, payload):
        """Queue a signal; it goes out after the commit."""
        if self.status != ACTIVE:
            self.ended()
        if self.signals is None:
            self.signals = {}
        self.signals[topic] = plain_value(payload)

    cdef int commuting(self, int code, object path, object value) except -1:
        cdef tuple parts = parse_path(path)
        cdef KeyedGuard guard
        cdef Draft draft
        cdef PyObject* old
        cdef Op op
        self.check_time()
        parent = self.reach(parts[:len(parts) - 1])
        key = parts[len(parts) - 1]
        if not isinstance(parent, KeyedGuard) or isinstance(parent, SetGuard):
            raise PathError(
                f"{format_path(parts)!r} is not a field of a mapping or record", path=format_path(parts)
            )
        guard = <KeyedGuard>parent
        guard.may_write(key)
        draft = guard.writable()
        old = PyDict_GetItemWithError(draft.over, key)
        if old is NULL or type(<object>old) is Tomb:
            op = make_op(code, guard.node, guard.get_link(), key, value)
            guard.store_draft(key, value if old is not NULL else op)
        elif type(<object>old) is not Op:
            guard.store_draft(key, commute(code, <object>old, value, parts))
        else:
            guard.store_draft(key, joined(<Op>old, code, value, parts))
        return 0

    def incr(self, path, by=1):
        """Add to a number at the commit, without reading it: never conflicts. Missing counts from 0."""
        if not isinstance(by, NUMERIC):
            raise TypeError(f"incr needs a number, got {type(by).__name__}")
        self.commuting(OP_INCR, path, by)

    def max(self, path, value):
        """Raise a value to at least `value` at the commit; never conflicts."""
        self.commuting(OP_MAX, path, value)

    def min(self, path, value):
        """Lower a value to at most `value` at the commit; never conflicts."""
        self.commuting(OP_MIN, path, value)

    def container(self, path, kind, name):
        """The guard of a list or set for a commuting operation."""
        self.check_time()
        guard = self.walk(parse_path(path))
        if not isinstance(guard, kind):
            raise PathError(
                f"{path!r} is not a {name} of the state but a {type(guard).__name__}", path=str(path)
            )
        return guard

    def append(self, path, value):
        """Append to a list at the commit; never conflicts with other appends."""
        self.container(path, (ListGuard, list), "list").append(value)

    def extend(self, path, values):
        """Extend a list at the commit; never conflicts with other appends."""
        self.container(path, (ListGuard, list), "list").extend(values)

    def add(self, path, value):
        """Add a member to a set at the commit; never conflicts."""
        self.container(path, (SetGuard, set), "set").add(value)

    def discard(self, path, value):
        """Remove a member from a set at the commit; never conflicts."""
        self.container(path, (SetGuard, set), "set").discard(value)

    # --- what is pending ----------------------------------------------------------------------

    @property
    def outbox(self):
        """The messages queued in this transaction: `tx.outbox.add(msg)`."""
        if self.status != ACTIVE:
            self.ended()
        if callable(self.outbox_log):
            self.outbox_log = self.outbox_log()
        return self.outbox_log

    @property
    def pending_data(self):
        """What is pending in the data, as a nested dict of the changed keys (plain copies)."""
        return pending(self, False)

    @property
    def pending_heavy(self):
        """What is pending in the heavy zone, by key."""
        return pending(self, True)

    @property
    def pending_signal(self):
        """Signals queued, by topic."""
        return dict(self.signals or {})

    @property
    def delta_log(self):
        """The pending operations as a list of `DeltaEntry`."""
        cdef Op op
        cdef list entries = []
        for item in prepare_plan(self).ops:
            op = <Op>item
            entries.append(DeltaEntry(op.kind, op.path, None, plain(op.new)))
        return entries

    @property
    def has_writes(self):
        """Whether anything is pending in the state."""
        return self.order is not None and len(self.order) > 0

    # --- savepoints ---------------------------------------------------------------------------

    def savepoint(self):
        """A place to return to -> Savepoint. Values assigned before are detached from the caller."""
        cdef Savepoint point = Savepoint.__new__(Savepoint)
        if self.status != ACTIVE:
            self.ended()
        self.absorb()
        point.tx = self
        point.saved = {}
        point.drafts = 0 if self.order is None else len(self.order)
        point.messages = 0
        if self.outbox_log is not None and not callable(self.outbox_log):
            point.messages = len(self.outbox_log)
        point.signals = None if self.signals is None else self.signals.copy()
        if self.points is None:
            self.points = []
        self.points.append(point)
        self.saved = point.saved
        self.mark += 1
        return point

    cdef int absorb(self) except -1:
        """Take the caller's pending containers in, so that later changes to them can be undone."""
        cdef Draft draft
        if self.order is None:
            return 0
        for item in self.order:
            draft = <Draft>item
            for key, value in list(draft.over.items()):
                draft.over[key] = self.absorbed(draft, key, value)
            for values in (draft.tail, draft.full):
                if values is not None:
                    for index, value in enumerate(values):
                        values[index] = self.absorbed(draft, index, value)
        return 0

    cdef object absorbed(self, Draft draft, object key, object value):
        if draft.node.opaque or is_plain_leaf(value) or isinstance(value, (Tomb, Op, Guard)):
            return value
        held = ingest(value, (<Guard>draft.guard).where_key(key))
        if type(held) is not Node:
            return held
        return detached_guard(<Guard>draft.guard, key, <Node>held)

    cdef int rollback_to(self, Savepoint point) except -1:
        cdef Draft draft
        cdef Savepoint last
        if self.status != ACTIVE:
            self.ended()
        if point not in self.points:
            raise TransactionStateError(
                "this savepoint has ended: a savepoint taken before it was rolled back to, or it was "
                "released", status="savepoint ended",
            )
        while True:
            last = <Savepoint>self.points[len(self.points) - 1]
            for item, saved in last.saved.items():
                (<Draft>item).restore(<Draft>saved)
            last.saved = {}
            if last is point:
                break
            self.points.pop()
        for index in range(point.drafts, 0 if self.order is None else len(self.order)):
            draft = <Draft>self.order[index]
            draft.restore(empty_draft())
        self.saved = point.saved
        self.mark += 1
        if self.outbox_log is not None and not callable(self.outbox_log):
            self.outbox_log.truncate(point.messages)
        self.signals = None if point.signals is None else point.signals.copy()
        return 0

    cdef int release_savepoint(self, Savepoint point) except -1:
        cdef Savepoint before
        if self.status != ACTIVE or point not in self.points:
            return 0
        while True:
            last = <Savepoint>self.points.pop()
            if not self.points:
                self.saved = None
                self.mark = 0
                for item in self.order or ():
                    (<Draft>item).mark = 0
                return 0
            before = <Savepoint>self.points[len(self.points) - 1]
            for item, saved in last.saved.items():
                if item not in before.saved and self.order.index(item) < before.drafts:
                    before.saved[item] = saved
            self.saved = before.saved
            if last is point:
                return 0

    # --- the end ------------------------------------------------------------------------------

    cpdef prepare(self):
        """Turn drafts into operations; the first half of a commit."""
        self.check_time()
        self.plan = prepare_plan(self)
        if self.signals is not None or (self.outbox_log is not None and not callable(self.outbox_log)):
            messages = () if self.outbox_log is None or callable(self.outbox_log) else tuple(self.outbox_log)
            if messages or self.signals:
                self.plan.effects = (self.process, messages, self.signals)

    cpdef bint install(self) except -1:
        """Validate and install what `prepare` made; False where a ticket holder closes the way.

        Raises ConflictError. Afterwards the transaction has ended.
        """
        if not self.plan.ops and not self.asserted:
            release(self, self.plan)
            self.committed_version = self.ver
            self.finish(COMMITTED)
            return True
        try:
            if install_plan(self, self.plan, self.chain, self.asserted, self.strict) == FENCED:
                return False
        except ConflictError:
            self.refused = True
            raise
        self.committed_version = self.plan.version
        self.finish(COMMITTED)
        return True

    def resulting(self, path, default=None, *, count=False):
        """The plain value at a path as the commit would leave it; no contract applies.

        For checks that run before the commit. `count` makes it a read that can conflict.
        """
        cdef tuple parts = parse_path(path)
        cdef Position pos = self.pos
        if count:
            saved = (self.root, self.heavy_root)
            self.pos, self.root, self.heavy_root = unlimited(False), None, None
            try:
                value = self.ensure(parts)
            finally:
                self.pos = pos
                self.root, self.heavy_root = saved
        heavy = len(parts) > 0 and parts[0] == "heavy"
        value = peek_value(self, self.store.heavy if heavy else self.store.root, parts, 1 if heavy else 0)
        return default if value is self.absent else value

    def unlimited(self):
        """A context manager inside which this transaction's own methods are not limited."""
        cdef Unlimited block = Unlimited.__new__(Unlimited)
        block.tx = self
        return block

    def assert_version(self, u64 version, *, strict=False):
        """Make the commit a compare-and-swap: nothing it touches may have changed since `version`."""
        self.asserted = version if version else 1
        self.strict = strict

    @property
    def ops(self):
        """Operations of the commit, once prepared."""
        return self.plan.ops if self.plan is not None else None

    def commit(self):
        """Install everything or nothing. Raises ConflictError and what checks raise."""
        if self.status != ACTIVE:
            self.ended()
        if self.commit_hook is not None:
            self.commit_hook(self)
            return
        try:
            self.prepare()
            self.install()
        except BaseException:
            self.fail()
            raise

    def rollback(self):
        """Discard everything. Safe to call again, and after a failed commit."""
        if self.status == ACTIVE:
            self.finish(ROLLED_BACK)

    def fail(self):
        """End after an error, without effect on the state."""
        if self.status == ACTIVE:
            self.finish(FAILED)

    cdef int finish(self, int status) except -1:
        self.status = status
        self.snap = None
        if self.order is not None:
            for item in self.order:
                (<Draft>item).guard = None
        if self.plan is not None:
            self.plan.order = None
            self.plan.inner = None
            self.plan.checks = None
        self.drafts = None
        self.order = None
        self.saved = None
        self.points = None
        self.root = None
        self.heavy_root = None
        self.kept = None
        self.kept_one = None
        self.domain_guard = None
        self.commit_hook = None
        self.forget()
        return 0

    @property
    def active(self):
        """Whether the transaction can still be used."""
        return self.status == ACTIVE

    def __enter__(self):
        if self.status != ACTIVE:
            self.ended()
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.rollback()
        elif self.status == ACTIVE:
            self.commit()
        return False

    def __repr__(self):
        who = f" of {self.process!r}" if self.process else ""
        return f"<Transaction{who} at version {self.ver}, {STATUS_NAMES[self.status]}>"


cdef Draft empty_draft():
    cdef Draft draft = Draft.__new__(Draft)
    draft.over = {}
    draft.keep = -1
    return draft


cdef Op joined(Op first, int code, object value, tuple parts):
    """A pending commuting operation, followed by one more on the same key (a new object)."""
    cdef Op op = make_op(first.code, first.node, first.link, first.key, first.new)
    cdef list more = [] if first.more is None else list(first.more)
    cdef Op last = <Op>more[len(more) - 1] if more else op
    if last.code != code:
        more.append(make_op(code, first.node, first.link, first.key, value))
    elif more:
        more[len(more) - 1] = make_op(
            code, first.node, first.link, first.key, commute(code, last.new, value, parts)
        )
    else:
        op = make_op(code, first.node, first.link, first.key, commute(code, first.new, value, parts))
    op.more = more or None
    return op


cdef object list_index(object container, object key):
    """A path segment as an index where the container is a list."""
    if isinstance(container, (ListGuard, list)) and isinstance(key, str):
        try:
            return int(key)
        except ValueError:
            raise PathError(f"{key!r} is not an index of a list", path=key) from None
    return key


cdef object step(object container, object key, object absent):
    """The value of a key in a guard or in a pending plain container; `absent` where missing."""
    if isinstance(container, KeyedGuard) and not isinstance(container, SetGuard):
        return (<KeyedGuard>container).lookup(key, absent)
    if isinstance(container, dict):
        return container.get(key, absent)
    if isinstance(container, (ListGuard, list)):
        try:
            return container[list_index(container, key)]
        except IndexError:
            return absent
    if container is None or isinstance(container, (str, bytes, int, float, bool, set, SetGuard)):
        return absent
    return getattr(container, key, absent) if isinstance(key, str) else absent


cdef int assign(object container, object key, object value) except -1:
    if isinstance(container, MapGuard):
        (<MapGuard>container).put(key, value)
    elif isinstance(container, KeyedGuard) and not isinstance(container, SetGuard):
        setattr(container, key, value)
    elif isinstance(container, (ListGuard, list)):
        container[list_index(container, key)] = value
    elif isinstance(container, dict):
        container[key] = value
    elif isinstance(container, (str, bytes, int, float, bool, set, SetGuard)) or container is None:
        raise PathError(
            f"cannot set {key!r} inside a {type(container).__name__}: not a container with keys",
            path=str(key),
        )
    else:
        setattr(container, key, value)
    return 0


cdef int note_passage(Transaction tx, Guard guard, object key) except -1:
    if guard.node.kind == LIST:
        key = list_index(guard, key)
    tx.note(guard.node, <PyObject*>key, KEY)
    return 0


cdef object peek_value(Transaction tx, Node node, tuple parts, Py_ssize_t at):
    """The value at a path without noting anything; `tx.absent` where missing."""
    cdef PyObject* found
    cdef Draft draft
    while True:
        if at == len(parts):
            return peek_plain(tx, node)
        key = parts[at]
        draft = tx.find_draft(node)
        if node.kind == LIST:
            items = peek_plain(tx, node)
            try:
                return plain_path(items[int(key)], parts, at + 1, tx.absent)
            except (ValueError, IndexError):
                return tx.absent
        value = None
        found = NULL
        if draft is not None:
            found = PyDict_GetItemWithError(draft.over, key)
        if found is not NULL:
            value = <object>found
            if type(value) is Tomb:
                return tx.absent
            if type(value) is Op:
                found = value_at(node, key, tx.ver)
                base = tx.absent if found is NULL else <object>found
                value = commute_all(<Op>value, base, parts)
            elif isinstance(value, Guard):
                node = (<Guard>value).node
                at += 1
                continue
            return plain_path(value, parts, at + 1, tx.absent)
        found = value_at(node, key, tx.ver)
        if found is NULL:
            return tx.absent
        value = <object>found
        if type(value) is not Node:
            return plain_path(value, parts, at + 1, tx.absent)
        node = <Node>value
        at += 1


cdef object plain_path(object value, tuple parts, Py_ssize_t at, object absent):
    for key in parts[at:]:
        value = step(value, key, absent)
        if value is absent:
            return absent
    return value


cdef object peek_plain(Transaction tx, Node node):
    """Plain content of a node with pending writes, unnoted."""
    cdef bint track = tx.track
    cdef Guard guard = root_guard(tx, node, unlimited(False), None)
    guard.private = True
    tx.track = False
    try:
        return guard.plain()
    finally:
        tx.track = track


cdef dict pending(Transaction tx, bint heavy):
    cdef Op op
    cdef dict result = {}
    if tx.status != ACTIVE:
        tx.ended()
    for item in prepare_plan(tx).ops:
        op = <Op>item
        path = op.path
        if (path[0] == "heavy") is not bool(heavy):
            continue
        target = result
        for key in path[1 if heavy else 0:len(path) - 1]:
            target = target.setdefault(key, {})
        target[path[len(path) - 1]] = op.new if heavy else plain(op.new)
    return result


def update_store(Store store not None, data, heavy, signal):
    """One commit of an update on a private store, for `State.update`."""
    cdef Transaction tx = Transaction.over(store)
    tx.update(data=data, heavy=heavy, signal=signal)
    store.latched = tx.pending_signal
    tx.commit()


set_updater(update_store)
