"""Zones at the access: the limits that a name brings, compiled from the table in `theus.zones`.

A name is looked at only if it begins with a letter with which a zone begins. `marks` are what a
context says of its fields: area -> field -> limits, under None those of the area (`Store.marks`).
"""

from libc.stdlib cimport calloc

cdef enum:
    LONGEST = 15
    MOST = 64

cdef struct Row:
    int length
    bint whole            # the name itself, not a beginning
    int limits
    char[LONGEST] text

cdef Row* ROWS = <Row*>calloc(MOST, sizeof(Row))
cdef int COUNT = 0
FIRST = <unsigned char*>calloc(128, 1)
ACTS = {"assign": ASSIGN, "append": APPEND, "update": UPDATE, "delete": DELETE}


def limits_of(rule, *, bint decides=True):
    """What a `ZoneRule` does not allow, as bits of a guard's flags; `decides`: names further down
    the path do not count any more."""
    return (
        (ZONE if decides else 0)
        | (0 if rule.append else NO_APPEND)
        | (0 if rule.update else NO_UPDATE)
        | (0 if rule.delete else NO_DELETE)
        | (0 if rule.read and not rule.admin_only else HIDDEN)
        | (0 if rule.admin_lifts else FIXED)
    )


cdef int add_row(str text, bint whole, int limits) except -1:
    global COUNT
    cdef bytes name = text.encode("ascii")
    cdef int index
    if not 0 < len(name) <= LONGEST or COUNT == MOST:
        raise ValueError(f"zone name {text!r}: 1 to {LONGEST} characters, at most {MOST} names")
    ROWS[COUNT].length = len(name)
    ROWS[COUNT].whole = whole
    ROWS[COUNT].limits = limits
    for index in range(len(name)):
        ROWS[COUNT].text[index] = name[index]
    FIRST[<unsigned char>name[0]] = 1
    COUNT += 1
    return 0


cdef int fill() except -1:
    from theus.zones import ZONES

    FIRST[c"_"] = 1
    for rule in ZONES:
        for name in rule.names:
            add_row(name, True, limits_of(rule))
        for name in rule.prefixes:
            add_row(name, False, limits_of(rule))
    return 0


fill()


cdef int zone_limits(object name) noexcept:
    """The limits of a text as a segment of a path; 0 where it is plain data."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(name)
    cdef int number, index
    for number in range(COUNT):
        if length < ROWS[number].length or ROWS[number].whole and length != ROWS[number].length:
            continue
        for index in range(ROWS[number].length):
            if PyUnicode_READ_CHAR(name, index) != <unsigned char>ROWS[number].text[index]:
                break
        else:
            return ROWS[number].limits
    return 0


cdef bint is_private(object key) noexcept:
    return (
        PyUnicode_Check(key) and PyUnicode_GET_LENGTH(key) > 0
        and PyUnicode_READ_CHAR(key, 0) == c"_"
    )


cdef int area_limits(dict marks, str name) except -1:
    """The limits of an area of the data: its name's, and those of its namespace."""
    cdef int limits = zone_limits(name) if may_be_zone(name) else 0
    if marks is not None and name in marks:
        limits |= MARKED | <int>marks[name].get(None, 0)
    return limits


cdef bint is_hidden(dict marks, tuple parts) except -1:
    """Whether a name on the way is for administrators only."""
    cdef int limits = 0
    cdef Py_ssize_t index
    for index, key in enumerate(parts):
        if is_private(key):
            return True
        if limits & ZONE or type(key) is not str:
            continue
        if index == 0:
            limits = area_limits(marks, key)
        elif index == 1 and limits & MARKED and key in marks[parts[0]]:
            limits |= <int>marks[parts[0]][key]
        elif may_be_zone(key):
            limits |= zone_limits(key)
    return limits & HIDDEN != 0
