cdef enum Fault:
    NO_FAULT = 0
    NO_READ_VALIDATION = 1
    NO_ANCESTOR_CHECK = 2
    INSTALL_OUTSIDE_LOCK = 3
    STAMP_NOT_MOVED = 4
    FENCE_NOT_RELEASED = 5

cdef int planted() noexcept
