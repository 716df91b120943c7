"""Savepoints: places to return to inside a transaction."""

from theus._core.delta cimport Op
from theus._core.footprint cimport ACTIVE, Draft, Footprint
from theus._core.freeze cimport ingest, is_plain_leaf
from theus._core.guard cimport Guard, detached_guard
from theus._core.node cimport Node, Tomb

from theus.errors import TransactionStateError


cdef class Savepoint:
    """A place to return to inside a transaction: `rollback()` undoes every write since.

    Covers state, outbox and signals. What was read since stays read. Rolling back to a
    savepoint ends the ones taken after it; it can be repeated.
    """

    def __init__(self):
        raise TypeError("savepoints are taken by a transaction")

    def rollback(self):
        """Undo all writes since; TransactionStateError where it has ended."""
        cdef Footprint tx = self.tx
        cdef Draft draft
        if tx.status != ACTIVE:
            tx.ended()
        if self not in tx.points:
            raise TransactionStateError(
                "this savepoint has ended: a savepoint taken before it was rolled back to, or it was "
                "released", status="savepoint ended",
            )
        self.restore_drafts()
        draft = tx.first
        while draft is not None:
            if draft.number >= self.drafts:
                draft.restore(empty_draft())
            draft = draft.next
        tx.saved = self.saved
        tx.mark += 1
        if tx.outbox_log is not None:
            tx.outbox_log._truncate(self.messages)
        tx.signals = None if self.signals is None else self.signals.copy()

    cdef int restore_drafts(self) except -1:
        """Drafts that were there get back what they held; newer savepoints end."""
        cdef Savepoint last
        while True:
            last = <Savepoint>self.tx.points[len(self.tx.points) - 1]
            for item, saved in last.saved.items():
                (<Draft>item).restore(<Draft>saved)
            last.saved = {}
            if last is self:
                return 0
            self.tx.points.pop()

    def release(self):
        """Forget the savepoint, keep the writes."""
        cdef Footprint tx = self.tx
        cdef Savepoint last, before
        if tx.status != ACTIVE or self not in tx.points:
            return
        while True:
            last = <Savepoint>tx.points.pop()
            if not tx.points:
                tx.saved = None
                clear_marks(tx)
                return
            before = <Savepoint>tx.points[len(tx.points) - 1]
            for item, saved in last.saved.items():
                if item not in before.saved and (<Draft>item).number < before.drafts:
                    before.saved[item] = saved
            tx.saved = before.saved
            if last is self:
                return


cdef Savepoint take_savepoint(Footprint tx):
    """A savepoint of an active transaction; values assigned before are detached from the caller."""
    cdef Savepoint point = Savepoint.__new__(Savepoint)
    if tx.status != ACTIVE:
        tx.ended()
    if tx.lone is not None:
        tx.settle_lone()
    absorb(tx)
    point.tx = tx
    point.saved = {}
    point.drafts = tx.drafted
    point.messages = 0 if tx.outbox_log is None else len(tx.outbox_log)
    point.signals = None if tx.signals is None else tx.signals.copy()
    if tx.points is None:
        tx.points = []
    tx.points.append(point)
    tx.saved = point.saved
    tx.mark += 1
    return point


cdef int clear_marks(Footprint tx) except -1:
    cdef Draft draft = tx.first
    tx.mark = 0
    while draft is not None:
        draft.mark = 0
        draft = draft.next
    return 0


cdef int absorb(Footprint tx) except -1:
    """Take the caller's pending containers in, so that later changes to them can be undone."""
    cdef Draft draft = tx.first
    while draft is not None:
        for key, value in list(draft.over.items()):
            draft.over[key] = absorbed(draft, key, value)
        for values in (draft.tail, draft.full):
            if values is not None:
                for index, value in enumerate(values):
                    values[index] = absorbed(draft, index, value)
        draft = draft.next
    return 0


cdef object absorbed(Draft draft, object key, object value):
    if draft.node.opaque or is_plain_leaf(value) or isinstance(value, (Tomb, Op, Guard)):
        return value
    held = ingest(value, (<Guard>draft.guard).where_key(key))
    if type(held) is not Node:
        return held
    return detached_guard(<Guard>draft.guard, key, <Node>held)


cdef Draft empty_draft():
    cdef Draft draft = Draft.__new__(Draft)
    draft.over = {}
    draft.keep = -1
    return draft
