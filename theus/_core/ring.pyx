"""The bounded log: the newest `capacity` entries with the time they were made.

Keys and messages lie alternately in one list, the times in an array of doubles beside it
(a struct of arrays): an append makes no object, and the garbage collector sees the list.
All memory is taken when the ring is made, so an append cannot fail.

Threads: the module runs under the GIL. `append` and the copying part of `entries` neither
allocate nor run foreign code between their first and their last change, so no other thread
sees half an entry; what an append replaces is released after the ring is whole again.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from theus.errors import SettingsError

cdef extern from "Python.h":
    Py_ssize_t PyList_GET_SIZE(PyObject* items) noexcept
    PyObject* PyList_GET_ITEM(PyObject* items, Py_ssize_t index) noexcept
    void PyList_SET_ITEM(PyObject* items, Py_ssize_t index, PyObject* value) noexcept
    void hold "Py_INCREF"(PyObject* value) noexcept
    void drop "Py_DECREF"(PyObject* value) noexcept

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int timespec_get(timespec* into, int base)
    int TIME_UTC


cdef inline double now() noexcept:
    cdef timespec time
    timespec_get(&time, TIME_UTC)
    return <double>time.tv_sec + <double>time.tv_nsec * 1e-9


cdef inline bint taken_apart(PyObject* slots) noexcept:
    """Whether the collector has emptied the ring; only a destructor can still meet it then."""
    return PyList_GET_SIZE(slots) == 0


LARGEST = 1 << 32


@cython.final
@cython.no_gc_clear  # cycles go through `slots`, which the collector empties
cdef class Ring:
    """A bounded log; a new entry replaces the oldest one when the ring is full.

    Entries are numbered from 1 in the order of their appends and are never changed; there is
    no way to take one out. Safe to use from several threads.

    Parameters
    ----------
    capacity:
        How many entries are kept, at least 1. Takes 24 bytes each, at once.

    Raises
    ------
    SettingsError
        The capacity is no positive integer.
    """

    def __cinit__(self, capacity):
        if type(capacity) is not int or not 1 <= capacity <= LARGEST:
            raise SettingsError(
                f"a ring needs a capacity from 1 to {LARGEST} (an integer), not {capacity!r}",
                option="capacity",
                value=capacity,
            )
        self.slots = [None] * (2 * capacity)
        self.capacity = capacity
        self.stamps = <double*>malloc(self.capacity * sizeof(double))
        if self.stamps is NULL:
            raise MemoryError(f"no memory for a ring of {capacity} entries")

    def __dealloc__(self):
        free(self.stamps)

    cdef void append_c(self, object key, object message) noexcept:
        cdef PyObject* slots = <PyObject*>self.slots
        cdef Py_ssize_t at = self.head
        cdef PyObject* old_key
        cdef PyObject* old_message
        if taken_apart(slots):
            return
        old_key = PyList_GET_ITEM(slots, 2 * at)
        old_message = PyList_GET_ITEM(slots, 2 * at + 1)
        hold(<PyObject*>key)
        hold(<PyObject*>message)
        self.stamps[at] = now()
        PyList_SET_ITEM(slots, 2 * at, <PyObject*>key)
        PyList_SET_ITEM(slots, 2 * at + 1, <PyObject*>message)
        self.head = at + 1 if at + 1 < self.capacity else 0
        self.sequence += 1
        drop(old_key)
        drop(old_message)

    def append(self, key, message, /):
        """Add an entry with the present time. O(1); cannot fail."""
        self.append_c(key, message)

    def entries(self, since=0):
        """Entries with a number above `since` that are still kept, oldest first.

        Returns
        -------
        list of (sequence, timestamp, key, message)
            One consistent picture, also while other threads append. Remember the last
            `sequence` and pass it next time to see only what is new. O(entries returned).
        """
        cdef Py_ssize_t count = self.count_after(since if since > 0 else 0)
        cdef list items = [None] * (2 * count)
        cdef list result = [None] * count
        cdef double* times
        cdef uint64_t first
        cdef Py_ssize_t i
        if count == 0:
            return result
        times = <double*>malloc(count * sizeof(double))
        if times is NULL:
            raise MemoryError(f"no memory to read {count} entries")
        try:
            first = self.copy_newest(items, times, count)
            for i in range(count):
                result[i] = (first + i, times[i], items[2 * i], items[2 * i + 1])
        finally:
            free(times)
        return result

    cdef Py_ssize_t count_after(self, uint64_t since) noexcept:
        cdef uint64_t kept = self.kept()
        if since >= self.sequence or taken_apart(<PyObject*>self.slots):
            return 0
        if self.sequence - since < kept:
            kept = self.sequence - since
        return <Py_ssize_t>kept

    cdef uint64_t kept(self) noexcept:
        if self.sequence < <uint64_t>self.capacity:
            return self.sequence
        return <uint64_t>self.capacity

    cdef uint64_t copy_newest(self, list items, double* times, Py_ssize_t count) noexcept:
        """Copy the newest `count` entries into `items` (all None); the first one's number."""
        cdef Py_ssize_t at = self.head - count
        cdef Py_ssize_t i, j
        cdef PyObject* slots = <PyObject*>self.slots
        cdef PyObject* value
        if at < 0:
            at += self.capacity
        for i in range(count):
            times[i] = self.stamps[at]
            for j in range(2):
                value = PyList_GET_ITEM(slots, 2 * at + j)
                hold(value)
                PyList_SET_ITEM(<PyObject*>items, 2 * i + j, value)
                drop(<PyObject*>None)
            at = at + 1 if at + 1 < self.capacity else 0
        return self.sequence - <uint64_t>count + 1

    def __len__(self):
        return <Py_ssize_t>self.kept()

    def __iter__(self):
        """Iterate over `entries()` as they are now."""
        return iter(self.entries())

    @property
    def dropped(self):
        """How many entries were replaced by newer ones."""
        return self.sequence - self.kept()

    def __repr__(self):
        return f"<Ring {len(self)} of {self.capacity}, {self.dropped} dropped>"
