"""What the state can hold, and how values enter and leave it.

`ingest` copies a value in: containers become nodes, records (dataclass, pydantic, attrs,
plain classes) become field nodes, leaves are shared. `thaw` copies it out again as plain
Python. `admit` walks a value without copying it, so that a write can refuse it on the spot.

Rules for types are looked up by exact type in `RULES`. A type met for the first time is
resolved once: the structural kinds here (enum, path, subclasses of builtins), everything
that belongs to a library or to the user by `theus.freezers`, which is asked by name and
loads the rules of a library only when a value of it shows up.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.held cimport is_held, plain_of
from theus._core.node cimport LIST, MAP, RECORD, SET, Node, items_at, keys_at, u64, value_at
from theus._core.path cimport check_key, format_path

import datetime
import decimal
import enum
import fractions
import importlib
import pathlib
import re
import threading
import types
import uuid

from theus.errors import CycleError, UnsupportedValueError

cdef extern from "Python.h":
    bint PyDict_CheckExact(object)
    bint PyList_CheckExact(object)
    bint PyUnicode_CheckExact(object)
    int PyDict_Next(object d, Py_ssize_t* pos, PyObject** k, PyObject** v)
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

MAX_DEPTH = 500
MAX_CONTAINERS = 20_000_000

# Names that guards and views use for methods; a mapping with such a key is marked `odd`, and
# attribute access on it prefers the method.
RESERVED = dict.fromkeys(
    name
    for kind in (dict, list, set)
    for name in dir(kind)
    if not name.startswith("__")
)
RESERVED.update(dict.fromkeys(("to_dict", "to_list", "incr")))


@cython.final
cdef class Rule:
    """How values of one class are held.

    `kind` is "leaf" (shared by reference), "copy" (`build(value)` gives the detached,
    immutable value to hold), "record" (`fields(value)` -> dict of fields, `build(cls, fields)`
    -> value) or "map", "list", "set", "tuple" for subclasses of builtin containers.
    """

    def __init__(self, cls, kind, fields=None, build=None, frozen=False, foreign=None):
        self.cls = cls
        self.kind = kind
        self.fields = fields
        self.build = build
        self.frozen = frozen
        self.foreign = foreign

    def __repr__(self):
        return f"Rule({self.cls.__qualname__}, {self.kind!r})"


RULES = {}
_resolving = threading.RLock()


def register_leaf(*classes):
    """Values of these exact classes are immutable and shared by reference."""
    for cls in classes:
        RULES[cls] = Rule(cls, "leaf")


def register_copy(cls, copy):
    """Values of `cls` are held as `copy(value)`, which must be detached and immutable."""
    RULES[cls] = Rule(cls, "copy", build=copy)


def register_record(cls, fields, build, *, frozen=False, foreign=None):
    """Values of `cls` are records.

    Parameters
    ----------
    fields:
        `fields(value)` -> dict of field name to value, in order.
    build:
        `build(cls, fields)` -> a new value with exactly these fields.
    frozen:
        Whether fields refuse assignment through a guard.
    foreign:
        `foreign(owner)` -> whether methods defined by the class `owner` need a real instance
        (they reach into it from C) instead of the guard.
    """
    RULES[cls] = Rule(cls, "record", fields, build, frozen, foreign)


register_leaf(
    type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis),
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern, slice,
)
for _cls, _kind in ((dict, "map"), (list, "list"), (set, "set"), (tuple, "tuple"), (frozenset, "frozenset")):
    RULES[_cls] = Rule(_cls, _kind)
RULES[types.MappingProxyType] = Rule(types.MappingProxyType, "map")


def rule_for(cls):
    """The rule of a class, or None where values of it cannot be held.

    Thread-safe; O(1) after the first value of a class.
    """
    rule = RULES.get(cls)
    if rule is None:
        with _resolving:
            if cls not in RULES:
                _resolve(cls)
            rule = RULES.get(cls)
    return rule


def _resolve(cls):
    if issubclass(cls, (enum.Enum, pathlib.PurePath, datetime.tzinfo)):
        register_leaf(cls)
        return
    for base, kind in ((dict, "map"), (list, "list"), (set, "set")):
        if issubclass(cls, base):
            RULES[cls] = Rule(cls, kind)
            return
    if issubclass(cls, tuple):
        RULES[cls] = Rule(cls, "tuple")
        return
    importlib.import_module("theus.freezers").resolve(cls)
    if cls not in RULES and issubclass(cls, (str, bytes, int, float)) and cls.__dictoffset__ == 0:
        register_leaf(cls)


cdef Node empty_node(int kind):
    cdef Node node = Node.__new__(Node)
    node.kind = kind
    if kind == LIST:
        node.seq = []
    else:
        node.cur = {}
    return node


cdef class _Walk:
    """One walk over a value that enters: where we are, how deep, how much."""

    cdef list trail
    cdef Py_ssize_t count
    cdef object root
    cdef object where
    cdef dict reserved

    cdef int enter(self, object key) except -1:
        self.trail.append(key)
        self.count += 1
        if len(self.trail) > MAX_DEPTH:
            self.too_deep()
        if self.count > MAX_CONTAINERS:
            raise UnsupportedValueError(
                f"cannot store the value at {self.place()}: more than {MAX_CONTAINERS} containers "
                f"after copying (is one container reachable on very many ways?)",
                path=self.place(),
            )
        return 0

    cdef object place(self):
        prefix = tuple(self.where) if self.where is not None else ()
        return format_path(prefix + tuple(self.trail)) if prefix or self.trail else "<value>"

    cdef int too_deep(self) except -1:
        seen = set()
        value = self.root
        for key in self.trail:
            if id(value) in seen:
                raise CycleError(
                    f"cannot store the value at {self._origin()}: it contains itself. The state is a "
                    f"tree; refer to the other place by its key.",
                    path=self._origin(),
                )
            seen.add(id(value))
            value = _step(value, key)
        raise UnsupportedValueError(
            f"cannot store the value at {self._origin()}: nested deeper than {MAX_DEPTH} levels",
            path=self._origin(),
        )

    cdef object _origin(self):
        return format_path(tuple(self.where)) if self.where else "<value>"

    cdef object refuse(self, object value):
        name = type(value).__module__ + "." + type(value).__qualname__
        return UnsupportedValueError(
            f"cannot store a value of type {name} at {self.place()}: the state holds plain data and "
            f"records (dataclass, pydantic, attrs, plain classes). Store what identifies it, register "
            f"a rule for the type, or put the object into the heavy zone.",
            path=self.place(), type_name=name,
        )

    cdef int check_element(self, object value) except -1:
        """Set members and mapping keys: exact builtin keys, or C-hashed leaves."""
        if type(value) in (datetime.date, datetime.datetime, datetime.timedelta, decimal.Decimal, frozenset):
            return 0
        if isinstance(value, (enum.Enum, uuid.UUID)):
            return 0
        try:
            check_key(value)
        except UnsupportedValueError as error:
            raise UnsupportedValueError(
                f"{error} (at {self.place()})", path=self.place(), type_name=type(value).__qualname__
            ) from None
        return 0

    cdef object take(self, object value):
        """A leaf or a node that holds a copy of `value`."""
        if is_plain_leaf(value):
            return value
        if PyDict_CheckExact(value):
            return self.take_map(<dict>value)
        if PyList_CheckExact(value):
            return self.take_list(value)
        if is_held(value):
            return self.take(plain_of(value))
        rule = RULES.get(type(value))
        if rule is None:
            rule = rule_for(type(value))
            if rule is None:
                raise self.refuse(value)
        kind = rule.kind
        if kind == "leaf":
            return value
        if kind == "record":
            return self.take_record(value, rule)
        if kind == "map":
            return self.take_map(dict(value))
        if kind == "list":
            return self.take_list(list(value))
        if kind == "set":
            return self.take_set(value)
        if kind == "copy":
            return rule.build(value)
        return self.take_tuple(value, kind)

    cdef Node take_map(self, dict value):
        cdef Node node = Node.__new__(Node)
        cdef dict cur = {}
        cdef object key, item
        node.kind = MAP
        node.cur = cur
        for key, item in value.items():
            if not PyUnicode_CheckExact(key):
                self.check_element(key)
            elif PyDict_GetItemWithError(self.reserved, key) is not NULL:
                node.odd = True
            if not is_plain_leaf(item):
                self.enter(key)
                item = self.take(item)
                self.trail.pop()
            cur[key] = item
        return node

    cdef Node take_list(self, object value):
        cdef Node node = Node.__new__(Node)
        cdef list seq = []
        cdef Py_ssize_t index = 0
        node.kind = LIST
        node.seq = seq
        for item in <list>value:
            if not is_plain_leaf(item):
                self.enter(index)
                item = self.take(item)
                self.trail.pop()
            seq.append(item)
            index += 1
        return node

    cdef Node take_set(self, object value):
        cdef Node node = Node.__new__(Node)
        cdef dict cur = {}
        node.kind = SET
        node.cur = cur
        for item in value:
            self.check_element(item)
            cur[item] = True
        return node

    cdef Node take_record(self, object value, object rule):
        cdef Node node = self.take_map(rule.fields(value))
        node.kind = RECORD
        node.rule = rule
        return node

    cdef object take_tuple(self, object value, object kind):
        """Tuples and frozensets of leaves are leaves; what is mutable inside is frozen."""
        cdef Py_ssize_t index = 0
        cdef bint changed = False
        cdef list items = []
        for item in value:
            if not is_plain_leaf(item):
                self.enter(index)
                held = self.take(item)
                self.trail.pop()
                if isinstance(held, Node):
                    held = _frozen_view(<Node>held)
                changed = changed or held is not item
                item = held
            items.append(item)
            index += 1
        if kind == "frozenset":
            if changed:
                raise self.refuse(value)
            return value
        if not changed:
            return value
        if type(value) is tuple:
            return tuple(items)
        return type(value)._make(items) if hasattr(type(value), "_make") else tuple(items)

    cdef int check(self, object value) except -1:
        """As `take`, without making anything."""
        if is_plain_leaf(value):
            return 0
        if PyDict_CheckExact(value):
            return self.check_map(<dict>value)
        if PyList_CheckExact(value):
            return self.check_items(value)
        if is_held(value):
            return 0
        rule = rule_for(type(value))
        if rule is None:
            raise self.refuse(value)
        kind = rule.kind
        if kind == "record":
            return self.check_map(rule.fields(value))
        if kind == "map":
            return self.check_map(dict(value))
        if kind == "set":
            for item in value:
                self.check_element(item)
        elif kind in ("list", "tuple", "frozenset"):
            return self.check_items(value)
        return 0

    cdef int check_map(self, dict value) except -1:
        for key, item in value.items():
            if not PyUnicode_CheckExact(key):
                self.check_element(key)
            if not is_plain_leaf(item):
                self.enter(key)
                self.check(item)
                self.trail.pop()
        return 0

    cdef int check_items(self, object value) except -1:
        cdef Py_ssize_t index = 0
        for item in value:
            if not is_plain_leaf(item):
                self.enter(index)
                self.check(item)
                self.trail.pop()
            index += 1
        return 0


cdef object _step(object value, object key):
    if isinstance(value, (dict, list, tuple)):
        return value[key]
    rule = RULES.get(type(value))
    if rule is not None and rule.kind == "record":
        return rule.fields(value)[key]
    return list(value)[key]


VIEW_MAKERS = []


def set_view_maker(maker):
    """Called once by the module of the views: `maker(plain)` -> standalone read-only view."""
    VIEW_MAKERS[:] = [maker]


cdef object _frozen_view(Node node):
    return VIEW_MAKERS[0](thaw(node, 0))


cdef _Walk _walk(object value, object where):
    cdef _Walk walk = _Walk.__new__(_Walk)
    walk.trail = []
    walk.root = value
    walk.where = where
    walk.reserved = RESERVED
    return walk


cdef object ingest(object value, object where):
    """Copy a value in: a leaf, or a node. `where` (path parts) is for errors.

    Raises UnsupportedValueError or CycleError. O(size of the value).
    """
    if is_plain_leaf(value):
        return value
    return _walk(value, where).take(value)


cdef int admit(object value, object where) except -1:
    """Refuse what cannot be held, without copying."""
    if is_plain_leaf(value):
        return 0
    return _walk(value, where).check(value)


cdef object build_record(Rule rule, dict fields):
    return rule.build(rule.cls, fields)


cdef object thaw_value(object value, u64 snap):
    if type(value) is Node:
        return thaw(<Node>value, snap)
    if type(value) is tuple:
        return _thaw_tuple(<tuple>value)
    return value


cdef object _thaw_tuple(tuple value):
    for item in value:
        if is_held(item) or type(item) is tuple:
            return tuple([
                plain_of(item) if is_held(item) else thaw_value(item, 0) for item in value
            ])
    return value


cdef object thaw(Node node, u64 snap):
    """A plain, detached copy of a node as `snap` sees it. O(size)."""
    cdef dict fields
    cdef PyObject* value
    if node.kind == LIST:
        return [thaw_value(item, snap) for item in items_at(node, snap)]
    if node.kind == SET:
        return set(keys_at(node, snap))
    fields = {}
    if node.mtime <= snap and node.tombs == 0:
        fields = node.cur.copy()
        for key, item in fields.items():
            if not is_plain_leaf(item):
                fields[key] = thaw_value(item, snap)
    else:
        for key in keys_at(node, snap):
            value = value_at(node, key, snap)
            if value is not NULL:
                fields[key] = thaw_value(<object>value, snap)
    if node.kind == RECORD:
        return build_record(<Rule>node.rule, fields)
    return fields
