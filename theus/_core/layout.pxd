from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        void* tp_dealloc


cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define theus_prefetch(address) __builtin_prefetch(address, 1)
    #else
    #define theus_prefetch(address) ((void)(address))
    #endif
    /* Where the allocator keeps its notes on the block of a small object: a hint, never followed. */
    #define theus_pool_of(value) ((PyObject*)((uintptr_t)(value) & ~(uintptr_t)0x3fff))
    """
    void prefetch "theus_prefetch" (PyObject* address) noexcept
    PyObject* pool_of "theus_pool_of" (PyObject* value) noexcept


cdef inline void share_dealloc(type cls, type base) noexcept:
    """Destroy instances of `cls`, which adds no fields to `base`, as those of `base` at once.

    The generated destructors would untrack and track the object again at each level.
    """
    (<PyTypeObject*>cls).tp_dealloc = (<PyTypeObject*>base).tp_dealloc
