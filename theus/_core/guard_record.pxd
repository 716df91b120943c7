cimport cython
from theus._core.freeze cimport Rule
from theus._core.guard_keys cimport KeyedGuard


@cython.final
cdef class RecordGuard(KeyedGuard):
    cdef bint is_method(self, str name) except -1
    cdef object attribute(self, str name)
    cdef object special(self, str name)
    cdef object instance(self)


cdef object class_attribute(object owner, Rule rule, str name, object instance)
