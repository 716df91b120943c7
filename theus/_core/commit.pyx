"""The one commit path: what an attempt wants, checked against what has happened, installed.

Outside the lock `prepare` turns drafts into operations: it copies the new values in, drops
writes that change nothing (they count as reads instead: the value must still be the same), and
turns a container that replaces one of the same kind into changes of single keys.

`install` holds the store's mutex:

1. fence: does a ticket holder close what we write?
2. every read, every written key and every container passed through is no newer than the
   snapshot; commuting operations are computed on the newest value;
3. the own snapshot is released, so that it does not make records for nobody;
4. per operation: undo record (or moved stamp), stamps, value;
5. version + 1, one record in the log of deltas.

A failure before step 3 leaves no trace. Steps 3 to 5 run no user code: keys are builtin or
hashed by the standard library, replaced values are dropped after the lock.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.conflict cimport Ticket
from theus._core.delta cimport (
    OP_ADD, OP_CUT, OP_DEL, OP_DISCARD, OP_INCR, OP_ITEM, OP_LIST, OP_MIN, OP_MOVE, OP_SET,
    OP_TAIL, DeltaRecord, Link, Op, make_op,
)
from theus._core.fault cimport (
    INSTALL_OUTSIDE_LOCK, NO_ANCESTOR_CHECK, NO_READ_VALIDATION, STAMP_NOT_MOVED, planted,
)
from theus._core.footprint cimport ALL, DEEP, KEY, Draft, Footprint, Read
from theus._core.freeze cimport ingest, is_plain_leaf
from theus._core.guard cimport Guard
from theus._core.node cimport (
    LIST, MAP, SET, Era, Node, Tomb, Undo, index_changed, is_node, is_tomb, item_at, items_at,
    key_changed, keys_at, size_at, u64, value_at,
)
from theus._core.path cimport format_path
from theus._core.store cimport Snap, Store

import datetime
import decimal
import math
import time

from theus._core.guard_map import commute
from theus.errors import ConflictError, VersionTooOldError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    int PyGC_Disable()
    int PyGC_Enable()

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* result)
    int CLOCK_REALTIME

cdef enum Judgement:
    FRESH = 0
    CHANGED = 1
    FORGOTTEN = 2
    STALE = 3
    CLOSED = 4
    IDLE = 5

# What commuting operations may meet: types whose arithmetic runs no user code under the lock.
NUMBERS = frozenset((
    int, float, complex, bool, str, bytes, decimal.Decimal, datetime.datetime, datetime.date,
    datetime.timedelta,
))


@cython.final
@cython.freelist(32)
cdef class Plan:
    """Operations of one attempt, and the containers passed through on the way to them."""


# --- prepare ---------------------------------------------------------------------------------


cdef Plan prepare(Footprint tx):
    """Drafts -> operations. May run user code (records' accessors); takes no lock."""
    cdef Plan plan = Plan.__new__(Plan)
    cdef Draft draft
    cdef set cut
    cdef Py_ssize_t count
    plan.ops = []
    if tx.order is None:
        return plan
    plan.order = tx.order
    cut = find_cut(tx) if len(tx.order) > 1 else None
    for item in tx.order:
        draft = <Draft>item
        if draft.private or (cut and is_cut(<Guard>draft.guard, cut)):
            continue
        count = len(plan.ops)
        if draft.node.kind == LIST:
            prepare_list(tx, plan, draft)
        else:
            prepare_keys(tx, plan, draft)
        draft.idle = len(plan.ops) == count
        if not tx.track:
            add_checks(plan, <Guard>draft.guard)
    return plan


cdef int add_checks(Plan plan, Guard guard) except -1:
    """Where reads are not validated, the containers passed through still are."""
    if plan.checks is None:
        plan.checks = []
    while guard.parent is not NULL:
        plan.checks.append(((<Guard>guard.parent).node, guard.key))
        guard = <Guard>guard.parent
    return 0


cdef int stamp_trees(Plan plan, u64 ver) except -1:
    """Every container above a change gets the version as its tree stamp."""
    cdef PyObject* at
    for item in plan.order:
        if (<Draft>item).idle:
            continue
        at = <PyObject*>(<Draft>item).guard
        while at is not NULL:
            (<Guard>at).node.tree = ver
            at = (<Guard>at).parent
    if plan.inner is not None:
        for node in plan.inner:
            (<Node>node).tree = ver
    return 0


cdef set find_cut(Footprint tx):
    """Nodes of the snapshot that this attempt removes or replaces; None where there are none."""
    cdef set cut = set()
    cdef Draft draft
    cdef PyObject* base
    cdef Py_ssize_t index
    for item in tx.order:
        draft = <Draft>item
        if draft.private:
            continue
        if draft.node.kind != LIST:
            for key, value in draft.over.items():
                if type(value) is not Op:
                    base = value_at(draft.node, key, tx.ver)
                    if base is not NULL and is_node(base):
                        cut.add(<object>base)
            continue
        if draft.full is None and not draft.over and not draft.cut:
            continue
        kept = {id((<Guard>value).node) for value in draft.full or () if isinstance(value, Guard)}
        for index, value in enumerate(items_at(draft.node, tx.ver)):
            if type(value) is Node:
                if draft.full is not None:
                    gone = id(value) not in kept
                else:
                    gone = index in draft.over or (draft.cut and index >= draft.keep)
                if gone:
                    cut.add(value)
    return cut or None


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


cdef int prepare_keys(Footprint tx, Plan plan, Draft draft) except -1:
    cdef Node node = draft.node
    cdef Link link = (<Guard>draft.guard).get_link()
    cdef PyObject* base
    for key, value in draft.over.copy().items():
        if type(value) is Op:
            (<Op>value).link = link
            plan.ops.append(value)
            if (<Op>value).more is not None:
                plan.ops.extend((<Op>value).more)
            continue
        base = value_at(node, key, tx.ver)
        if type(value) is Tomb:
            if node.kind == SET:
                plan.ops.append(make_op(OP_DISCARD, node, link, key, None))
            elif base is not NULL:
                plan.ops.append(make_op(OP_DEL, node, link, key, None))
            continue
        if node.kind == SET:
            plan.ops.append(make_op(OP_ADD, node, link, key, True))
            continue
        new = take(node, value, link, key)
        if draft.moved is not None and key in draft.moved:
            plan.ops.append(make_op(OP_MOVE, node, link, key, new))
        elif base is NULL:
            plan.ops.append(make_op(OP_SET, node, link, key, new))
        elif same_leaf(<object>base, new):
            tx.note(node, <PyObject*>key, KEY)
        elif not replace_inside(tx, plan, node, link, key, <object>base, new):
            plan.ops.append(make_op(OP_SET, node, link, key, new))
    return 0


cdef bint replace_inside(
    Footprint tx, Plan plan, Node parent, Link link, object key, object old, object new
) except -1:
    """Turn the replacement of a container by one of the same kind into changes inside it.

    The whole old container counts as read then, so what is there after the commit is exactly
    the new value. False where the kinds or the order of keys do not fit.
    """
    cdef Link inner
    cdef Py_ssize_t before = len(plan.ops)
    if type(old) is not Node or type(new) is not Node or not comparable(<Node>old, <Node>new, tx.ver):
        return False
    inner = Link.__new__(Link)
    inner.parent = link
    inner.key = key
    tx.note(parent, <PyObject*>key, KEY)
    tx.note(<Node>old, NULL, DEEP)
    diff_nodes(tx, plan, inner, <Node>old, <Node>new)
    if len(plan.ops) != before:
        if plan.inner is None:
            plan.inner = []
        plan.inner.append(old)
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


cdef int diff_nodes(Footprint tx, Plan plan, Link link, Node old, Node new) except -1:
    cdef PyObject* base
    cdef PyObject* value
    cdef Py_ssize_t index
    if old.kind == LIST:
        for index in range(len(new.seq)):
            before = <object>item_at(old, index, tx.ver)
            after = new.seq[index]
            if not same_leaf(before, after) and not replace_inside(tx, plan, old, link, index, before, after):
                plan.ops.append(make_op(OP_ITEM, old, link, index, after))
        return 0
    for key in keys_at(old, tx.ver):
        value = PyDict_GetItemWithError(new.cur, key)
        if value is NULL:
            plan.ops.append(make_op(OP_DISCARD if old.kind == SET else OP_DEL, old, link, key, None))
            continue
        if old.kind == SET:
            continue
        base = value_at(old, key, tx.ver)
        if not same_leaf(<object>base, <object>value) and not replace_inside(
            tx, plan, old, link, key, <object>base, <object>value
        ):
            plan.ops.append(make_op(OP_SET, old, link, key, <object>value))
    for key, after in new.cur.items():
        if value_at(old, key, tx.ver) is NULL:
            plan.ops.append(make_op(OP_ADD if old.kind == SET else OP_SET, old, link, key, after))
    return 0


cdef int prepare_list(Footprint tx, Plan plan, Draft draft) except -1:
    cdef Node node = draft.node
    cdef Link link = (<Guard>draft.guard).get_link()
    cdef PyObject* base
    if draft.full is not None:
        return prepare_whole(tx, plan, draft, link)
    for index, value in draft.over.items():
        new = take(node, value, link, index)
        base = item_at(node, index, tx.ver)
        if same_leaf(<object>base, new):
            tx.note(node, <PyObject*>index, KEY)
        elif not replace_inside(tx, plan, node, link, index, <object>base, new):
            plan.ops.append(make_op(OP_ITEM, node, link, index, new))
    if draft.cut:
        plan.ops.append(make_op(OP_CUT, node, link, draft.keep, None))
    if draft.tail:
        plan.ops.append(
            make_op(OP_TAIL, node, link, None, [take(node, value, link, "*") for value in draft.tail])
        )
    return 0


cdef int prepare_whole(Footprint tx, Plan plan, Draft draft, Link link) except -1:
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
        plan.ops.append(make_op(OP_LIST, draft.node, link, None, new))
    return 0


# --- validate ----------------------------------------------------------------------------------


cdef bint loses_changes(Op op, u64 ver) except -1:
    """Whether the operation would replace or remove a container that changed inside."""
    cdef PyObject* value
    cdef Py_ssize_t index
    if op.node.kind != LIST:
        value = PyDict_GetItemWithError(op.node.cur, op.key)
        return value is not NULL and is_node(value) and (<Node>value).tree > ver
    if op.code == OP_ITEM:
        index = op.key
        if index >= len(op.node.seq):
            return True
        item = op.node.seq[index]
        return type(item) is Node and (<Node>item).tree > ver
    kept = {id(item) for item in op.new or () if type(item) is Node}
    for index in range(op.key if op.code == OP_CUT else 0, len(op.node.seq)):
        item = op.node.seq[index]
        if type(item) is Node and (<Node>item).tree > ver and id(item) not in kept:
            return True
    return False


cdef bint op_conflicts(Op op, u64 ver) except -1:
    cdef int code = op.code
    if code >= OP_INCR or code == OP_TAIL or op.node.tree <= ver:
        return False
    if loses_changes(op, ver):
        return True
    if op.node.mtime <= ver:
        return False
    if code == OP_ITEM:
        return index_changed(op.node, op.key, ver)
    if code == OP_CUT or code == OP_LIST:
        return True
    return key_changed(op.node, op.key, ver)


cdef bint read_stale(Read* read, u64 ver) except -1:
    cdef Node node = <Node>read.node
    if read.what == DEEP:
        return node.tree > ver
    if node.mtime <= ver:
        return False
    if read.what == KEY:
        if node.kind == LIST:
            return index_changed(node, <object>read.key, ver)
        return key_changed(node, <object>read.key, ver)
    return True if read.what == ALL else node.shape > ver


cdef bint is_stale(Footprint tx, Plan plan) except -1:
    """Whether anything read, passed through or written has changed since the snapshot."""
    cdef Py_ssize_t index
    for item in plan.ops:
        if op_conflicts(<Op>item, tx.ver):
            return True
    if planted() != NO_READ_VALIDATION:
        for index in range(tx.count):
            if read_stale(&tx.reads[index], tx.ver):
                if planted() == NO_ANCESTOR_CHECK and is_passage(plan, <Node>tx.reads[index].node, tx.reads[index].key):
                    continue
                return True
    if plan.checks is not None and planted() != NO_ANCESTOR_CHECK:
        for node, key in plan.checks:
            if (<Node>node).kind == LIST:
                if index_changed(<Node>node, key, tx.ver):
                    return True
            elif key_changed(<Node>node, key, tx.ver):
                return True
    return False


cdef bint is_passage(Plan plan, Node node, PyObject* key) except -1:
    """Whether a read is of a container passed through (for the planted bug only)."""
    cdef PyObject* value
    if key is NULL or node.kind == LIST:
        return False
    value = PyDict_GetItemWithError(node.cur, <object>key)
    return value is NULL or is_tomb(value) or is_node(value)


cdef int changed_since(Footprint tx, Plan plan, u64 version) except -1:
    """CAS with an integer version: FRESH, CHANGED or FORGOTTEN (not known any more).

    Exact as long as the log of deltas reaches back; O(commits since the version).
    """
    cdef Store store = tx.store
    cdef Op op, past
    cdef bint suspicious = False
    cdef set targets = set()
    cdef PyObject* value
    cdef Read* read
    cdef Py_ssize_t index
    for index in range(tx.count):
        read = &tx.reads[index]
        if read.what == KEY:
            targets.add((<Node>read.node, <object>read.key))
            suspicious = suspicious or (<Node>read.node).mtime > version
        elif read_stale(read, version):
            return CHANGED
    for item in plan.ops:
        op = <Op>item
        targets.add((op.node, op.key))
        if op.node.mtime > version:
            suspicious = True
        if op.node.kind != LIST and op.code <= OP_MOVE:
            value = PyDict_GetItemWithError(op.node.cur, op.key)
            if value is not NULL and is_node(value) and (<Node>value).tree > version:
                return CHANGED
    for node, key in plan.checks or ():
        targets.add((node, key))
        if (<Node>node).mtime > version:
            suspicious = True
    if not suspicious:
        return FRESH
    if version + 1 < store.history.first:
        return FORGOTTEN
    for record in store.history.records(version):
        for item in (<DeltaRecord>record).ops:
            past = <Op>item
            if (past.node, past.key) in targets:
                return CHANGED
            if past.code == OP_LIST or past.code == OP_CUT:
                if any(past.node is node for node, _ in targets):
                    return CHANGED
    return FRESH


cdef object explain(Footprint tx, Plan plan, u64 since):
    """(paths, other process) of what collided, from the log of deltas."""
    cdef Op past
    cdef dict wanted = {}
    cdef Py_ssize_t index
    cdef list paths = []
    other = None
    for item in plan.ops:
        wanted.setdefault((<Op>item).node, set()).add((<Op>item).key)
    for index in range(tx.count):
        key = None if tx.reads[index].what != KEY else <object>tx.reads[index].key
        wanted.setdefault(<object>tx.reads[index].node, set()).add(key)
    for node, key in plan.checks or ():
        wanted.setdefault(node, set()).add(key)
    for record in tx.store.history.records(since):
        for item in (<DeltaRecord>record).ops:
            past = <Op>item
            keys = wanted.get(past.node)
            if keys is not None and (None in keys or past.key is None or past.key in keys):
                text = format_path(past.path)
                if text not in paths:
                    paths.append(text)
                if other is None or other == tx.process:
                    other = (<DeltaRecord>record).process
    return tuple(paths), other


cdef object conflict_error(Footprint tx, Plan plan, u64 since, bint too_old):
    paths, other = explain(tx, plan, since)
    shown = ", ".join(paths[:5]) + (" ..." if len(paths) > 5 else "") if paths else "the state"
    who = f"process {tx.process!r}" if tx.process else "this transaction"
    by = f" by {other!r}" if other else ""
    cls = VersionTooOldError if too_old else ConflictError
    reason = (
        f"version {since} is older than the log of changes reaches (it begins with {tx.store.history.first})"
        if too_old else f"{shown} changed{by} since version {since} (now {tx.store.ver})"
    )
    return cls(
        f"CAS Version Mismatch: {who} cannot commit, {reason}. Nothing was changed; run it again on "
        f"the new state.",
        paths=paths, process=tx.process, other=other, snapshot=since, current=tx.store.ver,
    )


# --- install ---------------------------------------------------------------------------------


cdef double now() noexcept:
    cdef timespec moment
    clock_gettime(CLOCK_REALTIME, &moment)
    return moment.tv_sec + moment.tv_nsec * 1e-9


cdef int drop_idle(Plan plan) except -1:
    """Leave out commuting operations that change nothing on the newest content."""
    cdef Op op
    cdef PyObject* value
    cdef list kept = []
    cdef Op chained = None
    for item in plan.ops:
        op = <Op>item
        if op.more is not None:
            chained = op
        if op.code >= OP_INCR and (
            chained is None or op.node is not chained.node or op.key != chained.key
        ):
            value = PyDict_GetItemWithError(op.node.cur, op.key)
            there = value is not NULL and not is_tomb(value)
            if op.code == OP_ADD and there or op.code == OP_DISCARD and not there:
                continue
            if op.code < OP_ADD and there and same_leaf(<object>value, op.value):
                continue
        kept.append(op)
    plan.ops = kept
    return 0


cdef bint compute(Plan plan) except -1:
    """Values of commuting operations on the newest content; whether there are any.

    May refuse; changes nothing.
    """
    cdef Op op
    cdef Op before = None
    cdef bint some = False
    cdef PyObject* value
    for item in plan.ops:
        op = <Op>item
        if op.code < OP_LIST:
            op.value = op.new
        elif OP_INCR <= op.code <= OP_MIN:
            value = PyDict_GetItemWithError(op.node.cur, op.key)
            old = Tomb.__new__(Tomb) if value is NULL else <object>value
            if before is not None and before.node is op.node and before.key == op.key:
                old = before.value
            before = op
            if type(old) is not Tomb and type(old) not in NUMBERS:
                raise TypeError(
                    f"cannot combine {type(old).__name__} at {format_path(op.path)!r} with "
                    f"{type(op.new).__name__}: not a number, date or text"
                )
            op.value = commute(op.code, old, op.new, op.path)
            some = True
        else:
            op.value = (<list>op.new).copy() if op.code == OP_LIST else op.new
            some = some or op.code != OP_LIST
    return some


cdef int install(Footprint tx, Plan plan, object chain, u64 asserted, bint strict) except -1:
    """Validate and install. Returns DONE or FENCED; raises ConflictError with what collided.

    `chain` is the attempt chain that may pass its own fence; `asserted` a version the caller
    relies on (0: none), `strict` whether any change since then refuses.
    """
    cdef Store store = tx.store
    cdef DeltaRecord record
    cdef int verdict = FRESH
    trash = None
    cdef bint collecting
    record = DeltaRecord.__new__(DeltaRecord)
    record.process = tx.process
    record.time = now()
    collecting = PyGC_Disable() != 0
    try:
        with store.mutex:
            verdict = judge(tx, plan, chain, asserted, strict)
            if verdict == FRESH and planted() != INSTALL_OUTSIDE_LOCK:
                trash = apply_all(store, tx.snap, plan, record)
        if verdict == FRESH and planted() == INSTALL_OUTSIDE_LOCK:
            time.sleep(0)
            with store.mutex:
                trash = apply_all(store, tx.snap, plan, record)
    finally:
        if collecting:
            PyGC_Enable()
    if verdict == CLOSED:
        return FENCED
    if verdict == IDLE:
        plan.version = tx.ver
        return release(tx, plan)
    if verdict != FRESH:
        raise conflict_error(tx, plan, tx.ver if verdict == STALE else asserted, verdict == FORGOTTEN)
    return DONE


cdef int release(Footprint tx, Plan plan) except -1:
    """A commit without changes of the state: only what it sends takes its place in the order."""
    cdef Store store = tx.store
    if plan.effects is not None:
        with store.mutex:
            store.outgoing.append((store.ver, plan.effects))
    return 0


cdef int judge(Footprint tx, Plan plan, object chain, u64 asserted, bint strict) except -1:
    """Whether the attempt may be installed; under the mutex, which it keeps."""
    cdef Store store = tx.store
    cdef Ticket fence = store.fence
    cdef int verdict = FRESH
    if fence is not None and fence.chain is not chain and fence.blocks(plan.ops):
        return CLOSED
    if asserted:
        if asserted > store.ver or (strict and store.ver != asserted):
            verdict = CHANGED
        else:
            verdict = changed_since(tx, plan, asserted)
    if verdict == FRESH and is_stale(tx, plan):
        verdict = STALE
    if verdict != FRESH:
        store.conflicts += 1
        return verdict
    if compute(plan):
        drop_idle(plan)
    if not plan.ops:
        return IDLE
    if store.alive > (0 if tx.snap.gone else 1) and not store.reserve(record_count(plan)):
        raise MemoryError()
    return FRESH


cdef Py_ssize_t record_count(Plan plan) except -1:
    """Upper bound of the undo records and eras that the operations can make."""
    cdef Py_ssize_t count = 2
    cdef Op op
    for item in plan.ops:
        op = <Op>item
        count += 2
        if op.code == OP_CUT:
            count += len(op.node.seq)
    return count


cdef object apply_all(Store store, Snap own, Plan plan, DeltaRecord record):
    """Install everything; returns what to drop after the lock."""
    cdef u64 ver = store.ver + 1
    cdef Op op
    cdef list trash = None
    if own is not None and not own.gone:
        store.unlink(own)
    record.held = plan.ops[0] if len(plan.ops) == 1 else plan.ops
    stamp_trees(plan, ver)
    for item in plan.ops:
        op = <Op>item
        op.node.tree = ver
        apply_op(store, op, ver)
        op.value = None
        if op.node.opaque:
            if trash is None:
                trash = []
            trash.append((op.old, op.new))
            op.old = None
            op.new = None
    record.version = ver
    plan.version = ver
    store.ver = ver
    store.commits += 1
    evicted = store.history.append(record)
    if plan.effects is not None:
        store.outgoing.append((ver, plan.effects))
    if store.log_at < len(store.log):
        if trash is None:
            trash = []
        store.prune(2 * len(plan.ops) + 8, trash)
    return (evicted, trash)


cdef int apply_op(Store store, Op op, u64 ver) except -1:
    cdef int code = op.code
    if code == OP_ITEM:
        op.old = op.node.seq[op.key]
        set_item(store, op.node, op.key, op.value, ver)
    elif code == OP_TAIL:
        extend_list(store, op.node, op.value, ver)
    elif code == OP_CUT:
        cut_list(store, op, ver)
    elif code == OP_LIST:
        replace_list(store, op, ver)
    elif code == OP_DEL or code == OP_DISCARD:
        delete_key(store, op, ver)
    else:
        set_key(store, op, ver)
    return 0


cdef int keep_old(Store store, Node node, object key, object old, u64 ver, u64 since) except -1:
    """Remember `old` for the snapshots that see it, and stamp the key.

    The newest record of the key is moved instead of making a new one where no living snapshot
    lies between it and now; `since` forbids that for records older than it (lists).
    """
    cdef PyObject* found = NULL
    cdef Undo record, older
    if node.undo is not None:
        found = PyDict_GetItemWithError(node.undo, key)
    if found is not NULL and (<Undo>found).ver > since and (
        store.newest is NULL or (<Snap>store.newest).ver < (<Undo>found).ver
    ):
        (<Undo>found).ver = ver
    elif store.oldest is not NULL:
        record = Undo.__new__(Undo)
        record.ver = ver
        record.node = node
        record.key = key
        record.old = old
        if found is not NULL:
            older = <Undo>found
            record.older = older
            older.newer = <PyObject*>record
        if node.undo is None:
            node.undo = {}
        node.undo[key] = record
        store.enlist(record, ver)
    else:
        node.floor = ver
    if planted() != STAMP_NOT_MOVED:
        node.mtime = ver
    return 0


cdef int keep_order(Store store, Node node, u64 ver) except -1:
    """Remember the order of the keys for older snapshots, before one moves to the end."""
    cdef Era era
    if store.oldest is not NULL:
        era = Era.__new__(Era)
        era.ver = ver
        era.items = list(node.cur)
        era.node = node
        era.older = node.eras
        node.eras = era
        store.enlist(era, ver)
    return 0


# Replaced values stay alive in `op.old` or in the trash, so nothing is destroyed under the lock.


cdef int set_key(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    cdef object key = op.key
    cdef PyObject* found = PyDict_GetItemWithError(node.cur, key)
    cdef bint there = found is not NULL and not is_tomb(found)
    if op.code == OP_ADD and there:
        op.old = True
        return 0
    old = Tomb.__new__(Tomb) if found is NULL else <object>found
    op.old = old
    keep_old(store, node, key, old, ver, 0)
    if found is NULL:
        node.shape = ver
        if not node.odd and node.kind == MAP and key in store.reserved:
            node.odd = True
    elif not there or op.code == OP_MOVE:
        node.shape = ver
        keep_order(store, node, ver)
        del node.cur[key]
        if not there:
            node.tombs -= 1
    node.cur[key] = op.value
    return 0


cdef int delete_key(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    cdef object key = op.key
    cdef PyObject* found = PyDict_GetItemWithError(node.cur, key)
    if found is NULL or is_tomb(found):
        return 0
    old = <object>found
    op.old = old
    keep_old(store, node, key, old, ver, 0)
    node.shape = ver
    if store.oldest is not NULL:
        node.cur[key] = Tomb.__new__(Tomb)
        node.tombs += 1
    else:
        del node.cur[key]
    return 0


cdef u64 last_structural(Node node) noexcept:
    """Version of the newest era that kept a whole list; 0 where there is none."""
    cdef Era era = node.eras
    while era is not None:
        if era.items is not None:
            return era.ver
        era = era.older
    return 0


cdef int set_item(Store store, Node node, Py_ssize_t index, object value, u64 ver) except -1:
    old = node.seq[index]
    keep_old(store, node, index, old, ver, last_structural(node))
    node.seq[index] = value
    return 0


cdef int keep_length(Store store, Node node, u64 ver, list items) except -1:
    """Remember length (and content, where `items` is given) for older snapshots."""
    cdef Era era
    cdef u64 newest
    if store.oldest is NULL:
        return 0
    newest = (<Snap>store.newest).ver
    if items is None:
        if node.eras is not None and node.eras.ver > newest:
            return 0
    elif last_structural(node) > newest:
        return 0
    era = Era.__new__(Era)
    era.ver = ver
    era.length = len(node.seq)
    era.items = items
    era.node = node
    era.older = node.eras
    node.eras = era
    store.enlist(era, ver)
    return 0


cdef int extend_list(Store store, Node node, list values, u64 ver) except -1:
    keep_length(store, node, ver, None)
    node.shape = ver
    node.mtime = ver
    node.seq.extend(values)
    return 0


cdef int cut_list(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    cdef Py_ssize_t index, keep = op.key
    cdef u64 since = last_structural(node)
    keep_length(store, node, ver, None)
    for index in range(keep, len(node.seq)):
        keep_old(store, node, index, node.seq[index], ver, since)
    op.old = node.seq[keep:]
    node.shape = ver
    node.mtime = ver
    del node.seq[keep:]
    return 0


cdef int replace_list(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    op.old = node.seq
    keep_length(store, node, ver, node.seq)
    node.order = ver
    node.shape = ver
    node.mtime = ver
    node.seq = op.value
    return 0
