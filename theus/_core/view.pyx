"""Views: how committed state looks outside of a transaction. Read-only, at every depth.

A view is a node seen at a version. As long as it lives, its snapshot does. Two versions share
what did not change: for an untouched branch both hand out the same view object (a view whose
branch has not changed since is moved forward to the newer snapshot instead of being made
twice). A `FrozenDict` or `FrozenList` made by hand owns a private copy of what it was given.

Views are immutable and can be used from any thread.
"""

cimport cython
from cpython.object cimport PyObject, Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE
from theus._core.freeze cimport Rule, ingest, thaw
from theus._core.held cimport Held
from theus._core.guard_record cimport class_attribute
from theus._core.node cimport (
    LIST, MAP, SET, Node, is_node, item_at, items_at, keys_at, size_at, u64, value_at,
)
from theus._core.store cimport Snap

import collections.abc
import operator

from theus._core.freeze import RESERVED, set_view_maker
from theus.errors import ImmutableError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    object PyObject_GenericGetAttr(object o, object n)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

MUTATORS = frozenset((
    "append", "extend", "insert", "remove", "sort", "reverse", "pop", "popitem", "setdefault",
    "update", "clear", "add", "discard",
))


@cython.no_gc_clear
cdef class View(Held):
    """Base of the read-only views."""

    def __dealloc__(self):
        if self.node is not None and self.node.view is <PyObject*>self:
            self.node.view = NULL

    cdef object shown(self, object value):
        if type(value) is not Node:
            return value
        return view_of(<Node>value, self.snap, self.ver)

    cdef object plain(self):
        return thaw(self.node, self.ver)

    cdef object refused(self):
        return ImmutableError(
            f"Immutable: {type(self).__name__} shows committed state and cannot be changed. Write inside "
            f"a process, `engine.transaction()` or `engine.edit()`; for a private copy use `to_dict()` "
            f"or `to_list()`."
        )

    def __setattr__(self, name, value):
        raise self.refused()

    def __delattr__(self, name):
        raise self.refused()

    def __copy__(self):
        return self


cdef object view_of(Node node, Snap snap, u64 ver):
    """The view of a node at a snapshot; sets come out as frozenset."""
    cdef View view
    if node.kind == SET:
        return frozenset(keys_at(node, ver))
    if node.view is not NULL:
        view = <View>node.view
        if view.snap is snap:
            return view
        if snap is not None and view.snap is not None and node.tree <= view.ver and node.tree <= ver:
            if ver > view.ver:
                view.ver = ver
                view.snap = snap
            return view
    if node.kind == LIST:
        view = <View>FrozenList.__new__(FrozenList)
    elif node.kind == MAP:
        view = <View>FrozenDict.__new__(FrozenDict)
    else:
        view = <View>FrozenRecord.__new__(FrozenRecord)
    view.node = node
    view.snap = snap
    view.ver = ver
    node.view = <PyObject*>view
    return view


cdef class KeyedView(View):
    """Keys of a mapping or record at a version."""

    cdef object fetch(self, object key, object default):
        cdef PyObject* value = value_at(self.node, key, self.ver)
        if value is NULL:
            return default
        if is_node(value):
            return view_of(<Node>value, self.snap, self.ver)
        return <object>value


class _Keys(collections.abc.KeysView):
    """`keys()` of a `FrozenDict`; like those of a dict it can be walked backwards."""

    __slots__ = ()

    def __reversed__(self):
        return reversed(self._mapping)


class _Values(collections.abc.ValuesView):
    """`values()` of a `FrozenDict`."""

    __slots__ = ()

    def __reversed__(self):
        mapping = self._mapping
        return (mapping[key] for key in reversed(mapping))


class _Items(collections.abc.ItemsView):
    """`items()` of a `FrozenDict`."""

    __slots__ = ()

    def __reversed__(self):
        mapping = self._mapping
        return ((key, mapping[key]) for key in reversed(mapping))


