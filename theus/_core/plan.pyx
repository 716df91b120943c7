"""The first half of a commit: what an attempt wants, as operations.

`prepare` turns drafts into operations: it copies the new values in, drops writes that change
nothing (they count as reads instead: the value must still be the same), and turns a container
that replaces one of the same kind into changes of single keys. It takes no lock and changes
nothing but the attempt itself.
"""

from cpython.object cimport PyObject
from theus._core.delta cimport (
    OP_ADD, OP_CUT, OP_DEL, OP_DISCARD, OP_ITEM, OP_LIST, OP_MOVE, OP_SET, OP_TAIL, Link, Op, make_op,
)
from theus._core.footprint cimport Draft, Footprint
from theus._core.freeze cimport ingest, is_plain_leaf
from theus._core.guard cimport Guard
from theus._core.log cimport ALL, DEEP, KEY
from theus._core.node cimport (
    LIST, SET, Node, Tomb, is_node, item_at, items_at, keys_at, size_at, u64, value_at,
)

import math

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyDict_Next(object d, Py_ssize_t* pos, PyObject** k, PyObject** v)
    bint PyUnicode_CheckExact(object)


cdef int prepare(Footprint tx) except -1:
    """Drafts -> operations. May run user code (records' accessors); takes no lock."""
    cdef Draft draft
    cdef set cut = None
    cdef dict places = None
    tx.drop_ops()
    tx.prepared = True
    tx.rules = tx.store.rules
    tx.inner = None
    tx.checks = None
    tx.sole = None
    if tx.lone is not None:
        if plan_single(tx, <Guard>tx.lone, tx.lone_key, tx.lone_value):
            return 0
        tx.settle_lone()
    draft = tx.first
    if draft is not None and draft.next is not None:
        cut = find_cut(tx)
        places = find_shifted(tx)
    while draft is not None:
        if places is None or draft.node not in places:
            prepare_draft(tx, draft, cut, places)
        draft = draft.next
    if places is not None:
        for item in sorted(places.values(), key=_depth_of, reverse=True):
            prepare_draft(tx, (<_Shift>item).draft, cut, places)
    return 0


cdef int prepare_draft(Footprint tx, Draft draft, set cut, dict places) except -1:
    cdef Guard guard = <Guard>draft.guard
    cdef Py_ssize_t before = tx.op_count
    cdef Link link
    draft.idle = True
    if draft.private or (cut is not None and is_cut(guard, cut)):
        return 0
    link = guard.get_link() if places is None else link_then(tx, guard, places)
    if draft.node.kind == LIST:
        prepare_list(tx, draft, link)
    else:
        prepare_keys(tx, draft, link)
    draft.idle = tx.op_count == before
    if not tx.track and has_pending(draft):
        add_checks(tx, guard)
    return 0


cdef class _Shift:
    """A list whose items may have other places after the commit."""

    cdef Draft draft
    cdef dict places      # id of a container in it -> its index in the snapshot
    cdef Py_ssize_t depth


cdef dict find_shifted(Footprint tx):
    """Lists with structural changes, by node; None where there are none.

    Operations name places of the snapshot, in an order in which they are right one after the
    other: those inside such a list come before its own, which are done deepest first.
    """
    cdef dict found = None
    cdef Draft draft = tx.first
    cdef Guard guard
    cdef _Shift shift
    while draft is not None:
        if draft.full is not None and not draft.private:
            shift = _Shift.__new__(_Shift)
            shift.draft = draft
            shift.places = {
                id(item): index
                for index, item in enumerate(items_at(draft.node, tx.ver)) if type(item) is Node
            }
            guard = <Guard>draft.guard
            while guard.parent is not NULL:
                shift.depth += 1
                guard = <Guard>guard.parent
            if found is None:
                found = {}
            found[draft.node] = shift
        draft = draft.next
    return found


def _depth_of(_Shift shift not None):
    """How far below the root a list is."""
    return shift.depth


cdef Link link_then(Footprint tx, Guard guard, dict places):
    """The way to a container in the snapshot. Items of lists may have been reached by the place
    that they have now."""
    cdef Guard parent
    cdef Link link
    if guard.parent is NULL:
        return guard.get_link()
    parent = <Guard>guard.parent
    link = Link.__new__(Link)
    link.parent = link_then(tx, parent, places)
    link.key = guard.key
    shift = places.get(parent.node)
    if shift is not None:
        link.key = (<_Shift>shift).places.get(id(guard.node), guard.key)
    return link


