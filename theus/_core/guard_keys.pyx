"""What guards of mappings, sets and records share: keys over a node and its draft."""

from cpython.object cimport PyObject
from theus._core.delta cimport OP_INCR, OP_MAX, Op
from theus._core.footprint cimport ACTIVE, Draft, Footprint
from theus._core.freeze cimport is_plain_leaf, thaw
from theus._core.held cimport is_held, plain_of
from theus._core.guard cimport Guard
from theus._core.layout cimport prefetch
from theus._core.log cimport DEEP, INSIDE, KEY
from theus._core.node cimport Node, Tomb, is_node, is_tomb, keys_at, size_at, value_at
from theus._core.path cimport check_key, format_path
from theus._core.pattern cimport READ, STRICT
from theus._core.shown cimport is_shown
from theus._core.zone cimport ASSIGN, DELETE

from theus.errors import CycleError

cdef enum:
    DEEPEST = 2000    # levels of a copy; a value that is stored may have fewer, and several may add up

cdef extern from *:
    """
    #if defined(_MSC_VER)
    static __declspec(thread) int theus_levels = 0;
    #else
    static _Thread_local int theus_levels = 0;
    #endif
    """
    int theus_levels      # of the copy that this thread is making

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    bint PyUnicode_CheckExact(object)
    bint PyDict_CheckExact(object)


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
                self.note_own(key)
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
                self.refuse("read", key)
        if tx.track and not self.private:
            if value is NULL:
                check_key(key)
            tx.note(node, <PyObject*>key, KEY)
        if value is NULL:
            return default
        if is_shown(value):
            return self.leaf(key, <object>value)
        return <object>value

    cdef int note_own(self, object key) except -1:
        """A pending value is looked at: a read for an invariant, which depends on it from now on."""
        if self.tx.inspected and not self.private:
            self.tx.note(self.node, <PyObject*>key, INSIDE)
        return 0

    cdef object held_at(self, object key):
        cdef PyObject* value
        if self.epoch != self.tx.epoch:
            self.refresh()
        if self.draft is not None:
            value = PyDict_GetItemWithError(self.draft.over, key)
            if value is not NULL:
                return <object>value
        value = value_at(self.node, key, self.tx.ver)
        return self.tx.absent if value is NULL else <object>value

    cdef int replace(self, object key, object value) except -1:
        return self.put(key, value)

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
        self.may_write(key, ASSIGN)
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
            if self.tx.points is None and self.tx.untouched() and self.keep_lone(key, value):
                return 0
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

    cdef bint keep_lone(self, object key, object value) except -1:
        """The first write of an attempt, where it is a leaf under a string: it needs no draft as
        long as nobody looks."""
        cdef Footprint tx = self.tx
        cdef PyObject* base
        if self.private or self.node.opaque or not PyUnicode_CheckExact(key) or not is_plain_leaf(value):
            return False
        base = value_at(self.node, key, tx.ver)
        prefetch(base)      # cold memory is fetched until the commit needs it
        tx.lone = self
        tx.lone_node = self.node
        tx.lone_key = key
        tx.lone_value = value
        tx.lone_new = base is NULL
        tx.epoch += 1
        return True

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
        self.may_write(key, DELETE)
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
        cdef bint limited
        self.begin_read()
        limited = not self.may_read(key) & READ
        if self.draft is not None:
            value = PyDict_GetItemWithError(self.draft.over, key)
            if value is not NULL:
                if limited and is_plain_leaf(<object>value):
                    self.refuse("read", key)
                self.note_own(key)
                if type(<object>value) is Op:
                    self.resolve(key, <Op>value)
                    return True
                return not is_tomb(value)
        value = value_at(self.node, key, self.tx.ver)
        if limited and value is not NULL and not is_node(value):
            self.refuse("read", key)
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
                self.note_own(key)
                return self.drafted(key, <object>value, self.tx.absent)
        value = value_at(self.node, key, self.tx.ver)
        if value is not NULL and is_node(value):
            return self.child(key, <Node>value)
        if is_shown(value):
            return self.leaf(key, <object>value)
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
        if self.tx.untouched():
            return thaw(self.node, self.tx.ver)
        return self.plain_fields()


cdef object plain_value(object value):
    """A plain copy of a pending value; CycleError where it contains itself, by guards or without."""
    global theus_levels
    if theus_levels >= DEEPEST:
        raise endless(value)
    theus_levels += 1
    try:
        return plain_level(value)
    finally:
        theus_levels -= 1


cdef object endless(object value):
    """The error of a copy that would not end."""
    where = format_path((<Guard>value).where()) if isinstance(value, Guard) else "<value>"
    return CycleError(
        f"cannot copy the value at {where}: it contains itself, or is nested deeper than {DEEPEST} "
        f"levels. The state is a tree; refer to the other place by its key.",
        path=where,
    )


cdef object plain_level(object value):
    """One level of a plain copy."""
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
        return max(old, amount) if code == OP_MAX else min(old, amount)
    except TypeError as error:
        raise not_a_number(path, old, amount, str(error)) from None


cdef object not_a_number(object path, object old, object amount, str why):
    """The TypeError of a commuting operation on something else."""
    what = type(old).__name__
    if is_node(<PyObject*>old):
        what = ("mapping", "list", "set", "record")[(<Node>old).kind]
    return TypeError(
        f"cannot combine the {what} at {format_path(path)!r} with {type(amount).__name__}: {why}"
    )
