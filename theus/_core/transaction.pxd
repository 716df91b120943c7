cimport cython
from theus._core.commit cimport Plan
from theus._core.footprint cimport Draft, Footprint
from theus._core.guard cimport Guard
from theus._core.node cimport u64
from theus._core.pattern cimport Position
from theus._core.store cimport Store


cdef class Savepoint:
    cdef Transaction tx
    cdef dict saved
    cdef Py_ssize_t drafts
    cdef Py_ssize_t messages
    cdef dict signals


cdef class Transaction(Footprint):
    cdef Position pos
    cdef Guard root
    cdef Guard heavy_root
    cdef Guard domain_guard
    cdef readonly object chain
    cdef readonly double limit_ms
    cdef readonly double started
    cdef object outbox_log
    cdef dict signals
    cdef readonly u64 asserted
    cdef readonly bint strict
    cdef readonly Plan plan
    cdef readonly u64 committed_version
    cdef object commit_hook
    cdef readonly bint refused
    cdef public object extra
    cdef list points
    cdef object owner
    cdef int absorb(self) except -1
    cdef object absorbed(self, Draft draft, object key, object value)
    cdef int rollback_to(self, Savepoint point) except -1
    cdef int release_savepoint(self, Savepoint point) except -1
    cdef int open(self, Store store, Position pos, bint serializable) except -1
    cdef Guard get_root(self)
    cdef Guard get_heavy(self)
    cdef Guard area(self, str name)
    cdef Guard reach(self, tuple parts)
    cdef int check_time(self) except -1
    cdef int finish(self, int status) except -1
    cdef bint put_plain(self, Guard root, tuple parts, object value) except -1
    cdef int put_path(self, tuple parts, object value) except -1
    cdef int commuting(self, int code, object path, object value) except -1
    cpdef prepare(self)
    cpdef bint install(self) except -1


cdef class Unlimited:
    cdef Transaction tx
    cdef tuple saved
