"""What invariants have read, and whether a commit touches it.

An invariant that read nothing of what a commit changes need not be asked again: its answer would
be the same. That holds only as long as what it read is known as of the newest version, which may
differ from what the commit saw when it was checked: an invariant that looks at a flag first reads
other things after the flag has changed. So what was read is replaced together with the install,
and every install makes sure, under the store's mutex, that what was known at its check still is:
one comparison of a number, and in the rare other case the question again. No user code runs here.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.delta cimport OP_CUT, OP_ITEM, OP_LIST, OP_SET, OP_TAIL, Op
from theus._core.footprint cimport Draft, Footprint
from theus._core.guard cimport Guard
from theus._core.log cimport ALL, DEEP, INSIDE, KEY, Read, ReadSet
from theus._core.node cimport LIST, Node, is_node, value_at
from theus._core.store cimport Store
from theus._core.validate cimport read_stale

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL


@cython.final
cdef class Watch:
    """What one invariant read, by container."""

    def __init__(self):
        raise TypeError("made by a check")

    cdef int settle(self) except -1:
        """Values that were only pending when they were read are part of the tree by now."""
        cdef PyObject* value
        if self.inside is None:
            return 0
        for node, key in self.inside:
            value = PyDict_GetItemWithError((<Node>node).cur, key)
            if value is not NULL and is_node(value):
                self.whole[<object>value] = 1 << DEEP
                self.deep = True
        self.inside = None
        return 0

    cdef bint says(self, Watch other) except -1:
        """Whether another check has read the same."""
        return (
            self.inside is None and other.inside is None
            and self.keys == other.keys and self.whole == other.whole
        )


@cython.final
cdef class Invariant:
    """A rule on the whole state: a function of it that must hold for the result of every commit."""

    def __init__(self, str name not None, func not None):
        self.name = name
        self.func = func

    def __repr__(self):
        return f"<Invariant {self.name!r}>"


@cython.final
cdef class Invariants:
    """All invariants of one store. Replaced as a whole, under the store's mutex."""

    def __init__(self):
        raise TypeError("made by the first invariant")


@cython.final
cdef class Finding:
    """An invariant that holds for the result of a commit, and what it read."""

    def __init__(self):
        raise TypeError("made by a check")


@cython.final
cdef class Verdicts:
    """What the check of one commit found: invariants asked, and those known to be untouched."""

    def __init__(self):
        raise TypeError("made by a check")


cdef Watch watch_of(ReadSet reads):
    """An index of what was read. What the commit itself wrote counts as a read of its key."""
    cdef Watch watch = Watch.__new__(Watch)
    cdef Py_ssize_t index
    cdef Read* read
    watch.keys = {}
    watch.whole = {}
    for index in range(reads.count):
        read = &reads.reads[index]
        node = <object>read.node
        if read.what == KEY or read.what == INSIDE:
            watch.keys.setdefault(node, set()).add(<object>read.key)
        else:
            watch.whole[node] = <int>watch.whole.get(node, 0) | (1 << read.what)
            watch.deep = watch.deep or read.what == DEEP
        if read.what == INSIDE:
            if watch.inside is None:
                watch.inside = []
            watch.inside.append((node, <object>read.key))
            read.what = KEY
    return watch


cdef Finding finding_of(Invariant invariant, ReadSet reads):
    """What a check keeps of an invariant that holds."""
    cdef Finding finding = Finding.__new__(Finding)
    cdef Watch known = invariant.watch
    finding.invariant = invariant
    finding.reads = reads
    finding.watch = watch_of(reads)
    if known is not None:
        known.settle()
        if known.says(finding.watch):
            finding.known = known
    return finding


cdef Verdicts new_verdicts(Invariants table):
    """Of a check that is about to begin."""
    cdef Verdicts verdicts = Verdicts.__new__(Verdicts)
    verdicts.generation = table.generation
    verdicts.findings = []
    return verdicts


# --- does a commit touch it? -------------------------------------------------------------------


cdef set changed_nodes(Footprint tx):
    """Every container in which or below which the operations change something."""
    cdef set nodes = set(tx.inner or ())
    cdef Draft draft = tx.first
    if tx.sole is not None:
        add_upwards(tx, <Guard>tx.sole, nodes)
    while draft is not None:
        if not draft.idle and not draft.private:
            add_upwards(tx, <Guard>draft.guard, nodes)
        draft = draft.next
    return nodes


cdef int add_upwards(Footprint tx, Guard guard, set nodes) except -1:
    nodes.add(guard.node)
    while guard.parent is not NULL:
        guard = <Guard>guard.parent
        nodes.add(guard.node)
    if not guard.node.opaque:
        nodes.add(tx.store.root)
    return 0


cdef bint touches(Footprint tx, Watch watch, Verdicts verdicts) except -1:
    """Whether the operations may change an answer that was given on what was read."""
    cdef Py_ssize_t index
    cdef PyObject* found
    cdef Op op
    if watch.inside is not None:
        watch.settle()
    for index in range(tx.op_count):
        op = tx.op_at(index)
        found = PyDict_GetItemWithError(watch.keys, op.node)
        if found is not NULL and hits(op, <set>found):
            return True
        found = PyDict_GetItemWithError(watch.whole, op.node)
        if found is not NULL and reshapes(tx, op, <int><object>found):
            return True
    return watch.deep and is_below(tx, watch, verdicts)


