cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from theus._core.delta cimport Op
from theus._core.log cimport FEW, Read, ReadSet
from theus._core.node cimport Node, u64
from theus._core.pattern cimport Position
from theus._core.store cimport Pin, Store

cdef enum Status:
    ACTIVE = 0
    COMMITTED = 1
    ROLLED_BACK = 2
    FAILED = 3


@cython.final
cdef class Draft:
    cdef Node node
    cdef object guard
    cdef bint private     # the node is not part of the tree: nothing to install
    cdef bint idle        # nothing came of it at the last `prepare`
    cdef Py_ssize_t mark  # number of the savepoint it was last saved for
    cdef dict over        # key -> new value, Tomb (deleted) or Op (commuting); lists: index -> value
    cdef set moved        # keys of the snapshot that went and came back at the end
    cdef Py_ssize_t dels  # keys of the snapshot that are deleted
    cdef Py_ssize_t added  # keys that the snapshot does not have
    cdef Py_ssize_t keep  # lists: items of the snapshot kept
    cdef bint cut         # lists: the length of the snapshot was relied on
    cdef list tail        # lists: items appended
    cdef list full        # lists: whole content after a structural change
    cdef Draft next       # in the order of their first write
    cdef Py_ssize_t number
    cdef Draft copy(self)
    cdef int restore(self, Draft saved) except -1


cdef class Footprint:
    cdef readonly Store store
    cdef Pin pin          # the snapshot
    cdef u64 ver
    cdef u64 rules        # those of the store when this was prepared
    cdef int status
    cdef bint track       # reads count (serializable)
    cdef bint inspected   # an invariant is looking: nothing may be written, own writes are noted too
    cdef long epoch       # number of drafts made
    cdef Py_ssize_t mark  # number of the newest savepoint; 0: none
    cdef bint pure
    cdef int admin  # blocks of administrators around what runs now
    cdef Read* reads
    cdef Read[FEW] few
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef Py_ssize_t limit
    cdef dict drafts      # node -> Draft, once there are more than a few
    cdef Draft first      # drafts in the order of their first write
    cdef Draft last
    cdef Py_ssize_t drafted  # how many there are
    cdef dict saved       # Draft -> its copy at the newest savepoint
    cdef public object process
    cdef object absent
    cdef object kept_one  # guards that must outlive their parents' children
    cdef list kept
    # What a transaction adds. It is kept here, so that all footprints come from one free list.
    cdef Position pos
    cdef object root      # guards, of a module further up
    cdef object heavy_root
    cdef object domain_guard
    cdef bint prepared    # the drafts have become operations
    cdef object sole      # guard of the container of the only operation, where it has no draft
    cdef bint planned     # the operations are there: nothing more is written
    # The first write, as long as nothing else is written or looked at: it needs no draft then.
    cdef object lone      # guard of the container
    cdef Node lone_node
    cdef object lone_key
    cdef object lone_value
    cdef bint lone_new    # the snapshot does not have the key
    cdef Py_ssize_t op_count
    cdef Op op            # the only one; where there are more, all of them are in `ops`
    cdef list ops
    cdef list inner       # containers changed inside, beside those of the drafts
    cdef list checks      # (node, key) passed through, where reads are not validated
    cdef list trash       # what a commit replaced, to be dropped outside of the lock
    cdef bint bulky       # the log does not know yet how much that is
    cdef readonly object effects  # what to hand out after the commit; None: nothing
    cdef readonly u64 asserted
    cdef readonly bint strict
    cdef readonly u64 committed_version
    cdef readonly bint refused
    cdef object judged    # what invariants said; None: they were not asked
    cdef readonly object chain
    cdef readonly double limit_ms
    cdef readonly double started
    cdef object outbox_log    # once messages were asked for
    cdef dict signals
    cdef dict latched         # the signals of the commit that made the snapshot; None: none
    cdef object commit_hook
    cdef public object extra
    cdef public object trace
    cdef list points
    cdef void* context    # identity of the context that the process runs in
    cdef int grow(self) except -1
    cdef int dedupe(self) except -1
    cdef int forget(self) noexcept
    cdef int hand_reads(self, ReadSet reads) noexcept
    cdef int regain_reads(self, ReadSet reads) noexcept
    cdef int give_reads(self, ReadSet reads) noexcept
    cdef int keep_more(self, object guard) except -1
    cdef int finish(self, int status) except -1
    cdef int abort(self, int status, object error) except -1
    cdef int ended(self) except -1
    cdef int settle_lone(self) except -1
    cdef Draft find_draft(self, Node node)
    cdef Draft draft_for(self, object guard, Node node, bint private)
    cdef int index_drafts(self) except -1
    cdef int drop_drafts(self) except -1
    cdef int save(self, Draft draft) except -1

    cdef list op_list(self)

    cdef inline bint untouched(self) noexcept:
        """Whether nothing is pending."""
        return self.first is None and self.lone is None

    cdef inline Op op_at(self, Py_ssize_t index):
        return self.op if self.op_count == 1 else <Op>self.ops[index]

    cdef inline int add_op(self, Op op) except -1:
        if self.op_count == 0:
            self.op = op
        elif self.op_count == 1:
            self.ops = [self.op, op]
        else:
            self.ops.append(op)
        self.op_count += 1
        return 0

    cdef inline dict latch(self):
        """The signals of the commit that made the snapshot, by topic."""
        return {} if self.latched is None else self.latched

    cdef inline int drop_ops(self) except -1:
        self.op_count = 0
        self.op = None
        self.ops = None
        return 0

    cdef inline int note(self, Node node, PyObject* key, int what) except -1:
        cdef Read* last
        if self.count:
            last = &self.reads[self.count - 1]
            if last.node is <PyObject*>node and last.key is key and last.what == what:
                return 0
        if self.count == self.room or self.count >= self.limit:
            self.grow()
        last = &self.reads[self.count]
        Py_INCREF(node)
        if key is not NULL:
            Py_INCREF(<object>key)
        last.node = <PyObject*>node
        last.key = key
        last.what = what
        self.count += 1
        return 0

    cdef inline int keep(self, object guard) except -1:
        """Keep a guard alive until the end: children below it point to it."""
        if self.kept_one is not None:
            return self.keep_more(guard)
        self.kept_one = guard
        return 0
