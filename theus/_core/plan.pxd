from theus._core.footprint cimport Draft, Footprint
from theus._core.guard cimport Guard

cdef int prepare(Footprint tx) except -1
cdef bint plan_single(Footprint tx, Guard guard, object key, object value) except -1
cdef bint has_pending(Draft draft) except -1
cdef bint same_leaf(object a, object b) except -1
