from theus._core.footprint cimport Footprint

cdef int prepare(Footprint tx) except -1
cdef bint same_leaf(object a, object b) except -1
