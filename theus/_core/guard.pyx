"""Guards: how a process sees one container of the state.

A guard belongs to one footprint (attempt) and one node. It

1. checks the contract: its position in the compiled trie says at once whether everything
   below may be read or written, otherwise one step per access decides;
2. records what was read, at the granularity of what was asked (key, keys, values, all below);
3. turns writes into the draft of its node. The store is never touched.

Children are made at the first access and kept, so `ctx.domain.a is ctx.domain.a`. Passing
through a container is itself a read of its key: a commit that replaces or removes a container
therefore conflicts with everyone who is inside it.

Values assigned during the attempt stay the caller's own objects until the commit copies them
in. A guard that is assigned somewhere is an alias until then: both places show the same
content, and the commit copies it per place.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.delta cimport Link
from theus._core.footprint cimport ACTIVE, Draft, Footprint
from theus._core.freeze cimport admit, ingest, is_plain_leaf
from theus._core.held cimport Held, guard_of, is_held, plain_of, set_guard
from theus._core.log cimport KEY
from theus._core.node cimport LIST, MAP, RECORD, Node, is_node, value_at
from theus._core.pattern cimport BELOW, READ, REPORT, STRICT, WRITE, Position
from theus._core.refusal cimport access_refused, raise_or_report, zone_refused
from theus._core.shown cimport is_shown, shown_by
from theus._core.zone cimport (
    APPEND, ASSIGN, DELETE, FIXED, HIDDEN, LIMITS, MARKED, NO_APPEND, NO_DELETE, NO_UPDATE, UPDATE,
    ZONE, Act, area_limits, is_private, may_be_zone, zone_limits,
)

from theus._core.path import format_path
from theus.errors import TransactionStateError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

cdef extern from *:
    """
    static void* theus_guard_makers[4];
    """
    void* theus_guard_makers[4]

ctypedef Guard (*Maker)()

ITEMS = object()


cdef void set_maker(int kind, Guard (*maker)()):
    theus_guard_makers[kind] = <void*>maker


cdef Guard make_guard(Node node):
    return (<Maker>theus_guard_makers[node.kind])()


cdef inline int flags_below(Position pos) noexcept:
    """What a guard may do that was reached: where getting there was reported, reading is."""
    cdef int flags = pos.flags
    return flags | READ if flags & (READ | BELOW | REPORT) == REPORT else flags


cdef Guard root_guard(Footprint tx, Node node, Position pos, object key):
    """The guard of a root node; `key` is None for the data root, else the name in front of paths.

    The footprint keeps it, and with it all guards below, until it ends.
    """
    cdef Guard guard = make_guard(node)
    guard.tx = tx
    guard.node = node
    guard.pos = pos if key is None else pos.step(key)
    guard.flags = guard.pos.flags
    if key is not None:
        guard.flags |= zone_limits(key)
    elif tx.store.marks is not None and node is tx.store.root:
        guard.flags |= MARKED
    guard.key = key
    guard.epoch = tx.epoch if tx.untouched() else -1
    tx.keep(guard)
    return guard


cdef Guard area_guard(Footprint tx, Position pos, str name):
    """The guard of an area without one of the data root above it, noted as a read of its name.

    The common case of looking the area up in the root guard; None in every other case.
    """
    cdef Node root = tx.store.root
    cdef PyObject* node
    cdef Guard guard
    if tx.status != ACTIVE or not tx.untouched() and tx.find_draft(root) is not None:
        return None
    pos = pos.step(name)
    node = value_at(root, name, tx.ver)
    if not pos.flags & (READ | BELOW) or node is NULL or not is_node(node):
        return None
    if tx.track:
        tx.note(root, <PyObject*>name, KEY)
    guard = make_guard(<Node>node)
    guard.tx = tx
    guard.node = <Node>node
    guard.pos = pos
    guard.flags = pos.flags | area_limits(tx.store.marks, name)
    guard.key = name
    guard.epoch = tx.epoch if tx.untouched() else -1
    tx.keep(guard)
    return guard


@cython.freelist(64)
cdef class Guard:
    """Base of the guards of mappings, lists, sets and records, which add no fields to it: all of
    them come from one free list.

    `parent` is borrowed, and NULL at the top (a root, or an area reached directly; the latter's
    `key` is its name): the footprint keeps the roots, and with them all guards, as long as it
    is active; afterwards a guard refuses use and never looks at its parent.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError("guards are made by a transaction")

    cdef Link get_link(self):
        """The chain of keys to this node. Kept on the node, since a node never moves; items of
        lists may, so theirs is kept on the guard."""
        cdef Link link
        cdef Guard parent
        if self.link is not None:
            return self.link
        if self.node.link is not None:
            self.link = <Link>self.node.link
            return self.link
        link = Link.__new__(Link)
        if self.parent is not NULL:
            parent = <Guard>self.parent
            link.parent = parent.get_link()
            link.key = self.key
            if parent.node.kind != LIST and parent.node.link is not None:
                self.node.link = link
        else:
            if self.key is not None:
                link.parent = Link.__new__(Link)
                link.key = self.key
            self.node.link = link
        self.link = link
        return link

    cdef int remember(self, object key, Guard guard) except -1:
        """Keep a child; one that it replaces lives on until the footprint ends, for its children."""
        cdef PyObject* found
        if self.kid is None and self.kids is None:
            self.kid = guard
            return 0
        if self.kids is None:
            self.kids = {self.kid.key: self.kid}
        found = PyDict_GetItemWithError(self.kids, key)
        if found is not NULL:
            self.tx.keep(<object>found)
        self.kids[key] = guard
        return 0

    cdef tuple where(self):
        return self.get_link().path()

    cdef tuple where_key(self, object key):
        return self.where() + (key,)

    cdef int refresh(self) except -1:
        """Pick up a draft that someone else made for this node."""
        self.epoch = self.tx.epoch
        if self.draft is None:
            self.draft = self.tx.find_draft(self.node)
        return 0

    cdef int begin_read(self) except -1:
        if self.tx.status != ACTIVE:
            self.tx.ended()
        if self.epoch != self.tx.epoch:
            self.refresh()
        return 0

    cdef int may_read(self, object key) except -1:
        """Flags of the key's position if it may be looked at, else ContractViolationError."""
        cdef int flags = self.flags
        if not flags & READ:
            flags = self.pos.step(key).flags
            if not flags & (READ | BELOW):
                self.refuse("read", key)
                flags |= READ
        if flags & STRICT and (may_be_zone(key) or self.flags & MARKED):
            self.check_private(key)
        return flags

    cdef int may_read_all(self) except -1:
        self.begin_read()
        if not self.flags & READ:
            self.refuse("read", None)
        return 0

    cdef int may_write(self, object key, Act act) except -1:
        """Checks a write of a key; ITEMS is whichever key."""
        cdef int flags = self.flags
        if self.tx.status != ACTIVE:
            self.tx.ended()
        if self.epoch != self.tx.epoch:
            self.refresh()
        if not flags & WRITE:
            flags = self.pos.step(key).flags
            if not flags & WRITE:
                self.refuse("write", key)
        if may_be_zone(key) or self.flags & (LIMITS | MARKED):
            if flags & STRICT and is_private(key):
                self.check_private(key)
            self.check_zone(key, act)
        return 0

    cdef int may_write_all(self, Act act) except -1:
        self.begin_read()
        if not self.flags & WRITE:
            self.refuse("write", None)
        if self.flags & LIMITS:
            self.check_zone(ITEMS, act)
        return 0

    cdef int limits_below(self, object key) except -1:
        """What zones do not allow at a key: the first one on the way decides, an annotation of
        the field before its name."""
        cdef int limits = self.flags & LIMITS
        if limits & ZONE or self.node.kind != MAP and self.node.kind != RECORD:
            return limits
        if self.node is self.tx.store.root:
            return area_limits(self.tx.store.marks, key) if type(key) is str else 0
        if self.flags & MARKED and type(key) is str:
            marked = (<dict>self.tx.store.marks[self.key]).get(key)
            if marked is not None:
                return limits | <int>marked
        return limits | zone_limits(key) if may_be_zone(key) else limits

    cdef int check_zone(self, object key, Act act) except -1:
        """Whether the zone of a place allows a change. An assignment to a key that is not there
        replaces nothing: it is allowed where something may be added or replaced at all."""
        cdef int limits = self.limits_below(key) & LIMITS
        cdef bint admin = not self.flags & STRICT or self.tx.admin
        if limits & HIDDEN and not admin:
            return self.check_private(key)
        if admin:
            if not limits & FIXED or not self.flags & FIXED and act == ASSIGN and not self.has(key):
                return 0
        elif act == ASSIGN:
            if not limits & NO_UPDATE or not limits & NO_APPEND and not self.has(key):
                return 0
            act = UPDATE
        elif not limits & (NO_APPEND if act == APPEND else NO_DELETE if act == DELETE else NO_UPDATE):
            return 0
        parts = self.where() if key is ITEMS else self.where_key(key)
        error = zone_refused(self.tx.process, act, parts, limits, self.tx.store.marks)
        return raise_or_report(self.tx.store.report, self.flags, error)

    cdef int check_private(self, object key) except -1:
        """Whether a name is for administrators only; fields of records belong to their class."""
        if self.node.kind != MAP or self.tx.admin:
            return 0
        if is_private(key) or self.limits_below(key) & HIDDEN:
            self.refuse("private", key)
        return 0

    cdef bint has(self, object key) except -1:
        """Whether there is such a key, noted as read."""
        raise NotImplementedError

    cdef int refuse(self, str action, object key) except -1:
        """An access that the contract does not allow: ContractViolationError, or a report of it.
        Administrators are not limited."""
        cdef bint items = key is ITEMS
        cdef bint pure = self.tx.pure
        cdef int flags = self.flags
        if self.tx.admin and not (pure and action == "write"):
            return 0
        cdef tuple parts = self.where() if key is None or items else self.where_key(key)
        error = access_refused(self.tx.process, pure, action, parts, items, self.pos)
        if pure and action == "write":
            flags &= ~REPORT
        return raise_or_report(self.tx.store.report, flags, error)

    cdef Draft writable(self):
        """The draft of this node, ready for a write."""
        if self.draft is None:
            self.draft = self.tx.draft_for(self, self.node, self.private)
            self.epoch = self.tx.epoch
        if self.draft.mark != self.tx.mark:
            self.tx.save(self.draft)
        return self.draft

    cdef object child(self, object key, Node node):
        """The guard of a container below; noted as a read of its key when it is made."""
        cdef PyObject* found
        cdef Guard guard = self.kid
        if guard is not None and guard.node is node:
            return guard
        if self.kids is not None:
            found = PyDict_GetItemWithError(self.kids, key)
            if found is not NULL and (<Guard>found).node is node:
                return <object>found
        if self.tx.track and not self.private:
            self.tx.note(self.node, <PyObject*>key, KEY)
        guard = make_guard(node)
        guard.tx = self.tx
        guard.node = node
        guard.pos = self.pos.step(key)
        guard.flags = flags_below(guard.pos)
        if self.flags & (LIMITS | MARKED) or may_be_zone(key):
            guard.flags |= self.limits_below(key)
        guard.private = self.private
        guard.parent = <PyObject*>self
        guard.key = key
        guard.epoch = self.tx.epoch if self.tx.untouched() else -1
        self.remember(key, guard)
        return guard

    cdef object alias(self, object key, Guard other):
        """A guard on the node of `other`, seen at this place: same content, this place's rights."""
        cdef PyObject* found
        cdef Guard guard
        cdef Position pos = self.pos.step(key)
        if other.pos is pos:
            return other
        if self.kid is not None and self.kid.node is other.node and self.kid.pos is pos:
            return self.kid
        if self.kids is not None:
            found = PyDict_GetItemWithError(self.kids, key)
            if found is not NULL and (<Guard>found).node is other.node:
                return <object>found
        guard = make_guard(other.node)
        guard.tx = self.tx
        guard.node = other.node
        guard.pos = pos
        guard.flags = flags_below(pos) | other.flags & LIMITS | self.limits_below(key)
        guard.private = other.private
        guard.parent = other.parent
        guard.key = other.key
        guard.link = other.link
        guard.epoch = -1
        if self.tx.inspected:
            self.tx.keep(guard)     # no child: who gets here by the other way has to be noted
        else:
            self.remember(key, guard)
        return guard

    cdef object leaf(self, object key, object value):
        """A leaf for which `is_shown` holds, as the process gets it: behind a guard where it may be
        written, else as it is."""
        if (
            self.private or self.node.opaque or self.tx.pure
            or not (self.flags & WRITE or self.pos.step(key).flags & WRITE)
        ):
            return value
        return shown_by(value)(self, key)

    cdef object held_at(self, object key):
        """What is at a key now, pending or not, as it is held; the Tomb where there is nothing."""
        raise NotImplementedError

    cdef int replace(self, object key, object value) except -1:
        """Write a key that is there."""
        raise NotImplementedError

    cdef object raw(self, object key, object value):
        """A pending value as the process gets it back.

        The caller's own object where all of it may be read and written; otherwise it is taken in
        now and handed out behind a guard, so that the rest of the contract holds inside it too.
        An invariant gets an array as the commit will hold it, read-only.
        """
        cdef Position pos
        cdef Guard guard
        if is_shown(<PyObject*>value) and not self.node.opaque:
            return ingest(value, self.where_key(key)) if self.tx.inspected else self.leaf(key, value)
        if is_plain_leaf(value) or self.node.opaque or self.flags & READ and (self.flags & WRITE or not self.tx.pure):
            return value
        pos = self.pos.step(key)
        if pos.flags & READ and pos.flags & WRITE:
            return value
        held = ingest(value, self.where_key(key))
        if type(held) is not Node:
            return held
        guard = detached_guard(self, key, <Node>held)
        self.writable().over[key] = guard
        return guard

    cdef object plain(self):
        """A plain copy of the content, noted as read."""
        raise NotImplementedError

    cdef object incoming(self, object key, object value):
        """Check a value that is assigned; returns what to keep as pending."""
        if isinstance(value, Guard) and (<Guard>value).tx is self.tx:
            if is_above(<Guard>value, self):
                admit_cycle(self.where_key(key))
            return value
        value = guard_of(value)
        if isinstance(value, LeafGuard) and (<LeafGuard>value).stands_at(self, key):
            return self.held_at(key)
        if is_held(value):
            if isinstance(value, Guard) and (<Guard>value).tx.status != ACTIVE:
                (<Guard>value).tx.ended()
            return plain_of(value)
        admit(value, self.where_key(key))
        return value

    def __deepcopy__(self, memo):
        return self.plain()

    def __repr__(self):
        if self.tx.status != ACTIVE:
            return "<guard of a transaction that has ended>"
        return repr(self.plain())


