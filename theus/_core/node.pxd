cimport cython
from cpython.object cimport PyObject

ctypedef unsigned long long u64

cdef enum Kind:
    MAP = 0
    LIST = 1
    SET = 2
    RECORD = 3


@cython.final
cdef class Tomb:
    """Marks a key that is not there: removed in `Node.cur`, absent in `Undo.old`, deleted in a draft."""


@cython.final
cdef class Undo:
    cdef u64 ver
    cdef object old
    cdef Undo older
    cdef PyObject* newer
    cdef Node node
    cdef object key


@cython.final
cdef class Era:
    cdef u64 ver
    cdef Py_ssize_t length
    cdef list items
    cdef Era older
    cdef Node node


@cython.final
cdef class Node:
    cdef int kind
    cdef bint odd
    cdef bint opaque
    cdef dict cur
    cdef list seq
    cdef dict undo
    cdef Era eras
    cdef u64 mtime
    cdef u64 shape
    cdef u64 order
    cdef u64 tree
    cdef u64 floor
    cdef Py_ssize_t tombs
    cdef PyObject* view
    cdef object rule
    cdef object link      # how the node is reached, once known; not kept for items of lists


cdef inline bint is_tomb(PyObject* value) noexcept:
    return type(<object>value) is Tomb

cdef inline bint is_node(PyObject* value) noexcept:
    return type(<object>value) is Node

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

cdef inline PyObject* value_at(Node node, object key, u64 snap) except? NULL:
    """The value of a key as `snap` sees it (borrowed); NULL where it is missing."""
    cdef PyObject* value
    if node.mtime > snap:
        return value_then(node, key, snap)
    value = PyDict_GetItemWithError(node.cur, key)
    return NULL if node.tombs and value is not NULL and is_tomb(value) else value

cdef PyObject* value_then(Node node, object key, u64 snap) except? NULL
cdef PyObject* item_at(Node node, Py_ssize_t index, u64 snap) except? NULL
cdef Py_ssize_t size_at(Node node, u64 snap) except -1
cdef list keys_at(Node node, u64 snap)
cdef list items_at(Node node, u64 snap)
cdef bint key_changed(Node node, object key, u64 snap) except -1
cdef bint index_changed(Node node, object index, u64 snap) except -1
