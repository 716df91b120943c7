from theus._core.footprint cimport Footprint

cdef enum Verdict:
    DONE = 0
    FENCED = 1

cdef int release(Footprint tx) except -1
cdef int install(Footprint tx) except -1
