cimport cython
from theus._core.delta cimport DeltaRecord
from theus._core.footprint cimport Footprint
from theus._core.node cimport Node, u64


@cython.final
cdef class Plan:
    cdef readonly list ops
    cdef list inner       # containers changed inside, beside those of the drafts
    cdef list order       # drafts with operations
    cdef list checks
    cdef readonly u64 version
    cdef readonly object effects


cdef enum Verdict:
    DONE = 0
    CONFLICT = 1
    FENCED = 2

cdef Plan prepare(Footprint tx)
cdef int release(Footprint tx, Plan plan) except -1
cdef int install(Footprint tx, Plan plan, object chain, u64 asserted, bint strict) except -1
