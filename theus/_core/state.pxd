cimport cython
from theus._core.store cimport Snap, Store


@cython.final
cdef class State:
    cdef Store store
    cdef Snap snap
    cdef dict latched
    cdef object signals_view
    cdef object __weakref__

    @staticmethod
    cdef State over(Store store, Snap snap, dict latched)
    cdef Store private_copy(self)


cdef State current_state(Store store)
