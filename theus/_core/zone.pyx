"""Zones at the access: the limits that a name brings, compiled from the table in `theus.zones`.

A name is looked at only if it begins with a letter with which a zone begins.
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
