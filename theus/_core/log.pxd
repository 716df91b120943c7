cimport cython
from cpython.object cimport PyObject
from theus._core.node cimport Node, u64

cdef enum:
    FEW = 6       # reads that need no memory of their own

cdef enum What:
    KEY = 0       # one key or index
    SHAPE = 1     # which keys, how many items
    ALL = 2       # every value of this node
    DEEP = 3      # everything below
    INSIDE = 4    # one key that the attempt wrote, and everything below; noted for invariants only


cdef struct Read:
    PyObject* node
    PyObject* key
    int what


@cython.final
cdef class ReadSet:
    cdef Read* reads
    cdef Read[FEW] few
    cdef Py_ssize_t count
    cdef object held      # operations that leave the log together with the reads


@cython.final
cdef class DeltaRecord:
    cdef readonly u64 version
    cdef readonly double time
    cdef readonly object process
    cdef readonly list ops
    cdef readonly u64 snapshot
    cdef ReadSet reads


cdef struct Slot:
    double time
    u64 snapshot
    Py_ssize_t bytes
    PyObject* process
    PyObject* held        # one Op, or a list of them
    PyObject* reads       # a ReadSet, where they are kept


@cython.final
cdef class DeltaLog:
    cdef Slot* slots
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t limit
    cdef readonly Py_ssize_t bytes
    cdef readonly u64 last
    cdef readonly u64 first
    cdef object append(
        self, u64 version, double time, object process, object held, u64 snapshot, ReadSet reads,
        Py_ssize_t nbytes
    )
    cdef object empty(self, Slot* slot)
    cdef void charge(self, u64 version, Py_ssize_t nbytes) noexcept
    cdef int trim(self, list trash) except -1
    cdef void fetch(self, u64 version) noexcept
    cdef DeltaRecord at(self, u64 version)


cdef Py_ssize_t leaf_bytes(object value) noexcept
cdef Py_ssize_t deep_bytes(object value, Py_ssize_t most) except -1
