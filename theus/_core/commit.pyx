"""The second half of a commit, and the one way into the state: validate, install.

`install` holds the store's mutex:

1. fence: does a ticket holder close what we write?
2. every read, every written key and every container passed through is no newer than the
   snapshot; commuting operations are computed on the newest value;
3. the own snapshot is released, so that it does not make records for nobody;
4. per operation: undo record (or moved stamp), stamps, value;
5. version + 1, one record in the log of deltas.

A failure before step 3 leaves no trace, and what is done in step 4 is taken back if memory runs
out. Steps 3 to 5 run no user code: keys are builtin or hashed by the standard library, replaced
values are dropped after the lock.
"""

from cpython.object cimport PyObject
from theus._core.apply cimport apply_ops, take_back
from theus._core.clash cimport conflict_error
from theus._core.conflict cimport Ticket
from theus._core.delta cimport OP_ADD, OP_CUT, OP_DISCARD, OP_INCR, OP_LIST, OP_MIN, OP_MOVE, OP_TAIL, Op
from theus._core.fault cimport INSTALL_OUTSIDE_LOCK, planted
from theus._core.footprint cimport Draft, Footprint
from theus._core.guard cimport Guard
from theus._core.guard_keys cimport commute, not_a_number
from theus._core.log cimport FEW, DeltaLog, Read, ReadSet, deep_bytes, leaf_bytes
from theus._core.node cimport Node, Tomb, is_tomb, u64
from theus._core.plan cimport same_leaf
from theus._core.signal cimport Outgoing
from theus._core.store cimport Store
from theus._core.validate cimport (
    CHANGED, CLOSED, FORGOTTEN, FRESH, IDLE, STALE, changed_since, is_stale,
)
from theus._core.watch cimport own_verdicts, settle_verdicts, upheld

import datetime
import decimal
import time

from theus.errors import StateBrokenError

cdef list NOTHING = []

cdef enum:
    RECORD_BYTES = 16     # a commit in the log, beside its operations
    OP_BYTES = 84
    UNDO_BYTES = 112
    READS_BYTES = 184

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL

cdef extern from *:
    """
    /* Before 3.12 an allocation could start the collector, and with it user code, under the lock. */
    #if PY_VERSION_HEX < 0x030C0000
    #define theus_pause_collector() PyGC_Disable()
    #define theus_resume_collector() PyGC_Enable()
    #else
    #define theus_pause_collector() 0
    #define theus_resume_collector() 0
    #endif
    """
    int theus_pause_collector()
    int theus_resume_collector()

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* result)

cdef extern from *:
    """
    #ifdef CLOCK_REALTIME_COARSE
    #define theus_clock CLOCK_REALTIME_COARSE
    #else
    #define theus_clock CLOCK_REALTIME
    #endif
    """
    int theus_clock

# What commuting operations may meet: types whose arithmetic runs no user code under the lock.
NUMBERS = frozenset((
    int, float, complex, bool, str, bytes, decimal.Decimal, datetime.datetime, datetime.date,
    datetime.timedelta,
))


cdef int install(Footprint tx) except -1:
    """Validate and install what `prepare` made. Returns DONE or FENCED.

    Raises ConflictError, and what commuting operations meet; then nothing was changed. With
    `tx.asserted` nothing may have changed since that version either (with `tx.strict`: at all).
    """
    cdef Store store = tx.store
    cdef int verdict = FRESH
    cdef double moment = now()
    cdef ReadSet reads = None
    cdef bint collecting = theus_pause_collector() != 0
    evicted = None
    try:
        if store.keep_reads:
            reads = ReadSet.__new__(ReadSet)
        with store.mutex:
            verdict = judge(tx)
            if verdict == IDLE and tx.effects is not None:
                enqueue(tx, store.ver)
                latch(tx, store.ver)
            if verdict == FRESH and planted() != INSTALL_OUTSIDE_LOCK:
                evicted = apply_all(tx, moment, reads)
        if verdict == FRESH and planted() == INSTALL_OUTSIDE_LOCK:
            time.sleep(0)
            with store.mutex:
                if not store.reserve(record_count(tx)):     # others have used the room
                    raise MemoryError()
                evicted = apply_all(tx, moment, reads)
    finally:
        if collecting:
            theus_resume_collector()
    if verdict == FRESH:
        if tx.bulky:
            settle_bytes(tx)
        return DONE
    if verdict == CLOSED:
        return FENCED
    if verdict != IDLE:
        tx.refused = True
        if tx.judged is not None:
            own_verdicts(tx)
        if store.counters is not None:
            store.counters.abort("conflict")
        raise conflict_error(tx, tx.ver if verdict == STALE else tx.asserted, verdict == FORGOTTEN)
    release(tx)
    return DONE


