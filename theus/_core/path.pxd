cpdef tuple parse_path(object path)
cpdef str format_path(object parts)
cdef bint is_key(object key) noexcept
cdef int check_key(object key) except -1
cdef object name_of(str text)
cdef list scan(str text, bint globs)
cdef object fold(object key)