@cython.final
@cython.collection_type("mapping")
cdef class FrozenDict(KeyedView):
    """A read-only mapping.

    Equal to the dict of the same content, hashable if its content is, picklable; `dict(x)`,
    `json` (through `TheusEncoder`), `copy` and pattern matching work. Keys that are identifiers
    are attributes, except those that are names of methods.

    Parameters
    ----------
    args, kwargs:
        As for `dict`. The content is copied in (deeply); O(size).
    """

    def __init__(self, *args, **kwargs):
        if self.node is None:
            self.node = <Node>ingest(dict(*args, **kwargs), None)

    def __getitem__(self, key):
        cdef PyObject* value = value_at(self.node, key, self.ver)
        if value is NULL:
            raise KeyError(key)
        if is_node(value):
            return view_of(<Node>value, self.snap, self.ver)
        return <object>value

    def __getattribute__(self, name):
        cdef PyObject* value
        if name not in RESERVED and not (PyUnicode_GET_LENGTH(name) > 4 and name.startswith("__")):
            value = value_at(self.node, name, self.ver)
            if value is NULL:
                raise AttributeError(f"there is no {name!r} here", name=name)
            return self.shown(<object>value)
        if name in MUTATORS:
            raise self.refused()
        return PyObject_GenericGetAttr(self, name)

    def __setitem__(self, key, value):
        raise self.refused()

    def __delitem__(self, key):
        raise self.refused()

    def __contains__(self, key):
        return value_at(self.node, key, self.ver) is not NULL

    def __len__(self):
        return size_at(self.node, self.ver)

    def __iter__(self):
        return iter(keys_at(self.node, self.ver))

    def __reversed__(self):
        return reversed(keys_at(self.node, self.ver))

    def __dir__(self):
        return list(object.__dir__(self)) + [key for key in self if type(key) is str]

    def get(self, key, default=None):
        """The value of `key`, or `default`."""
        return self.fetch(key, default)

    def keys(self):
        """A set-like view of the keys."""
        return _Keys(self)

    def values(self):
        """A view of the values."""
        return _Values(self)

    def items(self):
        """A set-like view of the (key, value) pairs."""
        return _Items(self)

    def copy(self):
        """Itself; use `to_dict()` for a private, mutable copy."""
        return self

    def to_dict(self):
        """A plain, detached copy, all levels. O(size)."""
        return self.plain()

    def __or__(self, other):
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return FrozenDict({**self.plain(), **dict(other)})

    def __ror__(self, other):
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return FrozenDict({**dict(other), **self.plain()})

    def __ior__(self, other):
        raise self.refused()

    def __eq__(self, other):
        cdef View view
        if self is other:
            return True
        if isinstance(other, View):
            view = <View>other
            if view.node is self.node and view.ver == self.ver:
                return True
        if isinstance(other, Held):
            other = (<Held>other).plain()
        elif not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return self.plain() == other

    def __hash__(self):
        return hash(frozenset((key, self.fetch(key, None)) for key in keys_at(self.node, self.ver)))

    def __deepcopy__(self, memo):
        return FrozenDict(self.plain())

    def __reduce__(self):
        return FrozenDict, (self.plain(),)

    def __repr__(self):
        return f"FrozenDict({self.plain()!r})"


@cython.final
@cython.collection_type("sequence")
cdef class FrozenList(View):
    """A read-only sequence; equal to the list of the same content.

    Parameters
    ----------
    values:
        Any iterable; copied in (deeply). O(size).
    """

    def __init__(self, values=()):
        if self.node is None:
            self.node = <Node>ingest(list(values), None)

    def __getattribute__(self, name):
        if name in MUTATORS:
            raise self.refused()
        return PyObject_GenericGetAttr(self, name)

    def __getitem__(self, index):
        cdef Py_ssize_t at, size
        if isinstance(index, slice):
            return [self.shown(value) for value in items_at(self.node, self.ver)[index]]
        at = operator.index(index)
        size = size_at(self.node, self.ver)
        if at < 0:
            at += size
        if at < 0 or at >= size:
            raise IndexError(f"list index {index} out of range (length {size})")
        return self.shown(<object>item_at(self.node, at, self.ver))

    def __setitem__(self, index, value):
        raise self.refused()

    def __delitem__(self, index):
        raise self.refused()

    def __iadd__(self, other):
        raise self.refused()

    def __imul__(self, other):
        raise self.refused()

    cdef list shown_items(self):
        return [self.shown(value) for value in items_at(self.node, self.ver)]

    def __len__(self):
        return size_at(self.node, self.ver)

    def __iter__(self):
        return iter(self.shown_items())

    def __reversed__(self):
        return reversed(self.shown_items())

    def __contains__(self, value):
        return value in self.shown_items()

    def index(self, value, start=0, stop=9223372036854775807):
        """Position of the first equal item; ValueError where there is none."""
        return self.shown_items().index(value, start, stop)

    def count(self, value):
        """Number of equal items."""
        return self.shown_items().count(value)

    def copy(self):
        """Itself; use `to_list()` for a private, mutable copy."""
        return self

    def to_list(self):
        """A plain, detached copy, all levels. O(size)."""
        return self.plain()

    def __add__(self, other):
        if not isinstance(other, (list, FrozenList)):
            return NotImplemented
        return FrozenList(self.plain() + list(other))

    def __radd__(self, other):
        if not isinstance(other, list):
            return NotImplemented
        return FrozenList(other + self.plain())

    def __mul__(self, times):
        return FrozenList(self.plain() * times)

    def __rmul__(self, times):
        return FrozenList(self.plain() * times)

    def __richcmp__(self, other, int how):
        if isinstance(other, Held):
            other = (<Held>other).plain()
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

    def __hash__(self):
        return hash(tuple(self.shown_items()))

    def __deepcopy__(self, memo):
        return FrozenList(self.plain())

    def __reduce__(self):
        return FrozenList, (self.plain(),)

    def __repr__(self):
        return f"FrozenList({self.plain()!r})"


