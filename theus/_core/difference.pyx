"""The difference of two versions of one store.

The log of deltas says which keys of which containers commits changed; the containers say what
was there then. Containers are compared as objects, not by their paths. A `Difference` is made for
one question, by one thread; the states that it is given hold the snapshots that it reads.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.delta cimport OP_CUT, OP_LIST, OP_TAIL, Op
from theus._core.freeze cimport thaw_value
from theus._core.log cimport DeltaRecord
from theus._core.node cimport LIST, SET, Node, item_at, items_at, keys_at, size_at, u64, value_at
from theus._core.plan cimport same_leaf
from theus._core.state cimport State
from theus._core.store cimport Store

from theus._core.delta import DeltaEntry

cdef object MISSING = object()


cdef object child_at(Node node, object key, u64 ver):
    """What a container has under a key, as a version sees it; MISSING where there is nothing."""
    cdef PyObject* value
    if node.kind == LIST:
        if type(key) is not int or not 0 <= key < size_at(node, ver):
            return MISSING
        return <object>item_at(node, key, ver)
    value = value_at(node, key, ver)
    return MISSING if value is NULL else <object>value


cdef list records_between(Store store, u64 after, u64 until):
    """The records of the versions in (after, until], or None where the log does not have all."""
    cdef list found = [record for record in store.history.records(after) if record.version <= until]
    return found if len(found) == <Py_ssize_t>(until - after) else None


@cython.final
cdef class Difference:
    """The entries that turn one version into another of the same store.

    O(changes between them) where the log has them all; else O(containers that changed since, and
    what is directly in them).
    """

    cdef u64 before
    cdef u64 after
    cdef dict touched     # container -> its changed keys; None: where that is not known
    cdef dict inner       # container -> keys of containers in it that changed inside
    cdef dict cuts        # list -> from where on its items changed
    cdef list entries

    def __init__(self, State before not None, State after not None):
        cdef u64 low = min(before.snap.ver, after.snap.ver)
        cdef list records
        self.before = before.snap.ver
        self.after = after.snap.ver
        self.entries = []
        if self.before == self.after:
            return
        records = records_between(before.store, low, max(self.before, self.after))
        if records is not None:
            self.touched = {}
            self.inner = {}
            self.cuts = {}
            for record in records:
                for op in (<DeltaRecord>record).ops:
                    self.touch(before.store.root, <Op>op)
        self.visit(before.store.root, ())

    def take(self):
        """The list of `DeltaEntry`."""
        return self.entries

    cdef int touch(self, Node root, Op op) except -1:
        """Note the key, and the way to its container as far as both versions have it."""
        cdef Node node = root
        cdef dict keys = self.touched.setdefault(op.node, {})
        if op.code == OP_LIST:
            self.cuts[op.node] = -1
        elif op.code == OP_CUT:
            self.cuts[op.node] = min(op.key, self.cuts.get(op.node, op.key))
        elif op.code != OP_TAIL:
            keys[op.key] = None
        if op.link is None:
            return 0
        for key in op.link.path():
            child = child_at(node, key, self.before)
            if type(child) is not Node or child is not child_at(node, key, self.after):
                return 0
            self.inner.setdefault(node, {})[key] = None
            node = <Node>child
        return 0

    cdef int visit(self, Node node, tuple path) except -1:
        """A container that both versions have."""
        cdef dict keys
        if self.touched is None:
            if node.tree <= min(self.before, self.after):
                return 0
            return self.compare_nodes(node, node, path)
        if node.kind == SET:
            return self.compare_nodes(node, node, path) if node in self.touched else 0
        keys = {**self.touched.get(node, {}), **self.inner.get(node, {})}
        if node.kind == LIST:
            return self.visit_list(node, keys, path)
        for key in keys:
            self.compare(
                child_at(node, key, self.before), child_at(node, key, self.after), path + (key,)
            )
        return 0

    cdef int visit_list(self, Node node, dict keys, tuple path) except -1:
        """Its changed items, and the rest from where on they have others or there are more."""
        cdef Py_ssize_t index, size = size_at(node, self.before), then = size_at(node, self.after)
        cdef Py_ssize_t start = min(self.cuts.get(node, size), size, then)
        if start < 0:   # items have moved, and so have the ways to what is below them
            known, self.touched = self.touched, None
            self.compare_nodes(node, node, path)
            self.touched = known
            return 0
        for index in [*sorted([key for key in keys if key < start]), *range(start, min(size, then))]:
            self.compare(
                <object>item_at(node, index, self.before), <object>item_at(node, index, self.after),
                path + (index,),
            )
        for index in range(size - 1, then - 1, -1):
            self.compare(<object>item_at(node, index, self.before), MISSING, path + (index,))
        for index in range(size, then):
            self.compare(MISSING, <object>item_at(node, index, self.after), path + (index,))
        return 0

    cdef int compare(self, object old, object new, tuple path) except -1:
        if old is new:
            return self.visit(<Node>old, path) if type(old) is Node else 0
        if old is MISSING:
            return self.add("insert", path, None, self.plain(new, self.after))
        if new is MISSING:
            return self.add("delete", path, self.plain(old, self.before), None)
        if type(old) is Node and type(new) is Node and (<Node>old).kind == (<Node>new).kind and (
            (<Node>old).rule is (<Node>new).rule
        ):
            return self.compare_nodes(<Node>old, <Node>new, path)
        if type(old) is Node or type(new) is Node or not same_leaf(old, new):
            self.add("set", path, self.plain(old, self.before), self.plain(new, self.after))
        return 0

    cdef int compare_nodes(self, Node old, Node new, tuple path) except -1:
        """Two containers of one kind, all that is directly in them."""
        cdef list before, after
        if old.kind == LIST:
            return self.compare_lists(items_at(old, self.before), items_at(new, self.after), path)
        before, after = keys_at(old, self.before), keys_at(new, self.after)
        if old.kind == SET:
            if set(before) != set(after):
                self.add("set", path, set(before), set(after))
            return 0
        for key in before:
            self.compare(
                child_at(old, key, self.before), child_at(new, key, self.after), path + (key,)
            )
        for key in after:
            if child_at(old, key, self.before) is MISSING:
                self.compare(MISSING, child_at(new, key, self.after), path + (key,))
        return 0

    cdef int compare_lists(self, list before, list after, tuple path) except -1:
        cdef Py_ssize_t index, common = min(len(before), len(after))
        for index in range(common):
            self.compare(before[index], after[index], path + (index,))
        for index in range(len(before) - 1, common - 1, -1):
            self.compare(before[index], MISSING, path + (index,))
        for index in range(common, len(after)):
            self.compare(MISSING, after[index], path + (index,))
        return 0

    cdef object plain(self, object value, u64 ver):
        return thaw_value(value, ver)

    cdef int add(self, str op, tuple path, object old, object new) except -1:
        self.entries.append(DeltaEntry(op, path, old, new))
        return 0


def difference(State before not None, State after not None):
    """The list of `DeltaEntry` that turns one `State` of an engine into another."""
    if before.store is not after.store:
        raise ValueError("two states of different engines have no common history; use `theus.delta.diff`")
    return Difference(before, after).take()
