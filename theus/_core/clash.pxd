from theus._core.footprint cimport Footprint
from theus._core.node cimport u64


cdef object conflict_error(Footprint tx, u64 since, bint too_old)
