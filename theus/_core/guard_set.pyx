"""Guards of sets. Adding and discarding are blind: they read nothing and never conflict."""

cimport cython
from cpython.object cimport PyObject, Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE
from theus._core.footprint cimport Draft
from theus._core.freeze cimport admit, is_plain_leaf
from theus._core.guard cimport Guard, set_maker
from theus._core.guard_keys cimport KeyedGuard
from theus._core.layout cimport share_dealloc
from theus._core.log cimport SHAPE
from theus._core.node cimport SET, is_tomb, value_at
from theus._core.zone cimport APPEND, DELETE

import collections.abc

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL


@cython.final
cdef class SetGuard(KeyedGuard):
    """A set of the state inside a process: a set, transactional."""

    cdef int put_member(self, object value) except -1:
        cdef Draft draft
        cdef PyObject* old
        self.may_write(value, APPEND)
        if not is_plain_leaf(value):
            admit({value}, self.where())
        draft = self.writable()
        old = PyDict_GetItemWithError(draft.over, value)
        if old is NULL or is_tomb(old):
            if value_at(self.node, value, self.tx.ver) is NULL:
                draft.added += 1
                draft.over[value] = True
            else:
                if old is not NULL:
                    draft.dels -= 1
                draft.over[value] = True
        return 0

    cdef int drop_member(self, object value) except -1:
        cdef Draft draft
        cdef PyObject* old
        self.may_write(value, DELETE)
        draft = self.writable()
        old = PyDict_GetItemWithError(draft.over, value)
        if value_at(self.node, value, self.tx.ver) is not NULL:
            if old is NULL or not is_tomb(old):
                draft.dels += 1
        elif old is not NULL and not is_tomb(old):
            draft.added -= 1
        draft.over[value] = self.tx.absent
        return 0

    cdef set members(self):
        self.note_shape(SHAPE)
        return set(self.key_list())

    cdef object plain(self):
        return self.members()

    def __contains__(self, value):
        return self.has(value)

    def __len__(self):
        self.note_shape(SHAPE)
        return self.size()

    def __bool__(self):
        self.note_shape(SHAPE)
        return self.size() > 0

    def __iter__(self):
        self.note_shape(SHAPE)
        size = self.size()
        for value in self.key_list():
            self.begin_read()
            if self.size() != size:
                raise RuntimeError("Set changed size during iteration")
            yield value
        self.begin_read()
        if self.size() != size:
            raise RuntimeError("Set changed size during iteration")

    def add(self, value):
        """Add a member; reads nothing."""
        hash(value)
        self.put_member(value)

    def discard(self, value):
        """Remove a member if it is there; reads nothing."""
        hash(value)
        self.drop_member(value)

    def remove(self, value):
        """Remove a member; KeyError where missing."""
        self.may_write(value, DELETE)
        if not self.has(value):
            raise KeyError(value)
        self.drop_member(value)

    def pop(self):
        """Remove and return some member; KeyError where empty."""
        self.may_write_all(DELETE)
        self.note_shape(SHAPE)
        keys = self.key_list()
        if not keys:
            raise KeyError("pop from an empty set")
        self.drop_member(keys[0])
        return keys[0]

    def clear(self):
        """Remove all members."""
        self.may_write_all(DELETE)
        self.note_shape(SHAPE)
        for value in self.key_list():
            self.drop_member(value)

    def update(self, *others):
        """Add the members of others; reads nothing here."""
        for other in others:
            for value in list(other):
                self.put_member(value)

    def difference_update(self, *others):
        """Remove the members of others; reads nothing here."""
        for other in others:
            for value in list(other):
                self.drop_member(value)

    def intersection_update(self, *others):
        """Keep only what is in all others."""
        keep = self.members().intersection(*others)
        for value in self.key_list():
            if value not in keep:
                self.drop_member(value)

    def symmetric_difference_update(self, other):
        """Keep what is in exactly one of both."""
        mine = self.members()
        for value in set(other):
            if value in mine:
                self.drop_member(value)
            else:
                self.put_member(value)

    def union(self, *others):
        """A new plain set."""
        return self.members().union(*others)

    def intersection(self, *others):
        """A new plain set."""
        return self.members().intersection(*others)

    def difference(self, *others):
        """A new plain set."""
        return self.members().difference(*others)

    def symmetric_difference(self, other):
        """A new plain set."""
        return self.members().symmetric_difference(other)

    def issubset(self, other):
        """Whether every member is in `other`."""
        return self.members().issubset(other)

    def issuperset(self, other):
        """Whether every element of `other` is a member."""
        return self.members().issuperset(other)

    def isdisjoint(self, other):
        """Whether there is no common element."""
        return self.members().isdisjoint(other)

    def copy(self):
        """A plain set."""
        return self.members()

    def __or__(self, other):
        return self.members() | set(other) if isinstance(other, collections.abc.Set) else NotImplemented

    def __ror__(self, other):
        return set(other) | self.members() if isinstance(other, collections.abc.Set) else NotImplemented

    def __and__(self, other):
        return self.members() & set(other) if isinstance(other, collections.abc.Set) else NotImplemented

    def __rand__(self, other):
        return set(other) & self.members() if isinstance(other, collections.abc.Set) else NotImplemented

    def __sub__(self, other):
        return self.members() - set(other) if isinstance(other, collections.abc.Set) else NotImplemented

    def __rsub__(self, other):
        return set(other) - self.members() if isinstance(other, collections.abc.Set) else NotImplemented

    def __xor__(self, other):
        return self.members() ^ set(other) if isinstance(other, collections.abc.Set) else NotImplemented

    def __rxor__(self, other):
        return set(other) ^ self.members() if isinstance(other, collections.abc.Set) else NotImplemented

    def __ior__(self, other):
        self.update(other)
        return self

    def __iand__(self, other):
        self.intersection_update(other)
        return self

    def __isub__(self, other):
        self.difference_update(list(other))
        return self

    def __ixor__(self, other):
        self.symmetric_difference_update(other)
        return self

    def __richcmp__(self, other, int how):
        if not isinstance(other, collections.abc.Set):
            return NotImplemented
        mine, theirs = self.members(), set(other)
        if how == Py_EQ:
            return mine == theirs
        if how == Py_NE:
            return mine != theirs
        if how == Py_LT:
            return mine < theirs
        if how == Py_LE:
            return mine <= theirs
        return mine > theirs if how == Py_GT else mine >= theirs

    __hash__ = None

    def __copy__(self):
        return self.members()

    def __reduce__(self):
        return set, (list(self.members()),)


cdef Guard make_set_guard():
    return <Guard>SetGuard.__new__(SetGuard)


set_maker(SET, make_set_guard)
collections.abc.MutableSet.register(SetGuard)
share_dealloc(SetGuard, Guard)
