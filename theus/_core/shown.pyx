"""Leaves that could be changed in place, as arrays can: guards show them behind a guard of their own."""

from cpython.object cimport PyTypeObject
from libc.stdlib cimport calloc

cdef enum:
    MOST_SHOWN = 16

cdef dict SHOWN_BY = {}
SHOWN = <PyTypeObject**>calloc(MOST_SHOWN + 1, sizeof(PyTypeObject*))


def register_shown(make, *classes):
    """Leaves of these exact classes are changed in place through `make(guard, key)`, a `LeafGuard`."""
    cdef int index
    for cls in classes:
        if cls in SHOWN_BY:
            continue
        index = len(SHOWN_BY)
        if index == MOST_SHOWN:
            raise ValueError(f"at most {MOST_SHOWN} classes of leaves can be shown behind guards")
        SHOWN_BY[cls] = make      # keeps the class alive
        SHOWN[index] = <PyTypeObject*>cls


cdef object shown_by(object value):
    """What makes the guard of a leaf for which `is_shown` holds."""
    return SHOWN_BY[type(value)]
