cimport cython
from theus._core.guard_keys cimport KeyedGuard
from theus._core.node cimport Node

cdef enum Iterate:
    KEYS = 0
    VALUES = 1
    ITEMS = 2


cdef class MapIter:
    cdef KeyedGuard guard
    cdef Node node
    cdef dict cur
    cdef Py_ssize_t pos
    cdef Py_ssize_t at
    cdef Py_ssize_t size
    cdef Py_ssize_t drafted
    cdef list keys
    cdef int what
    cdef object slow(self)
    cdef int check(self) except -1


cdef MapIter iterate(KeyedGuard guard, int what)


cdef class MapView:
    cdef KeyedGuard guard
    cdef int what


cdef class SetLikeView(MapView):
    pass


@cython.final
cdef class KeysView(SetLikeView):
    pass


@cython.final
cdef class ItemsView(SetLikeView):
    pass


@cython.final
cdef class ValuesView(MapView):
    pass
