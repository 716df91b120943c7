"""Telling guards and views from other values, for the modules below those that define them."""

from cpython.object cimport PyTypeObject

cdef extern from "Python.h":
    Py_ssize_t PyDict_GET_SIZE(object d)
    bint PyObject_TypeCheck(object value, PyTypeObject* cls)

cdef PyTypeObject* guard_class = NULL
cdef PlainOf guard_plain = NULL
cdef dict STANDING = {}     # class -> what gives the guard that a value of it stands for


cdef class Held:
    """Base of views: what they show can be copied out as plain data."""

    cdef object plain(self):
        raise NotImplementedError


cdef void set_guard(type cls, PlainOf plain):
    """Make the class of guards known, which have no base class: so they share one free list."""
    global guard_class, guard_plain
    guard_class = <PyTypeObject*>cls
    guard_plain = plain


def register_held(cls, held):
    """Values of exactly `cls` stand for the `Held` that `held(value)` gives.

    For guards that have to be of a class of another library, from which they could not derive.
    """
    STANDING[cls] = held


cdef object guard_of(object value):
    """The guard that a value stands for; other values as they are."""
    if PyDict_GET_SIZE(STANDING) == 0:
        return value
    held = STANDING.get(type(value))
    return value if held is None else held(value)


cdef bint is_held(object value) noexcept:
    """Whether a value is a guard or a view."""
    return isinstance(value, Held) or (
        guard_class is not NULL and PyObject_TypeCheck(value, guard_class)
    ) or (PyDict_GET_SIZE(STANDING) != 0 and type(value) in STANDING)


cdef object plain_of(object value):
    """A plain copy of what a guard or view shows."""
    value = guard_of(value)
    if isinstance(value, Held):
        return (<Held>value).plain()
    return guard_plain(value)
