from theus._core.pattern cimport Position

cpdef bint is_library(object frame)
cpdef bint is_own(object frame)
cpdef tuple place_of(object frame)
cpdef tuple place()
cpdef object access_refused(object process, bint pure, str action, tuple parts, bint items, Position pos)
cdef object act_refused(object process, Position pos, str phrase, str event, str subject, tuple place)
cpdef int raise_or_report(object report, int flags, object error) except -1
cpdef object zone_refused(object process, int act, tuple parts, int limits, object marks)
