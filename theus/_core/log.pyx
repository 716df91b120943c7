"""The log of deltas: the last commits, bounded by their number and by their bytes.

Versions grow by one per commit, so the record of version v sits at `v % capacity`; looking one
up is O(1). What a commit costs here is an estimate, for which no object but arrays is asked for its
size: the operations, the values that went, and, where the engine keeps old versions, what the
process had read.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdlib cimport calloc, free
from theus._core.delta cimport Op
from theus._core.layout cimport pool_of, prefetch
from theus._core.node cimport LIST, Node, u64
from theus._core.path cimport format_path
from theus._core.shown cimport is_shown

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    int PyUnicode_KIND(object)

cdef enum:
    LEAF = 28         # a number
    TEXT = 56         # an empty text, an empty list
    ENTRY = 64        # an entry of a dict, with its key
    NODE = 200        # an empty container
    TRIMMED = 64      # records dropped at once, under the lock


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class ReadSet:
    """What a committed process had read: pairs (node, key). Immutable.

    Not tracked by the garbage collector, as operations are not: it holds nodes and builtin keys.
    """

    def __cinit__(self):
        self.reads = self.few

    def __dealloc__(self):
        cdef Py_ssize_t index
        for index in range(self.count):
            Py_DECREF(<object>self.reads[index].node)
            Py_XDECREF(self.reads[index].key)
        if self.reads is not self.few:
            free(self.reads)


@cython.final
cdef class DeltaRecord:
    """One commit: version, time (seconds since the epoch), process, operations (a list), and the
    version that its process had read."""

    def __init__(self):
        raise TypeError("records are made by commits")

    def __repr__(self):
        return f"DeltaRecord(version={self.version}, process={self.process!r}, ops={self.ops!r})"

    def paths(self):
        """Dotted paths that the commit changed, in order."""
        return [format_path(op.path) for op in self.ops]


@cython.final
@cython.no_gc
cdef class DeltaLog:
    """The last commits, oldest overwritten first. Written under the store's lock only.

    Not tracked by the garbage collector, for the reason given at `Op`. A slot owns the name of
    the process, the operations (one `Op`, or a list of them) and the reads; a `DeltaRecord` is
    made when one is asked for. The newest commit stays, whatever it costs.

    Parameters
    ----------
    capacity:
        How many commits.
    version:
        The version before the first.
    limit:
        How many bytes they may take, by estimate.
    """

    def __init__(self, Py_ssize_t capacity, u64 version, Py_ssize_t limit=64 << 20):
        if capacity < 1:
            raise ValueError(f"the delta log needs room for at least one commit, got {capacity}")
        if self.slots is not NULL:
            raise TypeError("a delta log is set up once")
        self.slots = <Slot*>calloc(capacity, sizeof(Slot))
        if self.slots is NULL:
            raise MemoryError(f"no memory for a log of {capacity} commits")
        self.capacity = capacity
        self.limit = limit
        self.last = version
        self.first = version + 1

    def __dealloc__(self):
        cdef Py_ssize_t at
        if self.slots is NULL:
            return
        for at in range(self.capacity):
            Py_XDECREF(self.slots[at].process)
            Py_XDECREF(self.slots[at].held)
            Py_XDECREF(self.slots[at].reads)
        free(self.slots)

    def __len__(self):
        return self.last + 1 - self.first

    cdef object append(
        self, u64 version, double time, object process, object held, u64 snapshot, ReadSet reads,
        Py_ssize_t nbytes
    ):
        """Add the record of a commit (`held`: its operation, or the list of them); returns what
        it overwrites, for the caller to drop."""
        cdef Slot* slot = &self.slots[version % <u64>self.capacity]
        cdef object evicted = None if slot.held is NULL else self.empty(slot)
        slot.time = time
        slot.snapshot = snapshot
        slot.bytes = nbytes
        self.bytes += nbytes
        if slot.process is not <PyObject*>process:
            Py_INCREF(process)
            Py_XDECREF(slot.process)
            slot.process = <PyObject*>process
        Py_INCREF(held)
        slot.held = <PyObject*>held
        if reads is not None:
            Py_INCREF(reads)
            slot.reads = <PyObject*>reads
        self.last = version
        if version + 1 - self.first > <u64>self.capacity:
            self.first = version + 1 - <u64>self.capacity
        self.fetch(version)
        return evicted

    cdef object empty(self, Slot* slot):
        """Take out what a slot owns, for the caller to drop."""
        cdef object held = <object>slot.held
        cdef ReadSet reads
        Py_DECREF(held)
        slot.held = NULL
        self.bytes -= slot.bytes
        slot.bytes = 0
        if slot.reads is NULL:
            return held
        reads = <ReadSet>slot.reads
        Py_DECREF(reads)
        slot.reads = NULL
        reads.held = held
        return reads

    cdef void charge(self, u64 version, Py_ssize_t nbytes) noexcept:
        """Add to the estimate of a commit, if it is still there."""
        if self.first <= version <= self.last:
            self.slots[version % <u64>self.capacity].bytes += nbytes
            self.bytes += nbytes

    cdef int trim(self, list trash) except -1:
        """Drop the oldest records over the limit of bytes, a bounded number of them."""
        cdef Py_ssize_t left = TRIMMED
        while self.bytes > self.limit and self.first < self.last and left > 0:
            trash.append(self.empty(&self.slots[self.first % <u64>self.capacity]))
            self.first += 1
            left -= 1
        return 0

    cdef void fetch(self, u64 version) noexcept:
        """Ask the processor for what the next two commits will overwrite.

        It was last touched a whole log ago, so dropping it would wait for memory otherwise.
        """
        cdef PyObject* held = self.slots[(version + 1) % <u64>self.capacity].held
        prefetch(self.slots[(version + 2) % <u64>self.capacity].held)
        prefetch(self.slots[(version + 2) % <u64>self.capacity].reads)
        if held is not NULL and type(<object>held) is Op:
            prefetch(<PyObject*>(<Op>held).key)
            prefetch(<PyObject*>(<Op>held).old)
            prefetch(pool_of(<PyObject*>(<Op>held).old))
            prefetch(<PyObject*>(<Op>held).new)

    cdef DeltaRecord at(self, u64 version):
        """The record of a version, or None where it is not kept."""
        cdef Slot* slot
        cdef DeltaRecord record
        if version < self.first or version > self.last:
            return None
        slot = &self.slots[version % <u64>self.capacity]
        record = DeltaRecord.__new__(DeltaRecord)
        record.version = version
        record.time = slot.time
        record.snapshot = slot.snapshot
        record.process = <object>slot.process
        record.reads = None if slot.reads is NULL else <ReadSet>slot.reads
        held = <object>slot.held
        record.ops = [held] if type(held) is Op else list(held)
        return record

    def records(self, u64 after=0):
        """Records of the commits after a version, oldest first."""
        cdef u64 version
        cdef DeltaRecord record
        cdef list found = []
        for version in range(max(after + 1, self.first), self.last + 1):
            record = self.at(version)
            if record is not None:
                found.append(record)
        return found


# --- what values take, by estimate ---------------------------------------------------------------


cdef Py_ssize_t leaf_bytes(object value) noexcept:
    """The size of a leaf; -1 for what has to be walked."""
    kind = type(value)
    if kind is str:
        return TEXT + PyUnicode_GET_LENGTH(value) * PyUnicode_KIND(value)
    if kind is bytes:
        return TEXT + len(<bytes>value)
    if kind is Node or kind is list or kind is tuple or kind is frozenset:
        return -1
    return -1 if is_shown(<PyObject*>value) else LEAF


cdef Py_ssize_t deep_bytes(object value, Py_ssize_t most) except -1:
    """The size of a value with all that is in it, or something over `most`."""
    cdef Py_ssize_t total = leaf_bytes(value)
    if total >= 0:
        return total
    if is_shown(<PyObject*>value):
        return LEAF + <Py_ssize_t>value.nbytes
    if type(value) is not Node:
        total = TEXT + 8 * len(value)
        items = value
    elif (<Node>value).kind == LIST:
        items = (<Node>value).seq
        total = NODE + 8 * len(items)
    else:
        items = (<Node>value).cur.values()
        total = NODE + ENTRY * len(items)
    for item in items:
        if total > most:
            return total
        total += deep_bytes(item, most - total)
    return total