cdef bint plan_single(Footprint tx, Guard guard, object key, object value) except -1:
    """The whole plan of an attempt that writes nothing but this: one key of a mapping, a leaf.

    The operation that a draft would come to, without one. False, and nothing done, in every other
    case. The caller has asked for the right to write.
    """
    cdef Node node = guard.node
    cdef PyObject* base
    if tx.first is not None or not tx.track or guard.private or node.opaque or not is_plain_leaf(value):
        return False
    base = value_at(node, key, tx.ver)
    if not PyUnicode_CheckExact(key) or base is not NULL and is_node(base):
        return False
    tx.drop_ops()
    tx.prepared = True
    tx.rules = tx.store.rules
    if base is not NULL and same_leaf(<object>base, value):
        tx.note(node, <PyObject*>key, KEY)
    else:
        tx.add_op(make_op(OP_SET, node, guard.get_link(), key, value))
    tx.sole = guard
    return True


cdef bint has_pending(Draft draft) except -1:
    """Whether anything was written that has not been rolled back."""
    return len(draft.over) > 0 or draft.full is not None or draft.cut or bool(draft.tail)


cdef int add_checks(Footprint tx, Guard guard) except -1:
    """Where reads are not validated, the containers passed through still are."""
    if tx.checks is None:
        tx.checks = []
    while guard.parent is not NULL:
        tx.checks.append(((<Guard>guard.parent).node, guard.key))
        guard = <Guard>guard.parent
    if guard.key is not None and not guard.node.opaque:
        tx.checks.append((tx.store.root, guard.key))
    return 0


cdef set find_cut(Footprint tx):
    """Nodes of the snapshot that this attempt removes or replaces; None where there are none."""
    cdef set cut = set()
    cdef Draft draft = tx.first
    cdef PyObject* base
    while draft is not None:
        if draft.private:
            pass
        elif draft.node.kind == LIST:
            add_cut_items(tx, draft, cut)
        else:
            for key, value in draft.over.items():
                if type(value) is not Op:
                    base = value_at(draft.node, key, tx.ver)
                    if base is not NULL and is_node(base):
                        cut.add(<object>base)
        draft = draft.next
    return cut or None


cdef int add_cut_items(Footprint tx, Draft draft, set cut) except -1:
    cdef Py_ssize_t index
    cdef bint gone
    if draft.full is None and not draft.over and not draft.cut:
        return 0
    kept = {id((<Guard>value).node) for value in draft.full or () if isinstance(value, Guard)}
    for index, value in enumerate(items_at(draft.node, tx.ver)):
        if type(value) is Node:
            if draft.full is not None:
                gone = id(value) not in kept
            else:
                gone = index in draft.over or (draft.cut and index >= draft.keep)
            if gone:
                cut.add(value)
    return 0


cdef bint is_cut(Guard guard, set cut) except -1:
    cdef PyObject* at = <PyObject*>guard
    while at is not NULL:
        if (<Guard>at).node in cut:
            return True
        at = (<Guard>at).parent
    return False


cdef object take(Node node, object value, Link link, object key):
    """A pending value as the tree holds it: leaf or new node; as it is in an opaque area."""
    if is_plain_leaf(value) or node.opaque:
        return value
    return ingest(value, link.path() + (key,))


cdef bint same_leaf(object a, object b) except -1:
    """Whether replacing `a` by `b` changes nothing."""
    cdef Py_ssize_t index
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) is tuple:
        if len(<tuple>a) != len(<tuple>b):
            return False
        for index in range(len(<tuple>a)):
            if not same_leaf((<tuple>a)[index], (<tuple>b)[index]):
                return False
        return True
    if type(a) is float:
        return a == b and (a != 0.0 or math.copysign(1.0, a) == math.copysign(1.0, b))
    return is_plain_leaf(a) and a == b


cdef int prepare_keys(Footprint tx, Draft draft, Link link) except -1:
    cdef PyObject* found = NULL
    cdef PyObject* pending = NULL
    cdef Py_ssize_t at = 0
    if len(draft.over) == 1:
        PyDict_Next(draft.over, &at, &found, &pending)
        key, value = <object>found, <object>pending
        return prepare_key(tx, draft, link, key, value)
    for key, value in draft.over.copy().items():
        prepare_key(tx, draft, link, key, value)
    return 0


cdef int prepare_key(Footprint tx, Draft draft, Link link, object key, object value) except -1:
    cdef Node node = draft.node
    cdef PyObject* base
    if type(value) is Op:
        (<Op>value).link = link
        tx.add_op(<Op>value)
        if (<Op>value).more is not None:
            for item in (<Op>value).more:
                tx.add_op(<Op>item)
        return 0
    base = value_at(node, key, tx.ver)
    if type(value) is Tomb:
        if node.kind == SET:
            tx.add_op(make_op(OP_DISCARD, node, link, key, None))
        elif base is not NULL:
            tx.add_op(make_op(OP_DEL, node, link, key, None))
        return 0
    if node.kind == SET:
        tx.add_op(make_op(OP_ADD, node, link, key, True))
        return 0
    new = take(node, value, link, key)
    if draft.moved is not None and key in draft.moved:
        tx.add_op(make_op(OP_MOVE, node, link, key, new))
    elif base is NULL:
        tx.add_op(make_op(OP_SET, node, link, key, new))
    elif same_leaf(<object>base, new):
        tx.note(node, <PyObject*>key, KEY)
    elif not is_node(base) or not replace_inside(tx, node, link, key, <object>base, new):
        tx.add_op(make_op(OP_SET, node, link, key, new))
    return 0


