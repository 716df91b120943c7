"""Guards of lists.

Appending is blind: it reads nothing, so two processes that append to one list do not conflict
and both items stay, in commit order. Replacing an item touches its index only. Taking off the
end relies on the length. Everything that moves items (insert, del, sort, slices ...) works on
a private copy of the list and conflicts with any other change of it.
"""

cimport cython
from cpython.object cimport PyObject, Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE
from theus._core.footprint cimport Draft
from theus._core.freeze cimport is_plain_leaf
from theus._core.held cimport is_held, plain_of
from theus._core.guard cimport ITEMS, Guard, set_maker
from theus._core.guard_keys cimport plain_value
from theus._core.layout cimport share_dealloc
from theus._core.log cimport ALL, DEEP, KEY, SHAPE
from theus._core.node cimport LIST, Node, is_node, item_at, size_at
from theus._core.path cimport format_path
from theus._core.pattern cimport READ
from theus._core.shown cimport is_shown
from theus._core.zone cimport APPEND, DELETE, UPDATE, Act

import collections.abc
import operator

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL


@cython.final
cdef class ListIter:
    """Index-based, as the iterator of a list: sees what the attempt changes meanwhile."""

    cdef ListGuard guard
    cdef Py_ssize_t at

    def __iter__(self):
        return self

    def __next__(self):
        if self.at < 0:
            raise StopIteration
        self.guard.begin_read()
        if self.at >= self.guard.length():
            self.at = -1
            raise StopIteration
        value = self.guard.given(self.at, self.guard.item(self.at, True))
        self.at += 1
        return value

    def __length_hint__(self):
        return 0 if self.at < 0 else max(0, self.guard.length() - self.at)


