"""What one attempt has read and what it wants to write.

Reads are pairs (node, key) in a C array; repeats in a row collapse at once, all others when
the array is full, so its size is bounded by the number of distinct reads. Writes are drafts,
one per touched node: an overlay of keys for mappings, sets and records; for lists the items
replaced, the number kept and the items appended, or the whole content after a structural
change.

A footprint belongs to one attempt and is used by one thread or task at a time. It holds no
lock; everything it knows about the store is its own snapshot.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy
from theus._core.log cimport FEW, Read, ReadSet
from theus._core.node cimport Node

from theus.errors import TransactionStateError

STATUS_NAMES = ("active", "committed", "rolled back", "failed")


@cython.final
@cython.freelist(64)
cdef class Draft:
    """Pending writes on one node."""

    cdef Draft copy(self):
        cdef Draft other = Draft.__new__(Draft)
        other.over = self.over.copy()
        other.moved = None if self.moved is None else self.moved.copy()
        other.dels = self.dels
        other.added = self.added
        other.keep = self.keep
        other.cut = self.cut
        other.tail = None if self.tail is None else self.tail.copy()
        other.full = None if self.full is None else self.full.copy()
        return other

    cdef int restore(self, Draft saved) except -1:
        self.over = saved.over
        self.moved = saved.moved
        self.dels = saved.dels
        self.added = saved.added
        self.keep = saved.keep
        self.cut = saved.cut
        self.tail = saved.tail
        self.full = saved.full
        return 0


@cython.no_gc_clear
@cython.freelist(32)
cdef class Footprint:
    """Snapshot, reads and drafts of one attempt.

    The garbage collector may not clear it: the store's list of pins points into it until the
    pin is released. Cycles through it are broken at the guards, which it may clear.
    """

    def __cinit__(self):
        self.limit = 1024
        self.track = True
        self.reads = self.few
        self.room = FEW

    def __dealloc__(self):
        if self.pin.held:
            self.store.release(&self.pin)
        if self.first is not None:
            self.drop_drafts()
        if self.count:
            self.forget()
        if self.reads is not self.few:
            free(self.reads)

    cdef int keep_more(self, object guard) except -1:
        if self.kept is None:
            self.kept = []
        self.kept.append(guard)
        return 0

    cdef int forget(self) noexcept:
        """Drop all reads."""
        cdef Py_ssize_t index, count = self.count
        self.count = 0
        for index in range(count):
            Py_DECREF(<object>self.reads[index].node)
            Py_XDECREF(self.reads[index].key)
        return 0

    cdef int hand_reads(self, ReadSet reads) noexcept:
        """Hand over all reads to an empty set."""
        reads.count = self.count
        if self.reads is self.few:
            memcpy(reads.few, self.few, self.count * sizeof(Read))
        else:
            reads.reads = self.reads
            self.reads = self.few
            self.room = FEW
        self.count = 0
        return 0

    cdef int regain_reads(self, ReadSet reads) noexcept:
        """Take back what was handed over, in place of what was read since."""
        self.forget()
        if self.reads is not self.few:
            free(self.reads)
        self.count = reads.count
        if reads.count <= FEW:
            self.reads = self.few
            self.room = FEW
            memcpy(self.few, reads.reads, reads.count * sizeof(Read))
        else:
            self.reads = reads.reads
            self.room = reads.count
            reads.reads = reads.few
        reads.count = 0
        return 0

    cdef int give_reads(self, ReadSet reads) noexcept:
        """The same. The heavy zone, whose objects may hold anything, is named by its mark."""
        cdef PyObject* heavy = <PyObject*>self.store.heavy
        cdef PyObject* mark = <PyObject*>self.store.mark
        cdef Py_ssize_t index
        self.hand_reads(reads)
        for index in range(reads.count):
            if reads.reads[index].node is heavy:
                reads.reads[index].node = mark
                Py_INCREF(self.store.mark)
                Py_DECREF(self.store.heavy)
        return 0

    cdef int grow(self) except -1:
        cdef Py_ssize_t room
        cdef Read* reads
        if self.count >= self.limit:
            self.dedupe()
            if self.count * 2 > self.limit:
                self.limit = self.count * 2
            if self.count < self.room:
                return 0
        room = self.room * 4
        if self.reads is self.few:
            reads = <Read*>malloc(room * sizeof(Read))
            if reads is not NULL:
                memcpy(reads, self.few, self.count * sizeof(Read))
        else:
            reads = <Read*>realloc(self.reads, room * sizeof(Read))
        if reads is NULL:
            raise MemoryError()
        self.reads = reads
        self.room = room
        return 0

    cdef int dedupe(self) except -1:
        """Keep the first of equal reads."""
        cdef set seen = set()
        cdef Py_ssize_t index, kept = 0
        cdef Read* read
        for index in range(self.count):
            read = &self.reads[index]
            mark = (<size_t>read.node, read.what, None if read.key is NULL else <object>read.key)
            if mark in seen:
                Py_DECREF(<object>read.node)
                Py_XDECREF(read.key)
                continue
            seen.add(mark)
            self.reads[kept] = read[0]
            kept += 1
        self.count = kept
        return 0

    cdef list op_list(self):
        """The operations as a new list."""
        return list(self.ops) if self.op_count > 1 else [self.op] if self.op_count else []

    cdef int finish(self, int status) except -1:
        """End: let go of the snapshot, the drafts and the guards."""
        self.status = status
        if self.pin.held:
            self.store.release(&self.pin)
        if self.first is not None:
            self.drop_drafts()
            self.inner = None
            self.checks = None
            self.saved = None
        self.trash = None
        self.points = None
        self.sole = None
        self.lone = None
        self.lone_node = None
        self.lone_key = None
        self.lone_value = None
        self.root = None
        self.heavy_root = None
        self.domain_guard = None
        self.kept = None
        self.kept_one = None
        self.commit_hook = None
        if self.count:
            self.forget()
        if self.judged is not None:
            self.judged = None
        if self.latched is not None:
            self.latched = None
        if self.outbox_log is not None:
            self.outbox_log._close(STATUS_NAMES[status])
        return 0

    cdef int abort(self, int status, object error) except -1:
        """End without effect on the state; why is counted, a refused commit was already."""
        if self.status == ACTIVE:
            if not self.refused and self.store.counters is not None:
                self.store.counters.ended_by(error)
            self.finish(status)
        return 0

    cdef int ended(self) except -1:
        raise TransactionStateError(
            f"this transaction{self.label()} has ended ({STATUS_NAMES[self.status]}); what was read "
            f"through it cannot be used any more. Keep plain copies (`to_dict()`) or read again.",
            status=STATUS_NAMES[self.status], process=self.process,
        )

    def label(self):
        return f" of process {self.process!r}" if self.process else ""

    cdef Draft find_draft(self, Node node):
        """The draft of a node, or None."""
        cdef Draft draft
        if self.lone is not None:
            self.settle_lone()
        draft = self.first
        if self.drafts is not None:
            return <Draft>self.drafts.get(node)
        while draft is not None and draft.node is not node:
            draft = draft.next
        return draft

    cdef int settle_lone(self) except -1:
        """The first write gets a draft: something else is written or looked at."""
        cdef Draft draft
        guard, self.lone = self.lone, None
        draft = self.draft_for(guard, self.lone_node, False)
        draft.over[self.lone_key] = self.lone_value
        draft.added += self.lone_new
        self.lone_node = None
        self.lone_key = None
        self.lone_value = None
        return 0

    cdef Draft draft_for(self, object guard, Node node, bint private):
        """The draft of a node, made at the first write."""
        cdef Draft draft = self.find_draft(node)
        if draft is not None:
            return draft
        draft = Draft.__new__(Draft)
        draft.node = node
        draft.guard = guard
        draft.private = private
        draft.over = {}
        draft.keep = -1
        draft.mark = self.mark
        draft.number = self.drafted
        if self.first is None:
            self.first = draft
        else:
            self.last.next = draft
        self.last = draft
        self.drafted += 1
        if self.drafts is not None:
            self.drafts[node] = draft
        elif self.drafted > FEW:
            self.index_drafts()
        self.epoch += 1
        return draft

    cdef int index_drafts(self) except -1:
        """From now on drafts are found by a dict."""
        cdef Draft draft = self.first
        self.drafts = {}
        while draft is not None:
            self.drafts[draft.node] = draft
            draft = draft.next
        return 0

    cdef int drop_drafts(self) except -1:
        """Forget all drafts, one by one: a long chain must not be destroyed by recursion."""
        cdef Draft draft = self.first
        self.first = None
        self.last = None
        self.drafts = None
        while draft is not None:
            draft.guard = None
            following, draft.next = draft.next, None
            draft = <Draft>following
        return 0

    cdef int save(self, Draft draft) except -1:
        """Before the first write after a savepoint: keep what the draft was."""
        self.saved[draft] = draft.copy()
        draft.mark = self.mark
        return 0
