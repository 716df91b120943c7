"""Changes of the tree by the operations of a commit, and their undoing. Called by `commit` only.

Under the store's mutex. Each operation makes sure of its memory before it changes a value:
undo record (or moved stamp) first, then the value. Replaced values stay alive in `op.old` or in
the trash, so nothing is destroyed under the lock.
"""

from cpython.object cimport PyObject
from theus._core.delta cimport (
    OP_ADD, OP_CUT, OP_DEL, OP_DISCARD, OP_ITEM, OP_LIST, OP_MOVE, OP_TAIL, Op,
)
from theus._core.fault cimport STAMP_NOT_MOVED, planted
from theus._core.footprint cimport Footprint
from theus._core.node cimport MAP, Era, Node, Tomb, Undo, is_tomb, u64
from theus._core.store cimport Store

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

cdef enum:
    BROKEN = -1


cdef int apply_ops(Footprint tx, u64 ver) except -1:
    """Do the operations. Where memory runs out in one of them, that one changes no value."""
    cdef Store store = tx.store
    cdef Py_ssize_t index
    cdef bint deleted = False, opaque = False
    cdef Op op
    if store.log_at < store.log_end and tx.trash is None:
        tx.trash = []
    for index in range(tx.op_count):
        op = tx.op_at(index)
        op.node.tree = ver
        apply_op(store, op, ver)
        store.halfway = index + 1
        op.value = None
        deleted = deleted or op.code == OP_DEL or op.code == OP_DISCARD
        opaque = opaque or op.node.opaque
    store.halfway = 0
    if deleted and (store.oldest is NULL or store.alive == 0):
        sweep(tx)
    if opaque:
        forget_heavy(tx)
    return 0


cdef int take_back(Footprint tx) except -1:
    """Undo the operations that are done, newest first; no memory is needed for it.

    Keys that moved cannot go back to their place: then the store stays marked as broken.
    """
    cdef Store store = tx.store
    cdef Py_ssize_t index, done = store.halfway
    cdef bint moved = done < 0
    cdef Op op
    store.halfway = BROKEN
    for index in range(done - 1, -1, -1):
        op = tx.op_at(index)
        moved = moved or op.code == OP_MOVE
        restore(store, op)
    if not moved:
        store.halfway = 0
    return 0


cdef int restore(Store store, Op op) except -1:
    """The content before one operation."""
    cdef Node node = op.node
    cdef int code = op.code
    if code == OP_ITEM:
        node.seq[op.key] = op.old
    elif code == OP_TAIL:
        for _ in range(len(<list>op.new)):
            node.seq.pop()
    elif code == OP_CUT:
        node.seq.extend(op.old)
    elif code == OP_LIST:
        node.seq = op.old
    elif code == OP_DEL or code == OP_DISCARD:
        if type(op.old) is not Tomb:
            node.cur[op.key] = op.old
            node.tombs -= 1
    elif type(op.old) is Tomb:
        del node.cur[op.key]
    elif code != OP_ADD:
        node.cur[op.key] = op.old
    return 0


cdef int sweep(Footprint tx) except -1:
    """Nobody can see deleted keys any more: they leave no mark."""
    cdef Py_ssize_t index
    cdef PyObject* value
    cdef Op op
    for index in range(tx.op_count):
        op = tx.op_at(index)
        if (op.code == OP_DEL or op.code == OP_DISCARD) and (tx.store.oldest is NULL or op.node.opaque):
            value = PyDict_GetItemWithError(op.node.cur, op.key)
            if value is not NULL and is_tomb(value):
                del op.node.cur[op.key]
                op.node.tombs -= 1
    return 0


cdef int forget_heavy(Footprint tx) noexcept:
    """Objects of the heavy zone are not kept in the log, which the garbage collector does not walk;
    they go when the transaction ends. Where there is no memory for that, they stay."""
    cdef Py_ssize_t index
    cdef Op op
    try:
        if tx.trash is None:
            tx.trash = []
        for index in range(tx.op_count):
            op = tx.op_at(index)
            if op.node.opaque:
                tx.trash.append((op.old, op.new))
                op.old = None
                op.new = None
                op.node = tx.store.mark
    except MemoryError:
        pass
    return 0


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
        store.newest is NULL or store.newest_seen() < (<Undo>found).ver
    ):
        (<Undo>found).ver = ver
    elif store.oldest is not NULL and (store.alive > 0 or not node.opaque):
        record = Undo.__new__(Undo)
        record.ver = ver
        record.node = node
        record.key = key
        record.old = old
        if node.undo is None:
            node.undo = {}
        older = None if found is NULL else <Undo>found
        node.undo[key] = record
        if older is not None:
            record.older = older
            older.newer = <PyObject*>record
        store.enlist(record, ver)
    else:
        node.floor = ver
    if planted() != STAMP_NOT_MOVED:
        node.mtime = ver
    return 0


cdef int keep_order(Store store, Node node, u64 ver) except -1:
    """Remember the order of the keys for older snapshots, before one moves to the end."""
    cdef Era era
    if store.oldest is not NULL and (node.eras is None or node.eras.ver <= store.newest_seen()):
        era = Era.__new__(Era)
        era.ver = ver
        era.items = list(node.cur)
        era.node = node
        era.older = node.eras
        node.eras = era
        store.enlist(era, ver)
    return 0


cdef int set_key(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    cdef object key = op.key
    cdef PyObject* found = PyDict_GetItemWithError(node.cur, key)
    cdef bint there = found is not NULL and not is_tomb(found)
    if op.code == OP_ADD and there:
        op.old = True
        return 0
    if there and op.code != OP_MOVE:
        op.old = <object>found
        keep_old(store, node, key, op.old, ver, 0)
        node.cur[key] = op.value
        return 0
    node.shape = ver
    if found is not NULL:
        keep_order(store, node, ver)
    if there:
        op.old = <object>found
        keep_old(store, node, key, op.old, ver, 0)
        return move_to_end(store, op)
    op.old = store.absent
    if found is not NULL:
        del node.cur[key]
        node.tombs -= 1
    elif not node.odd and node.kind == MAP and key in store.reserved:
        node.odd = True
    node.cur[key] = op.value
    try:
        keep_old(store, node, key, op.old, ver, 0)
    except MemoryError:
        del node.cur[key]
        raise
    return 0


cdef int move_to_end(Store store, Op op) except -1:
    """The key goes and comes back as the last one."""
    cdef Py_ssize_t done = store.halfway
    store.halfway = BROKEN
    del op.node.cur[op.key]
    op.node.cur[op.key] = op.value
    store.halfway = done
    return 0


cdef int delete_key(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    cdef object key = op.key
    cdef PyObject* found = PyDict_GetItemWithError(node.cur, key)
    if found is NULL or is_tomb(found):
        op.old = store.absent
        return 0
    op.old = <object>found
    keep_old(store, node, key, op.old, ver, 0)
    node.shape = ver
    node.tombs += 1
    node.cur[key] = store.absent
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
    newest = store.newest_seen()
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
    node.seq.extend(values)
    node.shape = ver
    node.mtime = ver
    return 0


cdef int cut_list(Store store, Op op, u64 ver) except -1:
    cdef Node node = op.node
    cdef Py_ssize_t index, keep = op.key
    cdef u64 since = last_structural(node)
    op.old = node.seq[keep:]
    keep_length(store, node, ver, None)
    for index in range(keep, len(node.seq)):
        keep_old(store, node, index, node.seq[index], ver, since)
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
