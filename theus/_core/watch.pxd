cimport cython
from theus._core.footprint cimport Footprint
from theus._core.log cimport ReadSet
from theus._core.node cimport u64
from theus._core.store cimport Store


@cython.final
cdef class Watch:
    cdef dict keys        # node -> set of the keys that were read
    cdef dict whole       # node -> what else was read of it, one bit each
    cdef bint deep        # everything below some container was read
    cdef list inside      # (node, key) written by the commit that read them; None: settled
    cdef int settle(self) except -1
    cdef bint says(self, Watch other) except -1


@cython.final
cdef class Invariant:
    cdef readonly str name
    cdef readonly object func
    cdef bint active
    cdef Watch watch      # what it read when it was asked last; None: not known


@cython.final
cdef class Invariants:
    cdef tuple items
    cdef u64 generation   # grows with every change of `items` and of what one of them read


@cython.final
cdef class Finding:
    cdef Invariant invariant
    cdef ReadSet reads
    cdef Watch watch
    cdef Watch known      # says the same as `watch`: nothing to replace


@cython.final
cdef class Verdicts:
    cdef u64 generation
    cdef list findings
    cdef set nodes        # in or below which the commit changes something; None: not asked for


cdef Watch watch_of(ReadSet reads)
cdef Finding finding_of(Invariant invariant, ReadSet reads)
cdef Verdicts new_verdicts(Invariants table)
cdef bint touches(Footprint tx, Watch watch, Verdicts verdicts) except -1
cdef bint upheld(Footprint tx) except -1
cdef int settle_verdicts(Footprint tx) noexcept
cdef int own_verdicts(Footprint tx) except -1
cdef bint enlist(Footprint tx, Finding finding) except -1
cdef bint learn(Footprint tx, Finding finding) except -1
cdef int dismiss(Store store, Invariant invariant) except -1