cdef int release(Footprint tx) except -1:
    """The end of a commit without changes of the state."""
    tx.committed_version = tx.ver
    return 0


cdef int enqueue(Footprint tx, u64 ver) except -1:
    """What a commit sends takes its place in the order; under the mutex."""
    cdef Outgoing sent = <Outgoing>tx.effects
    sent.version = ver
    tx.store.outgoing.append(sent)
    return 0


cdef void latch(Footprint tx, u64 ver) noexcept:
    """The signals of a commit, if it sends any, become those of the last commit; under the mutex."""
    cdef Outgoing sent = <Outgoing>tx.effects
    if sent is not None and sent.signals:
        sent.replaced = tx.store.latched  # dropped after the lock
        tx.store.latched = sent.signals
        tx.store.latched_at = ver


cdef double now() noexcept:
    """Seconds since the epoch, to the tick of the kernel (some milliseconds): a record needs no
    more, and the exact clock takes four times as long."""
    cdef timespec moment
    clock_gettime(theus_clock, &moment)
    return moment.tv_sec + moment.tv_nsec * 1e-9


# --- under the mutex: judgement ----------------------------------------------------------------


cdef int judge(Footprint tx) except -1:
    """Whether the attempt may be installed."""
    cdef Store store = tx.store
    cdef Ticket fence
    cdef int verdict = FRESH
    if store.halfway:
        raise StateBrokenError(
            "memory ran out in the middle of an earlier commit, whose changes are only partly in the "
            "state; nothing more is committed to it. Start again from what was saved last.",
            version=store.ver,
        )
    if store.fence is not None:
        fence = <Ticket>store.fence
        if fence.chain is not tx.chain and fence.blocks(tx):
            return CLOSED
    if tx.asserted:
        if tx.asserted > store.ver or (tx.strict and store.ver != tx.asserted):
            verdict = CHANGED
        else:
            verdict = changed_since(tx, tx.asserted)
    if verdict == FRESH and (
        is_stale(tx) or tx.op_count and tx.rules != store.rules
        or store.invariants is not None and not upheld(tx)
    ):
        verdict = STALE
    if verdict != FRESH:
        return verdict
    if compute(tx):
        drop_idle(tx)
    if not tx.op_count:
        return IDLE
    if (store.past.held or store.alive > tx.pin.held) and not store.reserve(record_count(tx)):
        raise MemoryError()
    return FRESH


cdef Py_ssize_t record_count(Footprint tx) except -1:
    """Upper bound of the undo records and eras that the operations can make."""
    cdef Py_ssize_t index, count = 2
    cdef Op op
    for index in range(tx.op_count):
        op = tx.op_at(index)
        count += 2
        if op.code == OP_CUT:
            count += len(op.node.seq)
    return count


cdef int drop_idle(Footprint tx) except -1:
    """Leave out commuting operations that change nothing on the newest content."""
    cdef Op op
    cdef PyObject* value
    cdef list all_of_them = tx.op_list()
    cdef Op chained = None
    tx.drop_ops()
    for item in all_of_them:
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
        tx.add_op(op)
    return 0


cdef bint compute(Footprint tx) except -1:
    """Values of commuting operations on the newest content; whether there are any.

    May refuse; changes nothing.
    """
    cdef Op op
    cdef Op before = None
    cdef bint some = False
    cdef PyObject* value
    cdef Py_ssize_t index
    for index in range(tx.op_count):
        op = tx.op_at(index)
        if op.code < OP_LIST:
            op.value = op.new
        elif OP_INCR <= op.code <= OP_MIN:
            value = PyDict_GetItemWithError(op.node.cur, op.key)
            old = tx.store.absent if value is NULL else <object>value
            if before is not None and before.node is op.node and before.key == op.key:
                old = before.value
            before = op
            if type(old) is not Tomb and type(old) not in NUMBERS:
                raise not_a_number(op.path, old, op.new, "not a number, date or text")
            op.value = commute(op.code, old, op.new, op.path)
            some = True
        else:
            op.value = (<list>op.new).copy() if op.code == OP_LIST else op.new
            some = some or op.code != OP_LIST
    return some


# --- under the mutex: install ------------------------------------------------------------------