cdef bint is_below(Footprint tx, Watch watch, Verdicts verdicts) except -1:
    """Whether the operations change something inside what was read with all that is below."""
    if verdicts.nodes is None:
        verdicts.nodes = changed_nodes(tx)
    for node in verdicts.nodes:
        if <int>watch.whole.get(node, 0) & (1 << DEEP):
            return True
    return False


cdef bint hits(Op op, set keys) except -1:
    """Whether an operation changes one of the keys."""
    if op.code == OP_TAIL:
        return False
    if op.code == OP_LIST:
        return True
    if op.code == OP_CUT:
        return any([index >= op.key for index in keys])
    return op.key in keys


cdef bint reshapes(Footprint tx, Op op, int what) except -1:
    """Whether an operation changes what was read of the container as a whole.

    Operations that commute meet content that is not known yet: they count as changes.
    """
    if what & (1 << ALL | 1 << DEEP):
        return True
    if op.node.kind == LIST:
        return op.code != OP_ITEM
    return op.code != OP_SET or value_at(op.node, op.key, tx.ver) is NULL


# --- under the mutex, and after it -------------------------------------------------------------


cdef bint upheld(Footprint tx) except -1:
    """Whether what the check found is true of the newest version too. Under the mutex."""
    cdef Invariants table = <Invariants>tx.store.invariants
    cdef Verdicts verdicts = <Verdicts>tx.judged
    if not tx.op_count or not table.items:
        return True
    if verdicts is not None:
        for finding in verdicts.findings:
            if not still_true(tx, <Finding>finding):
                return False
        if verdicts.generation == table.generation:
            return True
    return not overlooked(tx, table, verdicts)


cdef bint still_true(Footprint tx, Finding finding) except -1:
    """Whether what an invariant read is still as it was."""
    cdef Py_ssize_t index
    for index in range(finding.reads.count):
        if read_stale(&finding.reads.reads[index], tx.ver):
            return False
    return True


cdef bint overlooked(Footprint tx, Invariants table, Verdicts verdicts) except -1:
    """Whether the operations touch an invariant that was not asked."""
    cdef Invariant invariant
    cdef set asked = set()
    if verdicts is None:
        verdicts = new_verdicts(table)
    else:
        asked = {(<Finding>finding).invariant for finding in verdicts.findings}
    for item in table.items:
        invariant = <Invariant>item
        if invariant not in asked and (
            invariant.watch is None or touches(tx, invariant.watch, verdicts)
        ):
            return True
    return False


cdef int settle_verdicts(Footprint tx) noexcept:
    """With the install: what was read is what is known from now on. Under the mutex.

    What it replaces stays with the attempt, to be dropped after the lock.
    """
    cdef Invariants table = <Invariants>tx.store.invariants
    cdef list findings = (<Verdicts>tx.judged).findings
    cdef Py_ssize_t index
    cdef Finding finding
    for index in range(len(findings)):
        finding = <Finding>findings[index]
        if finding.invariant.active and (
            finding.known is None or finding.known is not finding.invariant.watch
        ):
            finding.watch, finding.invariant.watch = finding.invariant.watch, finding.watch
            table.generation += 1
    return 0


cdef int own_verdicts(Footprint tx) except -1:
    """A refused attempt has read what its invariants read, for messages and tickets."""
    cdef Py_ssize_t index
    cdef ReadSet reads
    for finding in (<Verdicts>tx.judged).findings:
        reads = (<Finding>finding).reads
        for index in range(reads.count):
            tx.note(<Node>reads.reads[index].node, reads.reads[index].key, reads.reads[index].what)
    return 0


# --- the table ---------------------------------------------------------------------------------


cdef bint enlist(Footprint tx, Finding finding) except -1:
    """Add an invariant that was found to hold; whether that is true of the newest version.

    If it is not, every commit asks it until somebody has learned what it reads. One thread at a
    time adds and dismisses.
    """
    cdef Store store = tx.store
    cdef Invariants table = <Invariants>store.invariants
    cdef bint fresh = False
    if table is None:
        table = Invariants.__new__(Invariants)
        table.items = ()
    items = table.items + (finding.invariant,)
    finding.invariant.active = True
    with store.mutex:
        fresh = still_true(tx, finding)
        if fresh:
            finding.invariant.watch = finding.watch
        table.items = items
        table.generation += 1
        store.invariants = table
    return fresh


cdef bint learn(Footprint tx, Finding finding) except -1:
    """What an invariant reads, where no commit has found out since; False: it is not known yet."""
    with tx.store.mutex:
        if finding.invariant.watch is None and still_true(tx, finding):
            finding.invariant.watch = finding.watch
            (<Invariants>tx.store.invariants).generation += 1
    return finding.invariant.watch is not None


cdef int dismiss(Store store, Invariant invariant) except -1:
    """Take an invariant out of the table."""
    cdef Invariants table = <Invariants>store.invariants
    cdef tuple before = table.items
    items = tuple([item for item in before if item is not invariant])
    with store.mutex:
        invariant.active = False
        table.items = items
        table.generation += 1
    return 0
