cdef class Hooks:
    cdef public object before
    cdef public object discard
    cdef public object check
    cdef public object publish
    cdef public object after
    cdef public object failed
    cdef public object sleep
    cdef public object sleep_async
    cdef public object park
    cdef public object park_async
    cdef public object thread
    cdef public object loop
    cdef public object complete
    cdef public object update_type
    cdef public object apply_update
    cdef public object result_type