cdef class LeafGuard(Held):
    """Base of the guards of leaves that could be changed in place, as arrays can: stands for what
    is at one place of one attempt. The first write makes a copy of the process's own there.

    Subclasses say what the leaf does, and give `_detach()`.
    """

    def __init__(self, Guard guard not None, key):
        self.guard = guard
        self.key = key

    cdef bint stands_at(self, Guard guard, object key) except -1:
        return self.guard is guard and self.key == key

    cdef object plain(self):
        return self._detach()

    def _detach(self):
        """The value as it may leave the transaction."""
        raise NotImplementedError

    def _held(self, kind):
        """What is at the place now. Raises TransactionStateError after the end of the attempt, and
        where the place has something else than a `kind` by now."""
        cdef Footprint tx = self.guard.tx
        if tx.status != ACTIVE:
            tx.ended()
        value = self.guard.held_at(self.key)
        if not isinstance(value, kind):
            raise self._replaced()
        return value

    def _replaced(self):
        """The error that says that the place has something else by now."""
        text = f"{format_path(self.guard.where_key(self.key))!r} was replaced or removed; read it again"
        return TransactionStateError(text, status="replaced", process=self.guard.tx.process)

    def _replace(self, value):
        """Make `value` what the place has; the contract and zones are asked."""
        self.guard.replace(self.key, value)


cdef object plain_guard(object guard):
    return (<Guard>guard).plain()


set_guard(Guard, plain_guard)


cdef Guard detached_guard(Guard parent, object key, Node node):
    """A guard on a node that is not part of the tree (a pending value)."""
    cdef Guard guard = make_guard(node)
    guard.tx = parent.tx
    guard.node = node
    guard.pos = parent.pos.step(key)
    guard.flags = flags_below(guard.pos) | parent.limits_below(key)
    guard.private = True
    guard.parent = <PyObject*>parent
    guard.key = key
    guard.epoch = -1
    parent.tx.keep(guard)
    return guard


cdef bint is_above(Guard guard, Guard place):
    """Whether `place` lies inside `guard` (or is it)."""
    cdef PyObject* at = <PyObject*>place
    while at is not NULL:
        if (<Guard>at).node is guard.node:
            return True
        at = (<Guard>at).parent
    return False


cdef int admit_cycle(tuple where) except -1:
    cycle = []
    cycle.append(cycle)
    admit(cycle, where)
    return 0