@cython.final
@cython.collection_type("sequence")
cdef class ListGuard(Guard):
    """A list of the state inside a process: a list, transactional.

    Everything a list does, in place, visible to nobody else before the commit.
    """

    cdef Py_ssize_t base(self) except -1:
        return size_at(self.node, self.tx.ver)

    cdef Py_ssize_t kept(self) except -1:
        """How many items of the snapshot stay."""
        if self.draft is None or self.draft.keep < 0:
            return self.base()
        return self.draft.keep

    cdef Py_ssize_t length(self) except -1:
        cdef Draft draft = self.draft
        if draft is None:
            return self.base()
        if draft.full is not None:
            return len(draft.full)
        return self.kept() + (0 if draft.tail is None else len(draft.tail))

    cdef int note_what(self, int what) except -1:
        self.begin_read()
        if self.tx.track and not self.private:
            self.tx.note(self.node, NULL, what)
        return 0

    cdef object given(self, Py_ssize_t index, object value):
        """An item as the process gets it."""
        return self.leaf(index, value) if is_shown(<PyObject*>value) else value

    cdef object held_at(self, object key):
        self.begin_read()
        return self.item(key, True) if key < self.length() else self.tx.absent

    cdef int replace(self, object key, object value) except -1:
        self[key] = value

    cdef object shown(self, Py_ssize_t index, object value):
        if is_shown(<PyObject*>value):
            return self.raw(index, value) if self.tx.inspected else value
        if is_plain_leaf(value):
            return value
        if isinstance(value, Guard):
            return self.alias(index, <Guard>value) if self.tx.inspected else value
        return self.raw(index, value)

    cdef object item(self, Py_ssize_t index, bint noted):
        """The item at a position inside the list; `noted` says that it need not be recorded."""
        cdef Draft draft = self.draft
        cdef PyObject* value
        cdef Py_ssize_t kept
        cdef object key
        if draft is not None:
            if self.tx.inspected:
                self.note_what(DEEP)
            if draft.full is not None:
                return self.shown(index, draft.full[index])
            kept = self.kept()
            if index >= kept:
                if not noted:
                    self.note_what(SHAPE)
                return self.shown(index, draft.tail[index - kept])
            value = PyDict_GetItemWithError(draft.over, index)
            if value is not NULL:
                return self.shown(index, <object>value)
        value = item_at(self.node, index, self.tx.ver)
        if is_node(value):
            return self.child(index, <Node>value)
        if not noted and self.tx.track and not self.private:
            key = index
            self.tx.note(self.node, <PyObject*>key, KEY)
        return <object>value

    cdef Py_ssize_t locate(self, object index) except -1:
        """Position inside the list for an index as the user gives it; IndexError outside."""
        cdef Py_ssize_t at = operator.index(index), length
        self.begin_read()
        length = self.length()
        if at < 0:
            self.note_what(SHAPE)
            at += length
        if at < 0 or at >= length:
            self.note_what(SHAPE)
            raise IndexError(
                f"list index {index} out of range at {format_path(self.where())!r} (length {length})"
            )
        return at

    cdef int push(self, object value) except -1:
        """Append without reading."""
        cdef Draft draft
        if not is_plain_leaf(value):
            value = self.incoming("*", value)
        draft = self.writable()
        if draft.full is not None:
            draft.full.append(value)
        else:
            if draft.tail is None:
                draft.tail = []
            draft.tail.append(value)
        return 0

    cdef list content(self, Act act):
        """The whole content, for a change that moves items and may still fail: a private list,
        which becomes pending by `lay_open`."""
        self.may_write_all(act)
        self.note_what(ALL)
        if self.draft is not None and self.draft.full is not None:
            return self.writable().full
        return self.values()

    cdef int lay_open(self, list full) except -1:
        """From now on the whole content is pending."""
        cdef Draft draft = self.writable()
        if draft.full is None:
            draft.full = full
            draft.over = {}
            draft.tail = None
            draft.keep = -1
            draft.cut = False
        return 0

    cdef list expand(self, Act act):
        """The whole pending content, for a change that cannot fail any more."""
        cdef list full = self.content(act)
        self.lay_open(full)
        return full

    cdef list values(self):
        cdef Py_ssize_t index
        return [self.item(index, True) for index in range(self.length())]

    cdef object plain(self):
        self.may_read_all()
        self.note_what(DEEP)
        return [value if is_plain_leaf(value) else plain_value(value) for value in self.values()]

    def __getitem__(self, index):
        cdef Py_ssize_t at
        cdef int flags
        if isinstance(index, slice):
            self.may_read_all()
            self.note_what(ALL)
            values = self.values()
            return [self.given(at, values[at]) for at in range(len(values))[index]]
        at = self.locate(index)
        flags = self.may_read(at)
        value = self.given(at, self.item(at, False))
        if not flags & READ and is_plain_leaf(value):
            self.refuse("read", at)
        return value

    def __setitem__(self, index, value):
        cdef Py_ssize_t at, kept
        cdef Draft draft
        if isinstance(index, slice):
            items = [item if is_plain_leaf(item) else self.incoming("*", item) for item in value]
            full = self.content(UPDATE)
            full[index] = items
            self.lay_open(full)
            return
        at = self.locate(index)
        self.may_write(at, UPDATE)
        if not is_plain_leaf(value):
            value = self.incoming(at, value)
            if isinstance(value, Guard) and self.item(at, False) is value:
                return
        draft = self.writable()
        if draft.full is not None:
            draft.full[at] = value
            return
        kept = self.kept()
        if at < kept:
            draft.over[at] = value
        else:
            self.note_what(SHAPE)
            draft.tail[at - kept] = value

    def __delitem__(self, index):
        if isinstance(index, slice):
            full = self.content(DELETE)
            del full[index]
            self.lay_open(full)
            return
        at = self.locate(index)
        del self.expand(DELETE)[at]

    def __len__(self):
        self.may_read_all()
        self.note_what(SHAPE)
        return self.length()

    def __bool__(self):
        self.may_read_all()
        self.note_what(SHAPE)
        return self.length() > 0

    def __iter__(self):
        cdef ListIter it = ListIter.__new__(ListIter)
        self.may_read_all()
        self.note_what(ALL)
        it.guard = self
        return it

    def __reversed__(self):
        self.may_read_all()
        self.note_what(ALL)
        return reversed(self.values())

    def __contains__(self, value):
        self.may_read_all()
        self.note_what(ALL)
        return any(item is value or item == value for item in self.values())

    def append(self, value):
        """Add one item at the end; reads nothing."""
        self.may_write(ITEMS, APPEND)
        self.push(value)

    def extend(self, values):
        """Add items at the end; reads nothing."""
        self.may_write(ITEMS, APPEND)
        for value in list(values):
            self.push(value)

    def insert(self, index, value):
        """Insert before a position."""
        if not is_plain_leaf(value):
            value = self.incoming("*", value)
        full = self.content(UPDATE)
        full.insert(index, value)
        self.lay_open(full)

    def pop(self, index=-1):
        """Remove and return an item, by default the last."""
        cdef Draft draft
        cdef Py_ssize_t at
        self.may_write_all(DELETE)
        if self.length() == 0:
            self.note_what(SHAPE)
            raise IndexError(f"pop from empty list at {format_path(self.where())!r}")
        at = self.locate(index)
        value = self.item(at, False)
        draft = self.writable()
        if draft.full is not None or at != self.length() - 1:
            del self.expand(DELETE)[at]
        elif draft.tail:
            self.note_what(SHAPE)
            draft.tail.pop()
        else:
            self.note_what(SHAPE)
            draft.keep = at
            draft.cut = True
            draft.over.pop(at, None)
        return value

    def remove(self, value):
        """Remove the first item that equals `value`; ValueError where there is none."""
        for at, item in enumerate(self.content(DELETE)):
            if item is value or item == value:
                del self.expand(DELETE)[at]
                return
        raise ValueError(f"list.remove(x): x not in list at {format_path(self.where())!r}")

    def clear(self):
        """Remove all items."""
        self.expand(DELETE).clear()

    def index(self, value, start=0, stop=9223372036854775807):
        """Position of the first equal item; ValueError where there is none."""
        self.may_read_all()
        self.note_what(ALL)
        return self.values().index(value, start, stop)

    def count(self, value):
        """Number of equal items."""
        self.may_read_all()
        self.note_what(ALL)
        return self.values().count(value)

    def sort(self, *, key=None, reverse=False):
        """Sort in place."""
        ordered = sorted(self.content(UPDATE), key=key, reverse=reverse)
        self.expand(UPDATE)[:] = ordered

    def reverse(self):
        """Reverse in place."""
        self.expand(UPDATE).reverse()

    def copy(self):
        """A plain list of the items (containers in it are guards still)."""
        self.may_read_all()
        self.note_what(ALL)
        return self.values()

    def to_list(self):
        """A plain, detached copy, all levels."""
        return self.plain()

    def __iadd__(self, values):
        self.extend(values)
        return self

    def __imul__(self, times):
        repeated = self.content(UPDATE) * times
        self.expand(UPDATE)[:] = repeated
        return self

    def __add__(self, other):
        if not isinstance(other, (list, ListGuard)):
            return NotImplemented
        return self.copy() + list(other)

    def __radd__(self, other):
        if not isinstance(other, list):
            return NotImplemented
        return other + self.copy()

    def __mul__(self, times):
        return self.copy() * times

    def __rmul__(self, times):
        return self.copy() * times

    def __richcmp__(self, other, int how):
        if is_held(other):
            other = plain_of(other)
        if not isinstance(other, list):
            return NotImplemented
        mine = self.plain()
        if how == Py_EQ:
            return mine == other
        if how == Py_NE:
            return mine != other
        if how == Py_LT:
            return mine < other
        if how == Py_LE:
            return mine <= other
        return mine > other if how == Py_GT else mine >= other

    __hash__ = None

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        return list, (self.plain(),)


cdef Guard make_list_guard():
    return <Guard>ListGuard.__new__(ListGuard)


set_maker(LIST, make_list_guard)
collections.abc.MutableSequence.register(ListGuard)
share_dealloc(ListGuard, Guard)
