"""Deltas: the operations of a commit, with both sides, and differences of plain values.

An operation names a node, a key in it, what comes (`new`) and what went (`old`, filled in by
the commit). It therefore replays forward and backward. Its path is produced on demand from a
`Link`, the chain of keys by which the transaction reached the node.
"""

cimport cython
from theus._core.freeze cimport build_record, thaw_value
from theus._core.held cimport is_held, plain_of
from theus._core.node cimport Node, Tomb, u64
from theus._core.path cimport format_path

import dataclasses

cdef u64 NEWEST = <u64>0xFFFFFFFFFFFFFFFF

from theus._core.freeze import rule_for
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

    Fields of records are keys like others: such a record is built anew, with the field replaced.
    Raises PathError where an entry does not fit.
    """
    result = _copy(plain(value))
    for entry in entries:
        try:
            result = _applied(result, entry, 0)
        except (KeyError, IndexError, TypeError) as error:
            raise PathError(
                f"cannot apply {entry.op} at {format_path(entry.path)}: {error!r}",
                path=format_path(entry.path),
            ) from error
    return result


cdef object _copy(object value):
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value


cdef object _applied(object value, object entry, Py_ssize_t at):
    """What takes the place of `value`, which is ours to change and found at `entry.path[:at]`."""
    cdef tuple path = entry.path
    if at == len(path):
        return _copy(entry.new)
    if type(value) is dict or type(value) is list:
        return _applied_inside(value, entry, at)
    rule = rule_for(type(value))
    if rule is None or rule.kind != "record":
        raise TypeError(f"a {type(value).__name__} has no entries")
    fields = dict(rule.fields(value))
    if path[at] in fields:
        fields[path[at]] = _copy(fields[path[at]])
    return build_record(rule, _applied_inside(fields, entry, at))


cdef object _applied_inside(object container, object entry, Py_ssize_t at):
    key = entry.path[at]
    if at + 1 < len(entry.path):
        container[key] = _applied(container[key], entry, at + 1)
    elif entry.op == "delete":
        del container[key]
    elif entry.op == "insert" and type(container) is list:
        container.insert(key, _copy(entry.new))
    else:
        container[key] = _copy(entry.new)
    return container
