from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    PyTypeObject* Py_TYPE(PyObject* value)

cdef PyTypeObject** SHOWN      # types of leaves that guards show behind a guard; ends with NULL
cdef object shown_by(object value)

cdef inline bint is_shown(PyObject* value) noexcept:
    """Whether a leaf is one that could be changed in place, in a copy of the process's own."""
    cdef PyTypeObject** at = SHOWN
    while at[0] is not NULL:
        if Py_TYPE(value) is at[0]:
            return True
        at += 1
    return False
