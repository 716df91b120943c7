from theus._core.delta cimport Op
from theus._core.guard cimport Guard


cdef class KeyedGuard(Guard):
    cdef object lookup(self, object key, object default)
    cdef int note_own(self, object key) except -1
    cdef object drafted(self, object key, object value, object default)
    cdef int put(self, object key, object value) except -1
    cdef int store_draft(self, object key, object value) except -1
    cdef bint keep_lone(self, object key, object value) except -1
    cdef bint drop(self, object key) except -1
    cdef bint has(self, object key) except -1
    cdef Py_ssize_t size(self) except -1
    cdef object resolve(self, object key, Op op)
    cdef bint was_moved(self, object key) except -1
    cdef int undraft(self, object key) except -1
    cdef int note_shape(self, int what) except -1
    cdef int note_deep(self) except -1
    cdef int settle(self) except -1
    cdef list key_list(self)
    cdef object value_of(self, object key)
    cdef dict plain_fields(self)


cdef object plain_value(object value)
cdef object commute(int code, object old, object amount, object path)
cdef object not_a_number(object path, object old, object amount, str why)
cdef object commute_all(Op op, old, path)
