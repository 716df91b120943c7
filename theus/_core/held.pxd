cdef class Held:
    cdef object plain(self)


ctypedef object (*PlainOf)(object guard)

cdef void set_guard(type cls, PlainOf plain)
cdef object guard_of(object value)
cdef bint is_held(object value) noexcept
cdef object plain_of(object value)
