cimport cython
from theus._core.footprint cimport Draft
from theus._core.zone cimport Act
from theus._core.guard cimport Guard


@cython.final
cdef class ListGuard(Guard):
    cdef Py_ssize_t base(self) except -1
    cdef Py_ssize_t length(self) except -1
    cdef object given(self, Py_ssize_t index, object value)
    cdef Py_ssize_t kept(self) except -1
    cdef int note_what(self, int what) except -1
    cdef object item(self, Py_ssize_t index, bint noted)
    cdef object shown(self, Py_ssize_t index, object value)
    cdef Py_ssize_t locate(self, object index) except -1
    cdef int push(self, object value) except -1
    cdef list content(self, Act act)
    cdef int lay_open(self, list full) except -1
    cdef list expand(self, Act act)
    cdef list values(self)
