"""Commuting updates: combined with the newest value at the commit, so they never conflict."""

from cpython.object cimport PyObject
from theus._core.access cimport Access
from theus._core.delta cimport OP_INCR, OP_MAX, OP_MIN, Op, make_op
from theus._core.footprint cimport Draft
from theus._core.guard_list cimport ListGuard
from theus._core.guard_keys cimport KeyedGuard, commute
from theus._core.guard_set cimport SetGuard
from theus._core.node cimport Tomb
from theus._core.path cimport format_path, parse_path
from theus._core.zone cimport UPDATE

import datetime
import decimal

from theus.errors import PathError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

NUMERIC = (int, float, complex, decimal.Decimal, datetime.timedelta)


cdef class Commuting(Access):
    """Updates of numbers, lists and sets without a read."""

    cdef int commuting(self, int code, object path, object value) except -1:
        cdef tuple parts = parse_path(path)
        cdef KeyedGuard guard
        cdef Draft draft
        cdef PyObject* old
        cdef Op op
        self.check_time()
        parent = self.reach(parts[:len(parts) - 1])
        key = parts[len(parts) - 1]
        if not isinstance(parent, KeyedGuard) or isinstance(parent, SetGuard):
            raise PathError(
                f"{format_path(parts)!r} is not a field of a mapping or record", path=format_path(parts)
            )
        guard = <KeyedGuard>parent
        guard.may_write(key, UPDATE)
        draft = guard.writable()
        old = PyDict_GetItemWithError(draft.over, key)
        if old is NULL or type(<object>old) is Tomb:
            op = make_op(code, guard.node, guard.get_link(), key, value)
            guard.store_draft(key, value if old is not NULL else op)
        elif type(<object>old) is not Op:
            guard.store_draft(key, commute(code, <object>old, value, parts))
        else:
            guard.store_draft(key, joined(<Op>old, code, value, parts))
        return 0

    def incr(self, path, by=1):
        """Add to a number at the commit, without reading it: never conflicts. Missing counts from 0."""
        if not isinstance(by, NUMERIC):
            raise TypeError(f"incr needs a number, got {type(by).__name__}")
        self.commuting(OP_INCR, path, by)

    def max(self, path, value):
        """Raise a value to at least `value` at the commit; never conflicts."""
        self.commuting(OP_MAX, path, value)

    def min(self, path, value):
        """Lower a value to at most `value` at the commit; never conflicts."""
        self.commuting(OP_MIN, path, value)

    def container(self, path, kind, name):
        """The guard of a list or set for a commuting operation."""
        self.check_time()
        guard = self.walk(parse_path(path))
        if not isinstance(guard, kind):
            raise PathError(
                f"{path!r} is not a {name} of the state but a {type(guard).__name__}", path=str(path)
            )
        return guard

    def append(self, path, value):
        """Append to a list at the commit; never conflicts with other appends."""
        self.container(path, (ListGuard, list), "list").append(value)

    def extend(self, path, values):
        """Extend a list at the commit; never conflicts with other appends."""
        self.container(path, (ListGuard, list), "list").extend(values)

    def add(self, path, value):
        """Add a member to a set at the commit; never conflicts."""
        self.container(path, (SetGuard, set), "set").add(value)

    def discard(self, path, value):
        """Remove a member from a set at the commit; never conflicts."""
        self.container(path, (SetGuard, set), "set").discard(value)


cdef Op joined(Op first, int code, object value, tuple parts):
    """A pending commuting operation, followed by one more on the same key (a new object)."""
    cdef Op op = make_op(first.code, first.node, first.link, first.key, first.new)
    cdef list more = [] if first.more is None else list(first.more)
    cdef Op last = <Op>more[len(more) - 1] if more else op
    if last.code != code:
        more.append(make_op(code, first.node, first.link, first.key, value))
    elif more:
        more[len(more) - 1] = make_op(
            code, first.node, first.link, first.key, commute(code, last.new, value, parts)
        )
    else:
        op = make_op(code, first.node, first.link, first.key, commute(code, first.new, value, parts))
    op.more = more or None
    return op
