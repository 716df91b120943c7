cimport cython
from cpython.object cimport PyObject
from theus._core.counters cimport Counters
from theus._core.log cimport DeltaLog
from theus._core.node cimport Era, Node, Undo, u64


cdef struct Pin:
    u64 ver
    Pin* prev
    Pin* next
    bint held     # in the store's list


@cython.final
cdef class Snap:
    cdef Store store
    cdef readonly u64 ver
    cdef Pin pin
    cdef object __weakref__


@cython.final
cdef class Store:
    cdef readonly Node root
    cdef readonly Node heavy
    cdef readonly u64 ver
    cdef Node mark            # stands for `heavy` in the log
    cdef Pin past             # the oldest version of the history, where those stay readable
    cdef bint keep_reads      # the log has what commits had read
    cdef Pin* oldest
    cdef Pin* newest
    cdef PyObject* shared
    cdef list log
    cdef u64* stamps
    cdef Py_ssize_t halfway   # operations of a commit that are done; not 0 after it: broken
    cdef Py_ssize_t log_at
    cdef Py_ssize_t log_end
    cdef Py_ssize_t stamps_size
    cdef cython.pymutex mutex
    cdef readonly DeltaLog history
    cdef dict reserved
    cdef public object fence
    cdef u64 rules            # a number; another one: commits that are under way are checked again
    cdef object invariants    # what must hold for the result of every commit; None: nothing
    cdef dict latched         # the signals of a commit, by topic
    cdef u64 latched_at       # its version
    cdef public object hub
    cdef public object meta
    cdef public object outbox     # makes the collector of messages of one transaction
    cdef public dict marks        # area -> field (None: all) -> limits, where there are any
    cdef public object report     # takes the errors that are reported instead of raised
    cdef object state_ref
    cdef object absent
    cdef readonly object outgoing
    cdef public Counters counters     # of the engine; None: nobody counts
    cdef readonly u64 commits
    cdef readonly Py_ssize_t alive
    cdef void begin(self, Pin* pin) noexcept
    cdef Snap share(self)
    cdef dict latch(self, u64 ver)
    cdef Snap share_with(self, Pin* pin)
    cdef void release(self, Pin* pin)
    cdef Snap share_at(self, u64 ver)
    cdef void unlink(self, Pin* pin) noexcept
    cdef u64 newest_seen(self) noexcept
    cdef int advance(self) except -1
    cdef int prune_heavy(self, list trash) except -1
    cdef bint reserve(self, Py_ssize_t count) noexcept
    cdef void enlist(self, object record, u64 ver) noexcept
    cdef int prune(self, Py_ssize_t budget, list trash) except -1
    cdef int compact(self) except -1
    cdef void drop_undo(self, Undo record, list trash) noexcept
    cdef void discard(self, Undo record, list trash) noexcept
    cdef void drop_era(self, Era era, list trash) noexcept
