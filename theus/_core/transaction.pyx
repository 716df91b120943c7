"""Transactions: one unit of work over one snapshot.

    active --commit--> committed
       |  `--conflict, time-out, error--> failed
       `--rollback--> rolled back

Everything written is pending until the commit, which installs all of it or nothing. After its
end a transaction, its guards and its savepoints refuse use and hold no references to the
snapshot. One transaction is used by one thread or task at a time; any number of them run side
by side.
"""

cimport cython
from theus._core.commit cimport FENCED, release
from theus._core.commit cimport install as install_prepared
from theus._core.commuting cimport Commuting
from theus._core.delta cimport Op
from theus._core.footprint cimport ACTIVE, COMMITTED, FAILED, ROLLED_BACK, Draft, Footprint
from theus._core.guard cimport Guard
from theus._core.layout cimport share_dealloc
from theus._core.node cimport u64
from theus._core.pattern cimport EVERYTHING, Position, unlimited_as
from theus._core.plan cimport has_pending
from theus._core.plan cimport prepare as prepare_drafts
from theus._core.savepoint cimport take_savepoint
from theus._core.signal cimport outgoing
from theus._core.state cimport State
from theus._core.store cimport Store

import time

from theus._core.delta import DeltaEntry, plain
from theus._core.footprint import STATUS_NAMES
from theus._core.state import set_updater
from theus.errors import TransactionStateError


cdef class Unlimited:
    """Lifts the contract from `Transaction`'s own methods for the time of a block."""

    def __init__(self):
        raise TypeError("made by a transaction")

    def __enter__(self):
        tx = self.tx
        self.saved = (tx.pos, tx.root, tx.heavy_root, tx.pure)
        tx.pos, tx.root, tx.heavy_root, tx.pure = unlimited_as(tx.pos), None, None, False
        return tx

    def __exit__(self, kind, error, trace):
        if self.tx.status == ACTIVE:
            self.tx.pos, self.tx.root, self.tx.heavy_root, self.tx.pure = self.saved
        return False


@cython.no_gc_clear
cdef class Transaction(Commuting):
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
        self.open(Store({"domain": {}, "global": {}}), EVERYTHING, True)
        self.started = time.monotonic()
        self.limit_ms = 0 if write_timeout_ms is None else write_timeout_ms

    cdef int open(self, Store store, Position pos, bint serializable) except -1:
        self.store = store
        self.pos = pos
        self.track = serializable
        self.absent = store.absent
        store.begin(&self.pin)
        self.ver = self.pin.ver
        if store.latched_at == self.ver:
            self.latched = store.latched
        return 0

    def attach(self, Store store not None, Position pos not None, *, serializable=True, process=None,
               write_timeout_ms=None, hook=None, chain=None, pure=False):
        """Wire a fresh transaction; used by the engine, once."""
        if self.store is not None:
            raise TransactionStateError("this transaction is wired already", status="active")
        self.open(store, pos, serializable)
        self.process = process
        self.limit_ms = 0 if write_timeout_ms is None else write_timeout_ms
        self.commit_hook = hook
        self.chain = chain
        self.pure = pure
        self.started = time.monotonic()

    @staticmethod
    def over(Store store not None):
        """A transaction on a bare store: unlimited, serializable, no checks."""
        cdef Transaction tx = Transaction.__new__(Transaction)
        tx.open(store, EVERYTHING, True)
        return tx

    @property
    def state(self):
        """The `State` this transaction started from (without its own writes)."""
        if self.status != ACTIVE:
            self.ended()
        return State.over(self.store, self.store.share_with(&self.pin), self.latch())

    @property
    def status_name(self):
        """"active", "committed", "rolled back" or "failed"."""
        return STATUS_NAMES[self.status]

    # --- what is pending ----------------------------------------------------------------------

    @property
    def outbox(self):
        """The messages queued in this transaction: `tx.outbox.add(msg)`."""
        if self.status != ACTIVE:
            self.ended()
        if self.outbox_log is None and self.store.outbox is not None:
            self.outbox_log = self.store.outbox()
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
        prepare_drafts(self)
        for item in self.op_list():
            op = <Op>item
            entries.append(DeltaEntry(op.kind, op.path, None, plain(op.new)))
        return entries

    @property
    def has_writes(self):
        """Whether anything is pending in the state."""
        cdef Draft draft = self.first
        if self.lone is not None:
            return True
        while draft is not None:
            if has_pending(draft):
                return True
            draft = draft.next
        return False

    def touched(self):
        """Paths written so far, whether or not that changes anything (a new list)."""
        cdef Draft draft = self.first
        cdef list paths = [self.op_at(index).path for index in range(self.op_count)]
        while draft is not None:
            if not draft.private:
                base = (<Guard>draft.guard).where()
                paths += [base + (key,) for key in draft.over]
                if draft.tail is not None or draft.full is not None or draft.cut:
                    paths.append(base)
            draft = draft.next
        return paths

    def savepoint(self):
        """A place to return to -> Savepoint. Values assigned before are detached from the caller."""
        return take_savepoint(self)

    # --- the end ------------------------------------------------------------------------------

    cpdef prepare(self):
        """Turn drafts into operations; the first half of a commit."""
        self.check_time()
        if not self.planned:
            prepare_drafts(self)
        self.effects = None
        if self.signals is not None or self.outbox_log is not None:
            messages = () if self.outbox_log is None else tuple(self.outbox_log)
            if messages or self.signals:
                self.effects = outgoing(self.process, messages, self.signals)

    cpdef bint install(self) except -1:
        """Validate and install what `prepare` made; False where a ticket holder closes the way.

        Raises ConflictError. Afterwards the transaction has ended.
        """
        if not self.op_count and not self.asserted and self.effects is None:
            release(self)
        elif install_prepared(self) == FENCED:
            return False
        self.finish(COMMITTED)
        return True

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
        """Operations of the commit (a new list), once prepared."""
        return self.op_list() if self.prepared else None

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
        except BaseException as error:
            self.fail(error)
            raise

    def rollback(self, error=None):
        """Discard everything, because of an error if one is given.

        Safe to call again, and after a failed commit.
        """
        self.abort(ROLLED_BACK, error)

    def fail(self, error not None):
        """End after an error, without effect on the state."""
        self.abort(FAILED, error)

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
            self.abort(ROLLED_BACK, error)
        elif self.status == ACTIVE:
            self.commit()
        return False

    def __repr__(self):
        who = f" of {self.process!r}" if self.process else ""
        return f"<Transaction{who} at version {self.ver}, {STATUS_NAMES[self.status]}>"


cdef dict pending(Transaction tx, bint heavy):
    cdef Op op
    cdef dict result = {}
    if tx.status != ACTIVE:
        tx.ended()
    prepare_drafts(tx)
    for item in tx.op_list():
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
    tx.commit()


set_updater(update_store)
share_dealloc(Transaction, Footprint)
