"""The store: root nodes, version, living snapshots, and the pruning of undo records.

What the mutex covers: `ver`, the list of snapshots, the log of undo records, and every change
of a node. It is held for microseconds; no user code runs under it (keys are builtin, replaced
values go to a trash list that is dropped after the release) and nothing under it can fail
half way (memory is reserved before).

Living snapshots are pins in a doubly linked list, oldest first; taking and dropping one is O(1).
A transaction holds its pin inside itself and alone; the commit releases it under the lock,
between validation and install. `State` handles of one version share one.

Undo records and eras are listed in the order of their versions. A record that is older than
every living snapshot is of no use to readers and goes; the work is bounded per commit and per
release, so no operation ever pays for a long history at once.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdlib cimport free, realloc
from theus._core.freeze cimport empty_node, ingest, is_plain_leaf
from theus._core.layout cimport prefetch
from theus._core.log cimport DeltaLog
from theus._core.node cimport LIST, MAP, Era, Node, Tomb, Undo, is_tomb, u64

import collections

from theus._core.freeze import RESERVED

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyList_SetSlice(object l, Py_ssize_t low, Py_ssize_t high, PyObject* items) except -1
    ctypedef struct PyListObject:
        PyObject** ob_item

cdef enum:
    RELEASE_BUDGET = 128
    LOG_KEPT = 4096


@cython.final
@cython.no_gc_clear
@cython.freelist(64)
cdef class Snap:
    """A living snapshot: as long as it is referenced, its version can be read.

    The garbage collector may not clear it: the store's list points into it until it is released.
    """

    def __init__(self):
        raise TypeError("snapshots are taken from a store")

    def __dealloc__(self):
        if self.store.shared is <PyObject*>self:
            self.store.shared = NULL
        self.store.release(&self.pin)


@cython.final
@cython.no_gc_clear
cdef class Store:
    """Owner of one state tree.

    Parameters
    ----------
    data:
        Mapping of top-level areas ("domain", "global", ...) to their content; copied in.
    history, history_bytes:
        How many commits the log of deltas keeps, and what they may take, by estimate.
    version:
        First version.
    time_travel:
        Keep every version of the log readable.
    keep_reads:
        Keep in the log what each commit had read.
    """

    def __init__(
        self, data=None, *, Py_ssize_t history=4096, Py_ssize_t history_bytes=64 << 20,
        u64 version=1, bint time_travel=False, bint keep_reads=False,
    ):
        self.root = <Node>ingest({} if data is None else dict(data), None)
        self.heavy = empty_node(MAP)
        self.heavy.opaque = True
        self.ver = version
        self.log = []
        self.mark = empty_node(MAP)
        self.history = DeltaLog(history, version, history_bytes)
        self.reserved = RESERVED
        self.latched = {}
        self.absent = Tomb.__new__(Tomb)
        self.outgoing = collections.deque()
        self.keep_reads = keep_reads
        if time_travel:
            self.begin(&self.past)
            self.alive = 0

    def __dealloc__(self):
        free(self.stamps)

    cdef void begin(self, Pin* pin) noexcept:
        """Pin the current version; who owns the pin releases it."""
        with self.mutex:
            pin.ver = self.ver
            pin.prev = self.newest
            pin.next = NULL
            if self.newest is not NULL:
                self.newest.next = pin
            else:
                self.oldest = pin
            self.newest = pin
            pin.held = True
            self.alive += 1

    cdef dict latch(self, u64 ver):
        """The signals of the last commit, where `ver` is its version; else none."""
        return self.latched if self.latched_at == ver else {}

    cdef Snap share(self):
        """The snapshot that `State` handles of the current version share."""
        cdef Snap snap
        if self.shared is not NULL and (<Snap>self.shared).ver == self.ver:
            return <Snap>self.shared
        snap = Snap.__new__(Snap)
        snap.store = self
        self.begin(&snap.pin)
        snap.ver = snap.pin.ver
        self.shared = <PyObject*>snap
        return snap

    cdef Snap share_with(self, Pin* pin):
        """A snapshot of the version that a pin holds, independent of it."""
        cdef Snap snap = Snap.__new__(Snap)
        snap.store = self
        with self.mutex:
            snap.ver = snap.pin.ver = pin.ver
            snap.pin.prev = pin
            snap.pin.next = pin.next
            if pin.next is not NULL:
                pin.next.prev = &snap.pin
            else:
                self.newest = &snap.pin
            pin.next = &snap.pin
            snap.pin.held = True
            self.alive += 1
        return snap

    cdef Snap share_at(self, u64 ver):
        """A snapshot of an older version; None where it cannot be read any more."""
        cdef Snap snap = Snap.__new__(Snap)
        cdef Pin* after
        snap.store = self
        with self.mutex:
            after = self.oldest
            if ver > self.ver or after is NULL or ver < after.ver:
                return None
            while after is not NULL and after.ver < ver:
                after = after.next
            if not self.past.held and (after is NULL or after.ver != ver):
                return None
            snap.ver = snap.pin.ver = ver
            snap.pin.next = after
            snap.pin.prev = self.newest if after is NULL else after.prev
            if snap.pin.prev is NULL:
                self.oldest = &snap.pin
            else:
                snap.pin.prev.next = &snap.pin
            if after is NULL:
                self.newest = &snap.pin
            else:
                after.prev = &snap.pin
            snap.pin.held = True
            self.alive += 1
        return snap

    cdef u64 newest_seen(self) noexcept:
        """The newest version that somebody may read: a change of what it sees needs a record of its
        own. With time travel that is every version. There is a pin; under the mutex."""
        return self.ver if self.past.held else self.newest.ver

    cdef int advance(self) except -1:
        """The oldest readable version follows the log; under the mutex."""
        cdef Pin* pin = &self.past
        cdef Pin* after
        pin.ver = self.history.first - 1
        while pin.next is not NULL and pin.next.ver < pin.ver:
            after = pin.next
            after.prev = pin.prev
            if pin.prev is NULL:
                self.oldest = after
            else:
                pin.prev.next = after
            pin.next = after.next
            if after.next is NULL:
                self.newest = pin
            else:
                after.next.prev = pin
            after.next = pin
            pin.prev = after
        return 0

    cdef int prune_heavy(self, list trash) except -1:
        """Time travel does not keep the heavy zone: its objects go with the last living snapshot that
        sees them; under the mutex."""
        cdef Pin* pin = self.oldest
        cdef u64 low
        cdef Undo record
        if pin is &self.past:
            pin = pin.next
        low = self.ver if pin is NULL else pin.ver
        try:
            for item in list(self.heavy.undo.values()):
                record = <Undo>item
                while record is not None and record.ver > low:
                    record = record.older
                if record is not None:
                    self.drop_undo(record, trash)
        except MemoryError:     # the next time
            pass
        return 0

    cdef void unlink(self, Pin* pin) noexcept:
        """Take a pin out of the list; under the mutex."""
        if pin.prev is not NULL:
            pin.prev.next = pin.next
        else:
            self.oldest = pin.next
        if pin.next is not NULL:
            pin.next.prev = pin.prev
        else:
            self.newest = pin.prev
        pin.held = False
        self.alive -= 1

    cdef void release(self, Pin* pin):
        cdef list trash = None
        if not pin.held:
            return
        with self.mutex:
            self.unlink(pin)
            if pin.prev is NULL and self.log_at < self.log_end:
                trash = []
                self.prune(RELEASE_BUDGET, trash)
            if self.past.held and self.heavy.undo:
                trash = [] if trash is None else trash
                self.prune_heavy(trash)

    cdef bint reserve(self, Py_ssize_t count) noexcept:
        """Make room for `count` more records, so that listing them cannot fail."""
        cdef Py_ssize_t need = self.log_end + count
        cdef Py_ssize_t room = need + need // 2 + 64
        cdef u64* stamps
        if need > self.stamps_size:
            stamps = <u64*>realloc(self.stamps, room * sizeof(u64))
            if stamps is NULL:
                return False
            self.stamps = stamps
            self.stamps_size = room
        if need > len(self.log):
            try:
                self.log.extend([None] * (room - len(self.log)))
            except MemoryError:
                return False
        return True

    cdef void enlist(self, object record, u64 ver) noexcept:
        """List a record under a version; room was reserved."""
        self.stamps[self.log_end] = ver
        self.log[self.log_end] = record
        self.log_end += 1

    cdef int prune(self, Py_ssize_t budget, list trash) except -1:
        """Drop records that no living snapshot needs; at most `budget` of them; under the mutex.

        Where memory runs out, the rest is left to the next time.
        """
        cdef u64 low = self.ver if self.oldest is NULL else self.oldest.ver
        cdef Py_ssize_t at = self.log_at, stop = min(self.log_end, self.log_at + budget)
        if self.log_end > len(self.log):    # the garbage collector has emptied it: this is the end
            return 0
        try:
            while at < stop and self.stamps[at] <= low:
                record = self.log[at]
                if type(record) is Undo:
                    if (<Undo>record).node is not None:
                        if (<Undo>record).ver <= low:
                            self.drop_undo(<Undo>record, trash)
                        elif self.reserve(1):       # its stamp has moved since it was listed
                            self.enlist(record, (<Undo>record).ver)
                        else:
                            break
                else:
                    self.drop_era(<Era>record, trash)
                self.log[at] = None
                at += 1
                self.log_at = at
            if self.past.held and at + 2 < self.log_end:    # long untouched, and next to go
                prefetch(<PyObject*>self.log[at + 1])
                prefetch(<PyObject*>self.log[at + 2])
            if at == self.log_end or at > LOG_KEPT:
                self.compact()
        except MemoryError:
            pass
        return 0

    cdef int compact(self) except -1:
        """Close the gap at the beginning of the log, at most as much work as was pruned, and give
        back some of the room at its end."""
        cdef Py_ssize_t at = self.log_at, left = self.log_end - at, index
        cdef PyObject** items
        if left == 0:
            self.log_at = self.log_end = 0
        elif at > LOG_KEPT and at > left:
            items = (<PyListObject*>self.log).ob_item
            for index in range(left):
                items[index], items[index + at] = items[index + at], items[index]
                self.stamps[index] = self.stamps[index + at]
            self.log_at, self.log_end = 0, left
        index = max(len(self.log) - LOG_KEPT, 2 * self.log_end, LOG_KEPT)
        if len(self.log) > index:
            PyList_SetSlice(self.log, index, len(self.log), NULL)
        return 0

    cdef void drop_undo(self, Undo record, list trash) noexcept:
        """Forget a record and all older ones of its key."""
        cdef Node node = record.node
        cdef PyObject* value
        cdef Undo older = record.older
        if record.newer is NULL:
            node.undo.pop(record.key, None)
            if node.kind != LIST:
                value = PyDict_GetItemWithError(node.cur, record.key)
                if value is not NULL and is_tomb(value):
                    del node.cur[record.key]
                    node.tombs -= 1
        else:
            (<Undo>record.newer).older = None
        if node.floor < record.ver:
            node.floor = record.ver
        self.discard(record, trash)
        while older is not None:
            record = older
            older = record.older
            self.discard(record, trash)

    cdef void discard(self, Undo record, list trash) noexcept:
        old = record.old
        record.old = None
        record.older = None
        record.newer = NULL
        record.node = None
        throw_away(old, trash)

    cdef void drop_era(self, Era era, list trash) noexcept:
        cdef Era newer = era.node.eras
        if newer is era:
            era.node.eras = None
        else:
            while newer.older is not era:
                newer = newer.older
            newer.older = None
        throw_away(era, trash)

    def renew_rules(self):
        """Commits that were checked before this and are not installed yet are refused as conflicts."""
        with self.mutex:
            self.rules += 1

    def collect(self):
        """Prune everything that can go, in bounded steps. Returns the number of records left."""
        cdef list trash = []
        cdef Py_ssize_t before = -1
        while before != self.log_end - self.log_at and self.log_at < self.log_end:
            before = self.log_end - self.log_at
            with self.mutex:
                self.prune(4096, trash)
            trash = []
        return self.log_end - self.log_at

    @property
    def lag(self):
        """How many versions the oldest living snapshot is behind the newest one."""
        cdef Pin* pin
        cdef u64 behind = 0
        with self.mutex:
            pin = self.oldest
            if pin is &self.past:
                pin = pin.next
            if pin is not NULL:
                behind = self.ver - pin.ver
        return behind

    @property
    def undo_records(self):
        """Undo records and eras that are kept now."""
        return self.log_end - self.log_at


cdef int throw_away(object value, list trash) noexcept:
    """To be dropped after the lock; at once where not even a list can grow any more."""
    if is_plain_leaf(value):    # nothing of the user's runs when it goes
        return 0
    try:
        trash.append(value)
    except MemoryError:
        pass
    return 0
