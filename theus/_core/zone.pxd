cdef extern from "Python.h":
    bint PyUnicode_Check(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)

cdef enum Limit:          # bits of a guard's flags, above those of its position
    ZONE = 32             # the limits here are decided: names below count no more
    NO_APPEND = 64
    NO_UPDATE = 128
    NO_DELETE = 256
    HIDDEN = 512          # for administrators only
    FIXED = 1024          # administrators are limited as well
    MARKED = 2048         # an area whose fields may have marks of their own
    LIMITS = 32 | 64 | 128 | 256 | 512 | 1024

cdef enum Act:
    ASSIGN = 0            # give a key a value, whether it has one or not
    APPEND = 1            # items, members
    UPDATE = 2            # replace what is there
    DELETE = 3


cdef int zone_limits(object name) noexcept
cdef bint is_private(object key) noexcept
cdef int area_limits(dict marks, str name) except -1
cdef bint is_hidden(dict marks, tuple parts) except -1

cdef unsigned char* FIRST

cdef inline bint may_be_zone(object key) noexcept:
    """Whether a key begins as a name of a zone or a private one does."""
    cdef Py_UCS4 first
    if not PyUnicode_Check(key) or PyUnicode_GET_LENGTH(key) == 0:
        return False
    first = PyUnicode_READ_CHAR(key, 0)
    return first < 128 and FIRST[first]
