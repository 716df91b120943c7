"""Guards of mappings."""

cimport cython
from cpython.object cimport PyObject
from theus._core.held cimport is_held, plain_of
from theus._core.guard cimport Guard, set_maker
from theus._core.guard_keys cimport KeyedGuard
from theus._core.guard_views cimport (
    ITEMS, KEYS, VALUES, ItemsView, KeysView, MapView, ValuesView, iterate,
)
from theus._core.layout cimport share_dealloc
from theus._core.log cimport ALL, SHAPE
from theus._core.node cimport MAP
from theus._core.path cimport format_path
from theus._core.zone cimport DELETE

import collections.abc

from theus._core.freeze import RESERVED

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    object PyObject_GenericGetAttr(object o, object n)
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)
    Py_ssize_t PyUnicode_GET_LENGTH(object)


@cython.final
@cython.collection_type("mapping")
cdef class MapGuard(KeyedGuard):
    """A mapping of the state inside a process: a dict, transactional.

    Everything a dict does, in place, visible to nobody else before the commit. Keys that are
    identifiers are attributes as well, except those that are names of methods.
    """

    def __getitem__(self, key):
        value = self.lookup(key, self.tx.absent)
        if value is self.tx.absent:
            raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        self.put(key, value)

    def __delitem__(self, key):
        if not self.drop(key):
            raise KeyError(key)

    def __getattribute__(self, name):
        cdef PyObject* value
        if self.draft is None and not self.node.odd:
            value = PyDict_GetItemWithError(self.node.cur, name)
            if value is not NULL:
                found = self.lookup(name, self.tx.absent)
                if found is not self.tx.absent:
                    return found
        if name in RESERVED or (PyUnicode_GET_LENGTH(name) > 4 and name.startswith("__")):
            return PyObject_GenericGetAttr(self, name)
        found = self.lookup(name, self.tx.absent)
        if found is self.tx.absent:
            raise AttributeError(
                f"there is no {name!r} in {format_path(self.where()) or 'the state'!r}", name=name
            )
        return found

    def __setattr__(self, name, value):
        if name in RESERVED or name.startswith("__"):
            raise AttributeError(
                f"{name!r} is a method of mappings; write the key as [{name!r}] instead", name=name
            )
        self.put(name, value)

    def __delattr__(self, name):
        if not self.drop(name):
            raise AttributeError(
                f"there is no {name!r} in {format_path(self.where()) or 'the state'!r}", name=name
            )

    def __contains__(self, key):
        return self.has(key)

    def __len__(self):
        self.note_shape(SHAPE)
        return self.size()

    def __bool__(self):
        self.note_shape(SHAPE)
        return self.size() > 0

    def __iter__(self):
        self.note_shape(SHAPE)
        return iterate(self, KEYS)

    def __reversed__(self):
        self.note_shape(SHAPE)
        return reversed(self.key_list())

    def __dir__(self):
        return list(object.__dir__(self)) + [key for key in self.key_list() if type(key) is str]

    cdef object make_view(self, type cls, int what):
        cdef MapView view = cls.__new__(cls)
        self.may_read_all()
        view.guard = self
        view.what = what
        return view

    def keys(self):
        """A set-like view of the keys."""
        return self.make_view(KeysView, KEYS)

    def values(self):
        """A view of the values."""
        return self.make_view(ValuesView, VALUES)

    def items(self):
        """A set-like view of the (key, value) pairs."""
        return self.make_view(ItemsView, ITEMS)

    def get(self, key, default=None):
        """The value of `key`, or `default`."""
        return self.lookup(key, default)

    def pop(self, key, *default):
        """Remove `key` and return its value; `default` (or KeyError) where missing."""
        if len(default) > 1:
            raise TypeError(f"pop expected at most 2 arguments, got {len(default) + 1}")
        self.may_write(key, DELETE)
        value = self.lookup(key, self.tx.absent)
        if value is self.tx.absent:
            if default:
                return default[0]
            raise KeyError(key)
        self.drop(key)
        return value

    def popitem(self):
        """Remove and return the last (key, value) pair; KeyError where empty."""
        self.may_write_all(DELETE)
        self.note_shape(SHAPE)
        keys = self.key_list()
        if not keys:
            raise KeyError("popitem(): dictionary is empty")
        key = keys.pop()
        return key, self.pop(key)

    def setdefault(self, key, default=None):
        """The value of `key`, set to `default` first where missing."""
        value = self.lookup(key, self.tx.absent)
        if value is self.tx.absent:
            self.put(key, default)
            return self.lookup(key, None)
        return value

    def update(self, *args, **kwargs):
        """As dict.update: from a mapping or an iterable of pairs, then from keywords."""
        if len(args) > 1:
            raise TypeError(f"update expected at most 1 argument, got {len(args)}")
        for key, value in dict(*args, **kwargs).items():
            self.put(key, value)

    def clear(self):
        """Remove all keys."""
        self.may_write_all(DELETE)
        self.note_shape(SHAPE)
        for key in self.key_list():
            self.drop(key)

    def copy(self):
        """A plain dict of the values (containers in it are guards still)."""
        self.note_shape(ALL)
        return {key: self.value_of(key) for key in self.key_list()}

    def to_dict(self):
        """A plain, detached copy, all levels."""
        return self.plain()

    def __or__(self, other):
        if not isinstance(other, collections.abc.Mapping) or not isinstance(self, MapGuard):
            return NotImplemented
        return (<MapGuard>self).copy() | dict(other)

    def __ror__(self, other):
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return dict(other) | self.copy()

    def __ior__(self, other):
        self.update(other)
        return self

    def __eq__(self, other):
        if self is other:
            return True
        if is_held(other):
            other = plain_of(other)
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return self.plain() == other

    __hash__ = None

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        return dict, (self.plain(),)


cdef Guard make_map_guard():
    return <Guard>MapGuard.__new__(MapGuard)


set_maker(MAP, make_map_guard)
collections.abc.MutableMapping.register(MapGuard)
share_dealloc(MapGuard, Guard)
