cimport cython
from cpython.object cimport PyObject
from theus._core.delta cimport Link
from theus._core.footprint cimport Draft, Footprint
from theus._core.held cimport Held
from theus._core.node cimport Node
from theus._core.pattern cimport Position
from theus._core.zone cimport Act


cdef class Guard:
    cdef Footprint tx
    cdef Node node
    cdef Position pos
    cdef int flags
    cdef bint private
    cdef Draft draft
    cdef long epoch
    cdef dict kids        # key -> child guard, from the second child on
    cdef Guard kid
    cdef PyObject* parent
    cdef object key
    cdef Link link
    cdef Link get_link(self)
    cdef int remember(self, object key, Guard guard) except -1
    cdef tuple where(self)
    cdef tuple where_key(self, object key)
    cdef int refresh(self) except -1
    cdef int begin_read(self) except -1
    cdef int may_read(self, object key) except -1
    cdef int may_read_all(self) except -1
    cdef int may_write(self, object key, Act act) except -1
    cdef int may_write_all(self, Act act) except -1
    cdef int limits_below(self, object key) except -1
    cdef int check_zone(self, object key, Act act) except -1
    cdef int check_private(self, object key) except -1
    cdef bint has(self, object key) except -1
    cdef int refuse(self, str action, object key) except -1
    cdef Draft writable(self)
    cdef object child(self, object key, Node node)
    cdef object alias(self, object key, Guard other)
    cdef object raw(self, object key, object value)
    cdef object plain(self)
    cdef object incoming(self, object key, object value)
    cdef object leaf(self, object key, object value)
    cdef object held_at(self, object key)
    cdef int replace(self, object key, object value) except -1


cdef class LeafGuard(Held):
    cdef Guard guard
    cdef object key
    cdef bint stands_at(self, Guard guard, object key) except -1


cdef object ITEMS     # as a key: whichever item of a list

cdef Guard make_guard(Node node)
cdef void set_maker(int kind, Guard (*maker)())
cdef Guard area_guard(Footprint tx, Position pos, str name)
cdef Guard root_guard(Footprint tx, Node node, Position pos, object key)
cdef Guard detached_guard(Guard parent, object key, Node node)
