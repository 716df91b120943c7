"""Deltas: the operations of a commit, with both sides, and the log of them.

An operation names a node, a key in it, what comes (`new`) and what went (`old`, filled in by
the commit). It therefore replays forward and backward. Its path is produced on demand from a
`Link`, the chain of keys by which the transaction reached the node.

The log keeps the last `capacity` commits. Versions grow by one per commit, so the record of
version v sits at `v % capacity`; looking one up is O(1).
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdlib cimport calloc, free
from theus._core.freeze cimport is_held, plain_of, thaw_value
from theus._core.layout cimport pool_of, prefetch
from theus._core.node cimport Node, Tomb, u64
from theus._core.path cimport format_path

import dataclasses

cdef u64 NEWEST = <u64>0xFFFFFFFFFFFFFFFF

from theus.errors import PathError


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Link:
    """How a node was reached: parent link and key; the root has neither.

    Holds only links and builtin keys, so it cannot be part of a cycle.
    """

    cpdef tuple path(self):
        cdef list parts = []
        cdef Link link = self
        while link is not None and link.parent is not None:
            parts.append(link.key)
            link = link.parent
        parts.reverse()
        return tuple(parts)


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Op:
    """One operation of a delta.

    Not tracked by the garbage collector, which would otherwise walk the whole log again and
    again: a kept operation holds nodes, builtin keys and values of the tree, which hold no
    engine and no log. Values of opaque areas, which could, are not kept.
    """

    def __repr__(self):
        return f"<{CODE_NAMES[self.code]} {format_path(self.path)}>"

    @property
    def path(self):
        """Path of the key that the operation changed, as a tuple of keys."""
        cdef tuple parts = () if self.link is None else self.link.path()
        if self.code in (OP_TAIL, OP_CUT, OP_LIST):
            return parts
        return parts + (self.key,)

    @property
    def kind(self):
        """Name of the operation."""
        return CODE_NAMES[self.code]


CODE_NAMES = (
    "set", "delete", "move", "item", "extend", "cut", "replace", "incr", "max", "min", "add",
    "discard",
)


cdef Op make_op(int code, Node node, Link link, object key, object new):
    cdef Op op = Op.__new__(Op)
    op.code = code
    op.node = node
    op.link = link
    op.key = key
    op.new = new
    return op


@cython.final
cdef class DeltaRecord:
    """One commit: version, time (seconds since the epoch), process and operations (a list)."""

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
    the process and the operations (one `Op`, or a list of them); a `DeltaRecord` is made when
    one is asked for.
    """

    def __init__(self, Py_ssize_t capacity, u64 version):
        if capacity < 1:
            raise ValueError(f"the delta log needs room for at least one commit, got {capacity}")
        if self.slots is not NULL:
            raise TypeError("a delta log is set up once")
        self.slots = <Slot*>calloc(capacity, sizeof(Slot))
        if self.slots is NULL:
            raise MemoryError(f"no memory for a log of {capacity} commits")
        self.capacity = capacity
        self.last = version
        self.first = version + 1

    def __dealloc__(self):
        cdef Py_ssize_t at
        if self.slots is NULL:
            return
        for at in range(self.capacity):
            Py_XDECREF(self.slots[at].process)
            Py_XDECREF(self.slots[at].held)
        free(self.slots)

    def __len__(self):
        return self.last + 1 - self.first

    cdef object append(self, u64 version, double time, object process, object held):
        """Add the record of a commit (`held`: its operation, or the list of them); returns what
        it overwrites, for the caller to drop."""
        cdef Slot* slot = &self.slots[version % <u64>self.capacity]
        cdef PyObject* old = slot.held
        slot.time = time
        if slot.process is not <PyObject*>process:
            Py_INCREF(process)
            Py_XDECREF(slot.process)
            slot.process = <PyObject*>process
        Py_INCREF(held)
        slot.held = <PyObject*>held
        self.last = version
        if version + 1 - self.first > <u64>self.capacity:
            self.first = version + 1 - <u64>self.capacity
        self.fetch(version)
        if old is NULL:
            return None
        evicted = <object>old
        Py_DECREF(evicted)
        return evicted

    cdef void fetch(self, u64 version) noexcept:
        """Ask the processor for what the next two commits will overwrite.

        It was last touched a whole log ago, so dropping it would wait for memory otherwise.
        """
        cdef PyObject* held = self.slots[(version + 1) % <u64>self.capacity].held
        prefetch(self.slots[(version + 2) % <u64>self.capacity].held)
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
        record.process = <object>slot.process
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


