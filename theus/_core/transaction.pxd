from theus._core.commuting cimport Commuting
from theus._core.pattern cimport Position
from theus._core.store cimport Store


cdef class Transaction(Commuting):
    cdef int open(self, Store store, Position pos, bint serializable) except -1
    cpdef prepare(self)
    cpdef bint install(self) except -1


cdef class Unlimited:
    cdef Transaction tx
    cdef tuple saved
