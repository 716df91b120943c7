"""Whether a prepared attempt may be installed.

The questions are asked under the store's mutex; the answers change nothing.
"""

from cpython.object cimport PyObject
from theus._core.delta cimport (
    OP_CUT, OP_INCR, OP_ITEM, OP_LIST, OP_MOVE, OP_TAIL, Op,
)
from theus._core.fault cimport NO_ANCESTOR_CHECK, NO_READ_VALIDATION, planted
from theus._core.footprint cimport Footprint
from theus._core.log cimport ALL, DEEP, KEY, DeltaRecord, Read
from theus._core.node cimport LIST, Node, index_changed, is_node, is_tomb, key_changed, u64
from theus._core.store cimport Store

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL


cdef bint loses_changes(Op op, u64 ver) except -1:
    """Whether the operation would replace or remove a container that changed inside."""
    cdef PyObject* value
    cdef Py_ssize_t index
    if op.node.kind != LIST:
        value = PyDict_GetItemWithError(op.node.cur, op.key)
        return value is not NULL and is_node(value) and (<Node>value).tree > ver
    if op.code == OP_ITEM:
        index = op.key
        if index >= len(op.node.seq):
            return True
        item = op.node.seq[index]
        return type(item) is Node and (<Node>item).tree > ver
    kept = {id(item) for item in op.new or () if type(item) is Node}
    for index in range(op.key if op.code == OP_CUT else 0, len(op.node.seq)):
        item = op.node.seq[index]
        if type(item) is Node and (<Node>item).tree > ver and id(item) not in kept:
            return True
    return False


cdef bint op_conflicts(Op op, u64 ver) except -1:
    cdef int code = op.code
    if code >= OP_INCR or code == OP_TAIL or op.node.tree <= ver:
        return False
    if loses_changes(op, ver):
        return True
    if op.node.mtime <= ver:
        return False
    if code == OP_ITEM:
        return index_changed(op.node, op.key, ver)
    if code == OP_CUT or code == OP_LIST:
        return True
    return key_changed(op.node, op.key, ver)


cdef bint read_stale(Read* read, u64 ver) except -1:
    cdef Node node = <Node>read.node
    if read.what == DEEP:
        return node.tree > ver
    if node.mtime <= ver:
        return False
    if read.what == KEY:
        if node.kind == LIST:
            return index_changed(node, <object>read.key, ver)
        return key_changed(node, <object>read.key, ver)
    return True if read.what == ALL else node.shape > ver


cdef bint is_stale(Footprint tx) except -1:
    """Whether anything read, passed through or written has changed since the snapshot."""
    cdef Py_ssize_t index
    for index in range(tx.op_count):
        if op_conflicts(tx.op_at(index), tx.ver):
            return True
    if planted() != NO_READ_VALIDATION:
        for index in range(tx.count):
            if read_stale(&tx.reads[index], tx.ver):
                if planted() == NO_ANCESTOR_CHECK and is_passage(<Node>tx.reads[index].node, tx.reads[index].key):
                    continue
                return True
    if tx.checks is not None and planted() != NO_ANCESTOR_CHECK:
        for node, key in tx.checks:
            if (<Node>node).kind == LIST:
                if index_changed(<Node>node, key, tx.ver):
                    return True
            elif key_changed(<Node>node, key, tx.ver):
                return True
    return False


cdef bint is_passage(Node node, PyObject* key) except -1:
    """Whether a read is of a container passed through (for the planted bug only)."""
    cdef PyObject* value
    if key is NULL or node.kind == LIST:
        return False
    value = PyDict_GetItemWithError(node.cur, <object>key)
    return value is NULL or is_tomb(value) or is_node(value)


cdef int changed_since(Footprint tx, u64 version) except -1:
    """CAS with an integer version: FRESH, CHANGED or FORGOTTEN (not known any more).

    Exact as long as the log of deltas reaches back; O(commits since the version).
    """
    cdef Store store = tx.store
    cdef Op op, past
    cdef bint suspicious = False
    cdef set targets = set()
    cdef PyObject* value
    cdef Read* read
    cdef Py_ssize_t index
    for index in range(tx.count):
        read = &tx.reads[index]
        if read.what == KEY:
            targets.add((logged(store, <Node>read.node), <object>read.key))
            suspicious = suspicious or (<Node>read.node).mtime > version
        elif read_stale(read, version):
            return CHANGED
    for item in tx.op_list():
        op = <Op>item
        targets.add((logged(store, op.node), op.key))
        if op.node.mtime > version:
            suspicious = True
        if op.node.kind != LIST and op.code <= OP_MOVE:
            value = PyDict_GetItemWithError(op.node.cur, op.key)
            if value is not NULL and is_node(value) and (<Node>value).tree > version:
                return CHANGED
    for node, key in tx.checks or ():
        targets.add((logged(store, <Node>node), key))
        if (<Node>node).mtime > version:
            suspicious = True
    if not suspicious:
        return FRESH
    if version + 1 < store.history.first:
        return FORGOTTEN
    for record in store.history.records(version):
        for item in (<DeltaRecord>record).ops:
            past = <Op>item
            if (past.node, past.key) in targets:
                return CHANGED
            if past.code == OP_LIST or past.code == OP_CUT:
                if any(past.node is node for node, _ in targets):
                    return CHANGED
    return FRESH
