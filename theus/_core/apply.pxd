from theus._core.footprint cimport Footprint
from theus._core.node cimport u64

cdef int apply_ops(Footprint tx, u64 ver) except -1
cdef int take_back(Footprint tx) except -1
