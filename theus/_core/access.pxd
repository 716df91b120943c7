from theus._core.footprint cimport Footprint
from theus._core.guard cimport Guard
from theus._core.guard_map cimport MapGuard


cdef class Access(Footprint):
    cdef Guard get_root(self)
    cdef Guard get_heavy(self)
    cdef object area(self, str name)
    cdef Guard reach(self, tuple parts)
    cdef int check_time(self) except -1
    cdef int put_path(self, tuple parts, object value) except -1
    cdef object get_domain(self)
    cdef MapGuard find_below(self, object area, tuple parts)
