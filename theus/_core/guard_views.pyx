"""What `keys()`, `values()`, `items()` and iteration over a guard of a mapping give."""

cimport cython
from cpython.object cimport PyObject
from theus._core.footprint cimport ACTIVE, Draft
from theus._core.guard_keys cimport KeyedGuard
from theus._core.log cimport ALL, SHAPE
from theus._core.node cimport is_node
from theus._core.shown cimport is_shown

import collections.abc

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyDict_Next(object d, Py_ssize_t* pos, PyObject** k, PyObject** v)
    object PyTuple_Pack(Py_ssize_t n, PyObject* a, PyObject* b)


cdef class MapIter:
    """Iterator over keys, values or items.

    Walks the dict of the node as long as nothing interferes; when a commit changes the node,
    or the attempt writes to it, it goes on over a list of the keys of its snapshot.
    """

    def __iter__(self):
        return self

    def __length_hint__(self):
        return max(0, self.size - self.at)

    cdef int check(self) except -1:
        """Go over to the list of keys; refuse if the attempt changed the size."""
        cdef Py_ssize_t size
        if self.guard.tx.status != ACTIVE:
            self.guard.tx.ended()
        self.guard.begin_read()
        if self.guard.draft is not None:
            size = self.guard.size()
            if size != self.size:
                self.size = -1
                raise RuntimeError("dictionary changed size during iteration")
            self.drafted = len(self.guard.draft.over)
        if self.keys is None:
            self.keys = self.guard.key_list()
            self.cur = None
        return 0

    cdef object slow(self):
        cdef Draft draft = self.guard.draft
        if self.keys is None or self.guard.epoch != self.guard.tx.epoch or self.size < 0 or (
            draft is not None and len(draft.over) != self.drafted
        ):
            self.check()
        if self.at >= len(self.keys):
            raise StopIteration
        key = self.keys[self.at]
        self.at += 1
        if self.what == KEYS:
            return key
        value = self.guard.value_of(key)
        return value if self.what == VALUES else (key, value)

    def __next__(self):
        cdef PyObject* key = NULL
        cdef PyObject* value = NULL
        cdef KeyedGuard guard = self.guard
        if (
            self.cur is None or guard.draft is not None or self.node.mtime > guard.tx.ver
            or guard.epoch != guard.tx.epoch
        ):
            return self.slow()
        if not PyDict_Next(self.cur, &self.pos, &key, &value):
            raise StopIteration
        self.at += 1
        if self.what == KEYS:
            return <object>key
        if is_node(value):
            child = guard.child(<object>key, <Node>value)
            return child if self.what == VALUES else (<object>key, child)
        if is_shown(value):
            leaf = guard.leaf(<object>key, <object>value)
            return leaf if self.what == VALUES else (<object>key, leaf)
        if self.what == VALUES:
            return <object>value
        return PyTuple_Pack(2, key, value)


cdef MapIter iterate(KeyedGuard guard, int what):
    cdef MapIter it = MapIter.__new__(MapIter)
    it.guard = guard
    it.node = guard.node
    it.what = what
    it.size = guard.size()
    if guard.draft is None and guard.node.mtime <= guard.tx.ver and guard.node.tombs == 0:
        it.cur = guard.node.cur
    else:
        it.check()
    return it


cdef class MapView:
    """Base of `keys()`, `values()` and `items()` of a guard."""

    def __init__(self):
        raise TypeError("views are made by a guard")

    def __iter__(self):
        self.guard.note_shape(SHAPE if self.what == KEYS else ALL)
        return iterate(self.guard, self.what)

    def __reversed__(self):
        return reversed(list(self))

    def __len__(self):
        self.guard.note_shape(SHAPE)
        return self.guard.size()

    def __contains__(self, item):
        if self.what == KEYS:
            return self.guard.has(item)
        if self.what == VALUES:
            return any(value is item or value == item for value in self)
        if type(item) is not tuple or len(item) != 2 or not self.guard.has(item[0]):
            return False
        return self.guard.lookup(item[0], None) == item[1]

    def __repr__(self):
        return f"{type(self).__name__}({list(self)!r})"

    @property
    def mapping(self):
        """The guard that the view belongs to."""
        return self.guard


cdef bint _within(object inner, object outer) except -1:
    """Whether all of `inner` is in `outer`; asks item by item, since values may have no hash."""
    for item in inner:
        if item not in outer:
            return False
    return True


cdef class SetLikeView(MapView):
    def __and__(self, other):
        return set(self) & set(other)

    def __rand__(self, other):
        return set(other) & set(self)

    def __or__(self, other):
        return set(self) | set(other)

    def __ror__(self, other):
        return set(other) | set(self)

    def __sub__(self, other):
        return set(self) - set(other)

    def __rsub__(self, other):
        return set(other) - set(self)

    def __xor__(self, other):
        return set(self) ^ set(other)

    def __rxor__(self, other):
        return set(other) ^ set(self)

    def __eq__(self, other):
        if not isinstance(other, collections.abc.Set):
            return NotImplemented
        return len(self) == len(other) and _within(self, other)

    def __le__(self, other):
        if not isinstance(other, collections.abc.Set):
            return NotImplemented
        return len(self) <= len(other) and _within(self, other)

    def __lt__(self, other):
        if not isinstance(other, collections.abc.Set):
            return NotImplemented
        return len(self) < len(other) and _within(self, other)

    def __ge__(self, other):
        if not isinstance(other, collections.abc.Set):
            return NotImplemented
        return len(self) >= len(other) and _within(other, self)

    def __gt__(self, other):
        if not isinstance(other, collections.abc.Set):
            return NotImplemented
        return len(self) > len(other) and _within(other, self)

    def isdisjoint(self, other):
        """Whether there is no common element."""
        return not any(item in self for item in other)

    __hash__ = None


@cython.final
cdef class KeysView(SetLikeView):
    """`keys()` of a guard."""


@cython.final
cdef class ItemsView(SetLikeView):
    """`items()` of a guard."""


@cython.final
cdef class ValuesView(MapView):
    """`values()` of a guard."""


collections.abc.KeysView.register(KeysView)
collections.abc.ItemsView.register(ItemsView)
collections.abc.ValuesView.register(ValuesView)
