cimport cython
from theus._core.node cimport Node


@cython.final
cdef class Rule:
    cdef readonly object cls
    cdef readonly str kind
    cdef readonly object fields
    cdef readonly object build
    cdef readonly bint frozen
    cdef readonly object foreign


cdef extern from "Python.h":
    bint PyUnicode_CheckExact(object)
    bint PyLong_CheckExact(object)
    bint PyFloat_CheckExact(object)
    bint PyBool_Check(object)
    bint PyBytes_CheckExact(object)


cdef inline bint is_plain_leaf(object value) noexcept:
    return (
        PyUnicode_CheckExact(value) or PyLong_CheckExact(value) or PyFloat_CheckExact(value)
        or value is None or PyBool_Check(value) or PyBytes_CheckExact(value)
    )


cdef object ingest(object value, object where)
cdef int admit(object value, object where) except -1
cdef object thaw(Node node, unsigned long long snap)
cdef object thaw_value(object value, unsigned long long snap)
cdef object build_record(Rule rule, dict fields)
cdef Node empty_node(int kind)