@dataclasses.dataclass(frozen=True)
class DeltaEntry:
    """One difference: `op` is "set", "delete" or "insert" at `path` (a tuple of keys).

    `old` and `new` are plain values; absent sides are None. `order` says for "set" of a new
    key that it comes at the end.
    """

    op: str
    path: tuple
    old: object = None
    new: object = None

    def __str__(self):
        return f"{self.op} {format_path(self.path)}: {self.old!r} -> {self.new!r}"


def plain(value):
    """A detached plain copy of anything the state hands out, and of containers in operations as
    they are by now; other values come back as they are."""
    if is_held(value):
        return plain_of(value)
    if type(value) is Tomb:
        return None
    return thaw_value(value, NEWEST)


def diff(before, after):
    """The list of `DeltaEntry` that turns `before` into `after` (plain values or views).

    O(size of both); branches that are the same object are skipped. `apply(before, diff(before,
    after)) == after` for all trees of dicts, lists and leaves.
    """
    cdef list entries = []
    _diff(plain(before), plain(after), (), entries)
    return entries


cdef int _diff(object a, object b, tuple path, list entries) except -1:
    if a is b:
        return 0
    if type(a) is dict and type(b) is dict:
        return _diff_dicts(<dict>a, <dict>b, path, entries)
    if type(a) is list and type(b) is list:
        return _diff_lists(<list>a, <list>b, path, entries)
    if type(a) is not type(b) or a != b:
        entries.append(DeltaEntry("set", path, a, b))
    return 0


cdef int _diff_dicts(dict a, dict b, tuple path, list entries) except -1:
    for key, value in a.items():
        if key not in b:
            entries.append(DeltaEntry("delete", path + (key,), value, None))
    for key, value in b.items():
        if key in a:
            old = a[key]
            if old is not value and (type(old) is not type(value) or old != value):
                _diff(old, value, path + (key,), entries)
        else:
            entries.append(DeltaEntry("insert", path + (key,), None, value))
    return 0


cdef int _diff_lists(list a, list b, tuple path, list entries) except -1:
    cdef Py_ssize_t index, common = min(len(a), len(b))
    for index in range(common):
        if a[index] is not b[index]:
            _diff(a[index], b[index], path + (index,), entries)
    for index in range(len(a) - 1, common - 1, -1):
        entries.append(DeltaEntry("delete", path + (index,), a[index], None))
    for index in range(common, len(b)):
        entries.append(DeltaEntry("insert", path + (index,), None, b[index]))
    return 0


def apply(value, entries):
    """A new plain value: `value` with the entries of a `diff` applied in order.

    Raises PathError where an entry does not fit.
    """
    result = plain(value)
    result = _copy(result)
    for entry in entries:
        result = _apply_one(result, entry)
    return result


cdef object _copy(object value):
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value


cdef object _apply_one(object root, object entry):
    cdef tuple path = entry.path
    cdef Py_ssize_t last = len(path) - 1
    if last < 0:
        return _copy(entry.new)
    target = root
    try:
        for key in path[:last]:
            target = target[key]
        if entry.op == "delete":
            del target[path[last]]
        elif entry.op == "insert" and type(target) is list:
            target.insert(path[last], _copy(entry.new))
        else:
            target[path[last]] = _copy(entry.new)
    except (KeyError, IndexError, TypeError) as error:
        raise PathError(
            f"cannot apply {entry.op} at {format_path(path)}: {error!r}", path=format_path(path)
        ) from error
    return root
