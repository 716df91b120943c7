cimport cython
from theus._core.node cimport Node

cdef enum Code:
    OP_SET = 0        # key -> new
    OP_DEL = 1        # key goes
    OP_MOVE = 2       # key goes and comes back at the end with new
    OP_ITEM = 3       # list: item key -> new
    OP_TAIL = 4       # list: append all of new (a list)
    OP_CUT = 5        # list: keep the first `key` items; old: those cut off
    OP_LIST = 6       # list: whole content -> new (a list)
    OP_INCR = 7       # commuting: key += new
    OP_MAX = 8
    OP_MIN = 9
    OP_ADD = 10       # commuting: set member
    OP_DISCARD = 11


@cython.final
cdef class Link:
    cdef readonly Link parent
    cdef readonly object key
    cpdef tuple path(self)


@cython.final
cdef class Op:
    cdef readonly int code
    cdef readonly Node node
    cdef readonly Link link
    cdef readonly object key
    cdef readonly object new
    cdef readonly object old
    cdef object value
    cdef list more        # pending commuting operations of other kinds on the same key, in order


cdef Op make_op(int code, Node node, Link link, object key, object new)
