"""Nodes: the containers of the state tree, with their undo records.

A node holds the newest content of one container in an ordinary dict (`cur`: mappings, sets,
fields of records) or list (`seq`). What older snapshots still need is kept beside it:

* `undo`: key -> newest `Undo` record. A record says "version `ver` replaced `old`"; older
  records of the key hang behind it. A snapshot reads the oldest record that is newer than
  itself, or the head where there is none. The records are also the version vector: a key has
  changed since version v exactly if its newest record is newer than v.
* `eras`: what records of single keys cannot say. For mappings the order of the keys before
  one was re-inserted; for lists the length before it changed, or the whole list before a
  structural change (insert, sort ...), with `items` set.
* stamps: `mtime` (last commit that touched the node), `shape` (that changed its keys or
  length), `order` (lists: structural change), `tree` (that touched anything below), `floor`
  (newest change whose record is gone; no living snapshot is older).

A key that was removed while an older snapshot lives stays in `cur` as a `Tomb`, so that the
order of that snapshot is exact; the tomb goes with the record.

Writers hold the store's lock and work in the order record, stamp, value. Readers take no
lock: they look at the stamp and fall back to the records when it is newer than they are.
"""

cimport cython
from cpython.object cimport PyObject

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyDict_Next(object d, Py_ssize_t* pos, PyObject** k, PyObject** v)


cdef class Tomb:
    """Marker; recognised by its type."""

    def __repr__(self):
        return "<missing>"


@cython.no_gc_clear
@cython.freelist(512)
cdef class Undo:
    """One replaced value: `old` was there until version `ver`."""


@cython.no_gc_clear
cdef class Era:
    """The shape of a node until version `ver`."""


@cython.no_gc_clear
cdef class Node:
    """One container of the state tree. Not constructible from Python."""

    def __init__(self):
        raise TypeError("nodes are made by the store")


cdef inline Undo oldest_after(Undo record, u64 snap):
    while record.older is not None and record.older.ver > snap:
        record = record.older
    return record


cdef PyObject* value_then(Node node, object key, u64 snap) except? NULL:
    """`value_at` for a node that has changed since."""
    cdef PyObject* value = PyDict_GetItemWithError(node.cur, key)
    cdef PyObject* record
    cdef Undo undo
    if node.undo is not None:
        record = PyDict_GetItemWithError(node.undo, key)
        if record is not NULL and (<Undo>record).ver > snap:
            undo = oldest_after(<Undo>record, snap)
            value = <PyObject*>undo.old
    if value is not NULL and is_tomb(value):
        return NULL
    return value


cdef PyObject* item_at(Node node, Py_ssize_t index, u64 snap) except? NULL:
    """The item of a list as `snap` sees it (borrowed); the caller has checked the length."""
    cdef list base = node.seq
    cdef Era era
    cdef PyObject* record
    cdef Undo undo
    cdef u64 until = 0
    if node.mtime > snap:
        era = node.eras
        while era is not None and era.ver > snap:
            if era.items is not None:
                base = era.items
                until = era.ver
            era = era.older
        if node.undo is not None:
            record = PyDict_GetItemWithError(node.undo, index)
            if record is not NULL and (<Undo>record).ver > snap:
                undo = oldest_after(<Undo>record, snap)
                if until == 0 or undo.ver < until:
                    return <PyObject*>undo.old
    return <PyObject*>base[index]


cdef Py_ssize_t size_at(Node node, u64 snap) except -1:
    """Number of items or keys as `snap` sees them."""
    cdef Py_ssize_t size
    cdef Py_ssize_t pos = 0
    cdef PyObject* key = NULL
    cdef PyObject* value
    cdef PyObject* record = NULL
    cdef Era era
    cdef Undo undo
    if node.kind == LIST:
        size = len(node.seq)
        if node.shape > snap:
            era = node.eras
            while era is not None and era.ver > snap:
                size = era.length
                era = era.older
        return size
    size = len(node.cur) - node.tombs
    if node.shape <= snap or node.undo is None:
        return size
    while PyDict_Next(node.undo, &pos, &key, &record):
        undo = <Undo>record
        if undo.ver > snap:
            value = PyDict_GetItemWithError(node.cur, <object>key)
            if value is not NULL and not is_tomb(value):
                size -= 1
            undo = oldest_after(undo, snap)
            if not is_tomb(<PyObject*>undo.old):
                size += 1
    return size


cdef list keys_at(Node node, u64 snap):
    """The keys of a mapping, set or record in the order `snap` sees."""
    cdef Era era
    cdef list keys = None
    if node.mtime <= snap:
        if node.tombs == 0:
            return list(node.cur)
        return [key for key, value in node.cur.copy().items() if not is_tomb(<PyObject*>value)]
    era = node.eras
    while era is not None and era.ver > snap:
        keys = era.items
        era = era.older
    if keys is None:
        keys = list(node.cur)
    return [key for key in keys if value_at(node, key, snap) is not NULL]


cdef list items_at(Node node, u64 snap):
    """The items of a list as `snap` sees them (values may be nodes)."""
    cdef Py_ssize_t index, size
    cdef list result
    if node.mtime <= snap:
        return node.seq.copy()
    size = size_at(node, snap)
    result = []
    for index in range(size):
        result.append(<object>item_at(node, index, snap))
    return result


cdef bint key_changed(Node node, object key, u64 snap) except -1:
    """Whether a key was written after `snap`. Exact for every living snapshot."""
    cdef PyObject* record
    if node.mtime <= snap:
        return False
    if node.undo is not None:
        record = PyDict_GetItemWithError(node.undo, key)
        if record is not NULL:
            return (<Undo>record).ver > snap
    return node.floor > snap


cdef bint index_changed(Node node, object index, u64 snap) except -1:
    """Whether an item of a list was written, moved or cut off after `snap`."""
    if node.mtime <= snap:
        return False
    return node.order > snap or key_changed(node, index, snap)