@cython.final
cdef class FrozenRecord(KeyedView):
    """A record of the committed state: its fields and its methods, read-only.

    `isinstance` holds for the record's class; `copy.deepcopy` gives a private instance.
    """

    def __init__(self):
        raise TypeError("views of records are made by the state")

    cdef object instance(self):
        return self.plain()

    def __getattribute__(self, name):
        cdef PyObject* value
        rule = <Rule>self.node.rule
        if name == "__class__":
            return rule.cls
        if name == "__dict__":
            return {key: self.fetch(key, None) for key in keys_at(self.node, self.ver)}
        if name.startswith("__") and name.endswith("__") and not hasattr(rule.cls, name):
            return PyObject_GenericGetAttr(self, name)
        if name in _OWN:
            return PyObject_GenericGetAttr(self, name)
        value = value_at(self.node, name, self.ver)
        if value is not NULL:
            return self.shown(<object>value)
        return class_attribute(self, rule, name, self.instance)

    cdef object bound(self, str name):
        cls = (<Rule>self.node.rule).cls
        for owner in cls.__mro__:
            if owner is not object and name in owner.__dict__:
                return class_attribute(self, <Rule>self.node.rule, name, self.instance)
        raise TypeError(f"{cls.__name__!r} object does not support {name}")

    def __len__(self):
        return self.bound("__len__")()

    def __iter__(self):
        return self.bound("__iter__")()

    def __contains__(self, item):
        return self.bound("__contains__")(item)

    def __getitem__(self, key):
        return self.bound("__getitem__")(key)

    def __setitem__(self, key, value):
        raise self.refused()

    def __delitem__(self, key):
        raise self.refused()

    def __call__(self, *args, **kwargs):
        return self.bound("__call__")(*args, **kwargs)

    def __bool__(self):
        cls = (<Rule>self.node.rule).cls
        return bool(self.plain()) if hasattr(cls, "__bool__") or hasattr(cls, "__len__") else True

    def __dir__(self):
        return sorted(set(dir((<Rule>self.node.rule).cls)) | set(keys_at(self.node, self.ver)))

    def __eq__(self, other):
        if self is other:
            return True
        if isinstance(other, Held):
            other = (<Held>other).plain()
        return self.plain() == other

    def __hash__(self):
        return hash(self.plain())

    def __deepcopy__(self, memo):
        return self.plain()

    def __reduce_ex__(self, protocol):
        return self.plain().__reduce_ex__(protocol)

    def __str__(self):
        return str(self.plain())

    def __repr__(self):
        return repr(self.plain())


_OWN = frozenset(name for name in vars(FrozenRecord) if name.startswith("__")) - {"__doc__", "__init__"}


def standalone(value):
    """A read-only view of a plain dict or list; other values come back as they are."""
    if type(value) is dict:
        return FrozenDict(value)
    if type(value) is list:
        return FrozenList(value)
    if type(value) is set:
        return frozenset(value)
    return value


set_view_maker(standalone)
collections.abc.Mapping.register(FrozenDict)
collections.abc.Sequence.register(FrozenList)