cdef bint replace_inside(
    Footprint tx, Node parent, Link link, object key, object old, object new
) except -1:
    """Turn the replacement of a container by one of the same kind into changes inside it.

    The whole old container counts as read then, so what is there after the commit is exactly
    the new value. False where the kinds or the order of keys do not fit.
    """
    cdef Link inner
    cdef Py_ssize_t before = tx.op_count
    if type(old) is not Node or type(new) is not Node or not comparable(<Node>old, <Node>new, tx.ver):
        return False
    inner = Link.__new__(Link)
    inner.parent = link
    inner.key = key
    tx.note(parent, <PyObject*>key, KEY)
    tx.note(<Node>old, NULL, DEEP)
    diff_nodes(tx, inner, <Node>old, <Node>new)
    if tx.op_count != before:
        if tx.inner is None:
            tx.inner = []
        tx.inner.append(old)
    return True


cdef bint comparable(Node old, Node new, u64 ver) except -1:
    cdef list before
    cdef Py_ssize_t at = 0
    if old.kind != new.kind or old.rule is not new.rule:
        return False
    if old.kind == LIST:
        return size_at(old, ver) == len(new.seq)
    if old.kind == SET:
        return True
    before = [key for key in keys_at(old, ver) if key in new.cur]
    for key in new.cur:
        if at == len(before):
            break
        if key != before[at]:
            return False
        at += 1
    return True


cdef int diff_nodes(Footprint tx, Link link, Node old, Node new) except -1:
    cdef PyObject* base
    cdef PyObject* value
    cdef Py_ssize_t index
    if old.kind == LIST:
        for index in range(len(new.seq)):
            before = <object>item_at(old, index, tx.ver)
            after = new.seq[index]
            if not same_leaf(before, after) and not replace_inside(tx, old, link, index, before, after):
                tx.add_op(make_op(OP_ITEM, old, link, index, after))
        return 0
    for key in keys_at(old, tx.ver):
        value = PyDict_GetItemWithError(new.cur, key)
        if value is NULL:
            tx.add_op(make_op(OP_DISCARD if old.kind == SET else OP_DEL, old, link, key, None))
            continue
        if old.kind == SET:
            continue
        base = value_at(old, key, tx.ver)
        if not same_leaf(<object>base, <object>value) and not replace_inside(
            tx, old, link, key, <object>base, <object>value
        ):
            tx.add_op(make_op(OP_SET, old, link, key, <object>value))
    for key, after in new.cur.items():
        if value_at(old, key, tx.ver) is NULL:
            tx.add_op(make_op(OP_ADD if old.kind == SET else OP_SET, old, link, key, after))
    return 0


cdef int prepare_list(Footprint tx, Draft draft, Link link) except -1:
    cdef Node node = draft.node
    cdef PyObject* base
    if draft.full is not None:
        return prepare_whole(tx, draft, link)
    for index, value in draft.over.items():
        new = take(node, value, link, index)
        base = item_at(node, index, tx.ver)
        if same_leaf(<object>base, new):
            tx.note(node, <PyObject*>index, KEY)
        elif not replace_inside(tx, node, link, index, <object>base, new):
            tx.add_op(make_op(OP_ITEM, node, link, index, new))
    if draft.cut:
        tx.add_op(make_op(OP_CUT, node, link, draft.keep, None))
    if draft.tail:
        tx.add_op(
            make_op(OP_TAIL, node, link, None, [take(node, value, link, "*") for value in draft.tail])
        )
    return 0


cdef int prepare_whole(Footprint tx, Draft draft, Link link) except -1:
    """A list after structural changes: items that are still its own keep their nodes."""
    cdef list old = items_at(draft.node, tx.ver)
    cdef set own = {id(value) for value in old if type(value) is Node}
    cdef list new = []
    cdef bint same
    for value in draft.full:
        if isinstance(value, Guard) and id((<Guard>value).node) in own:
            own.discard(id((<Guard>value).node))
            new.append((<Guard>value).node)
        else:
            new.append(take(draft.node, value, link, "*"))
    same = len(old) == len(new)
    if same:
        for before, after in zip(old, new):
            if before is not after and not same_leaf(before, after):
                same = False
                break
    if same:
        tx.note(draft.node, NULL, ALL)
    else:
        tx.add_op(make_op(OP_LIST, draft.node, link, None, new))
    return 0
