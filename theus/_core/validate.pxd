from theus._core.footprint cimport Footprint
from theus._core.log cimport Read
from theus._core.node cimport Node, u64
from theus._core.store cimport Store

cdef enum Judgement:
    FRESH = 0
    CHANGED = 1      # something that a compare-and-swap relies on
    FORGOTTEN = 2    # the log does not reach back to its version
    STALE = 3        # something that was read or written
    CLOSED = 4       # by a ticket holder
    IDLE = 5         # nothing is left to do

cdef bint read_stale(Read* read, u64 ver) except -1
cdef bint is_stale(Footprint tx) except -1
cdef int changed_since(Footprint tx, u64 version) except -1


cdef inline Node logged(Store store, Node node):
    """The node that stands for this one in the log."""
    return store.mark if node is store.heavy else node
