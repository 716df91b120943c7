"""Guards of mappings, and what mappings, sets and records share: keys with an overlay."""

cimport cython
from cpython.object cimport PyObject
from theus._core.delta cimport OP_INCR, Op
from theus._core.footprint cimport ACTIVE, ALL, DEEP, KEY, SHAPE, Draft, Footprint
from theus._core.freeze cimport is_held, is_plain_leaf, plain_of, thaw
from theus._core.guard cimport Guard, set_maker
from theus._core.layout cimport prefetch, share_dealloc
from theus._core.node cimport MAP, Node, Tomb, is_node, is_tomb, keys_at, size_at, value_at
from theus._core.path cimport check_key, format_path
from theus._core.pattern cimport READ, STRICT

import collections.abc

from theus._core.freeze import RESERVED

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyDict_Next(object d, Py_ssize_t* pos, PyObject** k, PyObject** v)
    object PyObject_GenericGetAttr(object o, object n)
    object PyTuple_Pack(Py_ssize_t n, PyObject* a, PyObject* b)
    bint PyUnicode_CheckExact(object)
    bint PyDict_CheckExact(object)
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef enum Iterate:
    KEYS = 0
    VALUES = 1
    ITEMS = 2


cdef class KeyedGuard(Guard):
    """Keys over a node and its draft."""

    cdef object lookup(self, object key, object default):
        """The value of a key as this attempt sees it, noted as read; `default` where missing."""
        cdef Footprint tx = self.tx
        cdef Node node = self.node
        cdef PyObject* value
        cdef int flags
        if tx.status != ACTIVE:
            tx.ended()
        if self.epoch != tx.epoch:
            self.refresh()
        flags = self.flags
        if flags & (READ | STRICT) != READ:
            flags = self.may_read(key)
        if self.draft is not None:
            value = PyDict_GetItemWithError(self.draft.over, key)
            if value is not NULL:
                return self.drafted(key, <object>value, default)
        value = PyDict_GetItemWithError(node.cur, key)
        if node.mtime > tx.ver:
            value = value_at(node, key, tx.ver)
        elif node.tombs and value is not NULL and is_tomb(value):
            value = NULL
        if value is not NULL and is_node(value):
            return self.child(key, <Node>value)
        if not flags & READ:
            if value is not NULL:
                raise self.violation("read", key)
        if tx.track and not self.private:
            if value is NULL:
                check_key(key)
            tx.note(node, <PyObject*>key, KEY)
        if value is NULL:
            return default
        return <object>value

    cdef object drafted(self, object key, object value, object default):
        """A pending value as the process gets it."""
        if type(value) is Tomb:
            return default
        if type(value) is Op:
            return self.resolve(key, <Op>value)
        if isinstance(value, Guard):
            return self.alias(key, <Guard>value)
        return self.raw(key, value)

    cdef object resolve(self, object key, Op op):
        """A commuting operation on a key that is now read: the read counts from here on."""
        cdef PyObject* base = value_at(self.node, key, self.tx.ver)
        if self.tx.track:
            self.tx.note(self.node, <PyObject*>key, KEY)
        old = self.tx.absent if base is NULL else <object>base
        value = commute_all(op, old, self.where_key(key))
        if self.private and not self.draft.private:     # a peek: nothing is settled
            return value
        self.writable().over[key] = value
        return value

    cdef int put(self, object key, object value) except -1:
        """Assign a key in the draft."""
        cdef PyObject* base
        self.may_write(key)
        if not PyUnicode_CheckExact(key):
            check_key(key)
        if self.node.opaque:
            if is_held(value):
                value = plain_of(value)
        elif not is_plain_leaf(value):
            value = self.incoming(key, value)
            if isinstance(value, Guard):
                base = value_at(self.node, key, self.tx.ver)
                if base is not NULL and <object>base is (<Guard>value).node and not self.was_moved(key):
                    self.undraft(key)
                    return 0
        return self.store_draft(key, value)

    cdef int store_draft(self, object key, object value) except -1:
        cdef Draft draft
        cdef PyObject* old
        cdef PyObject* base
        if self.draft is None:
            base = value_at(self.node, key, self.tx.ver)    # first, so that cold memory is
            prefetch(base)                                  # fetched while the draft is made
            draft = self.writable()
            old = PyDict_GetItemWithError(draft.over, key)
        else:
            draft = self.writable()
            old = PyDict_GetItemWithError(draft.over, key)
            base = value_at(self.node, key, self.tx.ver) if old is NULL else NULL
        if old is NULL:
            if base is NULL:
                draft.added += 1
        elif is_tomb(old):
            if draft.moved is None:
                draft.moved = set()
            draft.moved.add(key)
            draft.dels -= 1
            del draft.over[key]
        draft.over[key] = value
        return 0

    cdef bint was_moved(self, object key) except -1:
        """Whether a key of the snapshot was deleted in this attempt (and perhaps set again)."""
        cdef PyObject* old
        if self.draft is None:
            return False
        old = PyDict_GetItemWithError(self.draft.over, key)
        return old is not NULL and (
            is_tomb(old) or (self.draft.moved is not None and key in self.draft.moved)
        )

    cdef int undraft(self, object key) except -1:
        """The key gets back what the snapshot has, in place."""
        cdef Draft draft
        if self.draft is None or PyDict_GetItemWithError(self.draft.over, key) is NULL:
            return 0
        draft = self.writable()
        if is_tomb(PyDict_GetItemWithError(draft.over, key)):
            draft.dels -= 1
        elif draft.moved is not None:
            draft.moved.discard(key)
        del draft.over[key]
        return 0

    cdef bint drop(self, object key) except -1:
        """Delete a key in the draft; False where there is none."""
        cdef Draft draft
        cdef PyObject* old
        cdef bint based
        self.may_write(key)
        if not self.has(key):
            return False
        draft = self.writable()
        based = value_at(self.node, key, self.tx.ver) is not NULL
        old = PyDict_GetItemWithError(draft.over, key)
        if old is not NULL:
            del draft.over[key]
            if draft.moved is not None:
                draft.moved.discard(key)
        if based:
            draft.over[key] = self.tx.absent
            draft.dels += 1
        else:
            draft.added -= 1
            if not self.private:
                self.tx.note(self.node, <PyObject*>key, KEY)
        return True

    cdef bint has(self, object key) except -1:
        """Membership, noted as a read of the key."""
        cdef PyObject* value
        self.begin_read()
        self.may_read(key)
        if self.draft is not None:
            value = PyDict_GetItemWithError(self.draft.over, key)
            if value is not NULL:
                if type(<object>value) is Op:
                    self.resolve(key, <Op>value)
                    return True
                return not is_tomb(value)
        value = value_at(self.node, key, self.tx.ver)
        if self.tx.track and not self.private:
            check_key(key)
            self.tx.note(self.node, <PyObject*>key, KEY)
        return value is not NULL

    cdef Py_ssize_t size(self) except -1:
        cdef Py_ssize_t size = size_at(self.node, self.tx.ver)
        if self.draft is not None:
            size += self.draft.added - self.draft.dels
        return size

    cdef int note_shape(self, int what) except -1:
        self.may_read_all()
        if self.tx.track and not self.private:
            self.tx.note(self.node, NULL, what)
        self.settle()
        return 0

    cdef int settle(self) except -1:
        """Resolve pending commuting operations: all keys are about to be looked at."""
        cdef Draft draft = self.draft
        if draft is not None and draft.private == self.private:
            for key, value in list(draft.over.items()):
                if type(value) is Op:
                    self.resolve(key, <Op>value)
        return 0

    cdef list key_list(self):
        """Keys in order as this attempt sees them; not noted."""
        cdef Draft draft = self.draft
        cdef list keys = keys_at(self.node, self.tx.ver)
        cdef dict over
        cdef set moved
        if draft is None or not draft.over:
            return keys
        over = draft.over
        moved = draft.moved
        if draft.dels or moved:
            keys = [
                key for key in keys
                if key not in over
                or (type(over[key]) is not Tomb and (moved is None or key not in moved))
            ]
        if draft.added or moved:
            for key, value in over.items():
                if type(value) is not Tomb and (
                    (moved is not None and key in moved)
                    or value_at(self.node, key, self.tx.ver) is NULL
                ):
                    keys.append(key)
        return keys

    cdef object value_of(self, object key):
        """The value of a key that is there; not noted."""
        cdef PyObject* value
        if self.draft is not None:
            value = PyDict_GetItemWithError(self.draft.over, key)
            if value is not NULL:
                return self.drafted(key, <object>value, self.tx.absent)
        value = value_at(self.node, key, self.tx.ver)
        if value is not NULL and is_node(value):
            return self.child(key, <Node>value)
        return <object>value

    cdef dict plain_fields(self):
        """A plain, detached copy of all fields, pending writes included."""
        cdef dict result = {}
        if self.tx.status != ACTIVE:
            self.tx.ended()
        for key in self.key_list():
            value = self.value_of(key)
            if not is_plain_leaf(value):
                value = plain_value(value)
            result[key] = value
        return result

    cdef int note_deep(self) except -1:
        self.may_read_all()
        if self.tx.track and not self.private:
            self.tx.note(self.node, NULL, DEEP)
        self.settle()
        return 0

    cdef object plain(self):
        self.note_deep()
        if self.tx.first is None:
            return thaw(self.node, self.tx.ver)
        return self.plain_fields()