cdef object apply_all(Footprint tx, double moment, ReadSet reads):
    """Install everything; returns what the log lets go, to be dropped after the lock."""
    cdef Store store = tx.store
    cdef u64 ver = store.ver + 1
    if tx.pin.held:
        store.unlink(&tx.pin)
    stamp_trees(tx, ver)
    if tx.op_count == 1 and tx.effects is None and tx.op.code != OP_CUT:
        apply_ops(tx, ver)
    else:
        apply_or_take_back(tx, ver, moment, reads)
    store.ver = ver
    store.commits += 1
    tx.committed_version = ver
    if tx.judged is not None:
        settle_verdicts(tx)
    if reads is not None:
        tx.give_reads(reads)
    evicted = store.history.append(
        ver, moment, tx.process, tx.op if tx.op_count == 1 else tx.ops, tx.ver, reads,
        first_bytes(tx, reads),
    )
    if store.history.bytes > store.history.limit:
        trim(tx)
    if store.past.held:
        store.advance()
        if store.heavy.undo:
            store.prune_heavy(tx.trash)
    if store.log_at < store.log_end:
        store.prune(2 * tx.op_count + 8, tx.trash)
    return evicted


cdef Py_ssize_t first_bytes(Footprint tx, ReadSet reads) except -1:
    """What the log keeps of a commit, by estimate; what would have to be walked comes later."""
    cdef Py_ssize_t index, size, total = RECORD_BYTES
    cdef Op op
    tx.bulky = False
    for index in range(tx.op_count):
        op = tx.op_at(index)
        size = leaf_bytes(op.old)
        if size < 0 or op.code == OP_TAIL or op.code == OP_LIST:
            tx.bulky = True
            size = 0
        total += OP_BYTES + size
        if tx.store.past.held:
            total += UNDO_BYTES
            if op.code == OP_MOVE:
                total += 8 * len(op.node.cur)
            elif op.code == OP_CUT:
                total += UNDO_BYTES * len(<list>op.old)
    if reads is not None:
        total += READS_BYTES + (reads.count * sizeof(Read) if reads.count > FEW else 0)
    return total


cdef int settle_bytes(Footprint tx) except -1:
    """The rest of the estimate, without the lock: containers that are no more part of the state."""
    cdef DeltaLog log = tx.store.history
    cdef Py_ssize_t index, total = 0
    cdef list trash = []
    cdef Op op
    for index in range(tx.op_count):
        op = tx.op_at(index)
        if op.code == OP_TAIL or op.code == OP_LIST:
            total += 8 * len(<list>op.new)
        if op.code == OP_LIST:
            new = {id(item) for item in <list>op.new}
            total += 8 * len(<list>op.old)
            for item in <list>op.old:
                if id(item) not in new:
                    total += deep_bytes(item, log.limit)
                if total > log.limit:
                    break
        elif leaf_bytes(op.old) < 0:
            total += deep_bytes(op.old, log.limit)
    with tx.store.mutex:
        log.charge(tx.committed_version, total)
    while log.bytes > log.limit and log.first < log.last:
        with tx.store.mutex:
            log.trim(trash)
            if tx.store.past.held:
                tx.store.advance()
        trash = []
    return 0


cdef int trim(Footprint tx) noexcept:
    """Drop the oldest records that are over the limit; without memory for that, the next time."""
    try:
        if tx.trash is None:
            tx.trash = []
        tx.store.history.trim(tx.trash)
    except MemoryError:
        pass
    return 0


cdef int apply_or_take_back(Footprint tx, u64 ver, double moment, ReadSet reads) except -1:
    """The same for more than one operation, or one and something to send: all or nothing.

    What has been done is taken back if memory runs out. Stamps and undo records stay, so the
    version is used up: it is one that changed nothing.
    """
    cdef Store store = tx.store
    if tx.effects is not None:
        enqueue(tx, ver)
    try:
        apply_ops(tx, ver)
    except BaseException:
        if tx.effects is not None:
            store.outgoing.pop()
        take_back(tx)
        store.ver = ver
        store.history.append(ver, moment, tx.process, NOTHING, tx.ver, reads, RECORD_BYTES)
        raise
    latch(tx, ver)
    return 0


cdef int stamp_trees(Footprint tx, u64 ver) except -1:
    """Every container above a change gets the version as its tree stamp."""
    cdef Draft draft = tx.first
    if tx.sole is not None:
        stamp_up(tx, <Guard>tx.sole, ver)
    while draft is not None:
        if not draft.idle:
            stamp_up(tx, <Guard>draft.guard, ver)
        draft = draft.next
    if tx.inner is not None:
        for node in tx.inner:
            (<Node>node).tree = ver
    return 0


cdef inline int stamp_up(Footprint tx, Guard guard, u64 ver) except -1:
    """From the container of a change up to the root."""
    guard.node.tree = ver
    while guard.parent is not NULL:
        guard = <Guard>guard.parent
        guard.node.tree = ver
    if not guard.node.opaque:
        tx.store.root.tree = ver
    return 0
