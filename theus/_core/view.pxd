cimport cython
from theus._core.held cimport Held
from theus._core.node cimport Node, u64
from theus._core.store cimport Snap


cdef class View(Held):
    cdef Node node
    cdef Snap snap
    cdef u64 ver
    cdef object shown(self, object value)
    cdef object refused(self)

cdef object view_of(Node node, Snap snap, u64 ver)