cdef object plain_value(object value):
    if is_held(value):
        return plain_of(value)
    if PyDict_CheckExact(value):
        return {key: plain_value(item) for key, item in (<dict>value).items()}
    if type(value) is list:
        return [plain_value(item) for item in <list>value]
    if type(value) is tuple:
        return tuple([plain_value(item) for item in <tuple>value])
    return value


def detached(value):
    """A value that leaves the transaction: guards and views in it become plain copies."""
    return plain_value(value)


cdef object commute_all(Op op, old, path):
    """The result of a pending commuting operation and those that follow it on the same key."""
    value = commute(op.code, old, op.new, path)
    if op.more is not None:
        for item in op.more:
            value = commute((<Op>item).code, value, (<Op>item).new, path)
    return value


cdef object commute(int code, object old, object amount, object path):
    """The result of a commuting operation on `old` (a Tomb where the key is missing)."""
    if type(old) is Tomb:
        return amount
    try:
        if code == OP_INCR:
            return old + amount
        return max(old, amount) if code == 8 else min(old, amount)
    except TypeError as error:
        raise TypeError(
            f"cannot combine {type(old).__name__} at {format_path(path)!r} with "
            f"{type(amount).__name__}: {error}"
        ) from None


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

    cdef KeyedGuard guard
    cdef int what

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
        return set(self) == set(other)

    def __le__(self, other):
        return set(self) <= set(other)

    def __lt__(self, other):
        return set(self) < set(other)

    def __ge__(self, other):
        return set(self) >= set(other)

    def __gt__(self, other):
        return set(self) > set(other)

    def isdisjoint(self, other):
        """Whether there is no common element."""
        return set(self).isdisjoint(other)

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
        self.may_write(key)
        value = self.lookup(key, self.tx.absent)
        if value is self.tx.absent:
            if default:
                return default[0]
            raise KeyError(key)
        self.drop(key)
        return value

    def popitem(self):
        """Remove and return the last (key, value) pair; KeyError where empty."""
        self.may_write_all()
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
        self.may_write_all()
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

    def __deepcopy__(self, memo):
        return self.plain()

    def __reduce__(self):
        return dict, (self.plain(),)

    def __repr__(self):
        if self.tx.status != ACTIVE:
            return "<guard of a transaction that has ended>"
        return repr(self.plain())


cdef Guard make_map_guard():
    return <Guard>MapGuard.__new__(MapGuard)


set_maker(MAP, make_map_guard)
collections.abc.MutableMapping.register(MapGuard)
collections.abc.KeysView.register(KeysView)
collections.abc.ItemsView.register(ItemsView)
collections.abc.ValuesView.register(ValuesView)
share_dealloc(MapGuard, Guard)
