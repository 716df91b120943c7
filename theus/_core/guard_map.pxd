cimport cython
from theus._core.guard_keys cimport KeyedGuard


@cython.final
cdef class MapGuard(KeyedGuard):
    cdef object make_view(self, type cls, int what)
