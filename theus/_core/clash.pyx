"""What a refused attempt collided with, from the log of deltas. Asked without the lock."""

cimport cython
from theus._core.delta cimport OP_DEL, OP_INCR, OP_MIN, Op
from theus._core.footprint cimport Footprint
from theus._core.freeze cimport is_plain_leaf
from theus._core.guard_keys cimport commute
from theus._core.log cimport KEY, DeltaRecord
from theus._core.node cimport Node, Tomb, u64
from theus._core.path cimport format_path
from theus._core.validate cimport logged

from theus._core.delta import DeltaEntry, plain
from theus.errors import ConflictError, VersionTooOldError

cdef enum:
    SHOWN = 5         # changes in a message
    WIDTH = 60        # characters of their values


@cython.final
cdef class Clashes:
    """What others changed, as a sequence of `DeltaEntry` that is made when it is looked at.

    Values are those of the commits, containers as they are when they are looked at.
    """

    cdef list ops
    cdef tuple entries

    def __init__(self, ops):
        self.ops = list(ops)

    cdef tuple made(self):
        if self.entries is None:
            self.entries = tuple([
                DeltaEntry(op.kind, op.path, plain(op.old), plain(outcome(<Op>op))) for op in self.ops
            ])
        return self.entries

    def __len__(self):
        return len(self.ops)

    def __iter__(self):
        return iter(self.made())

    def __getitem__(self, index):
        return self.made()[index]

    def __eq__(self, other):
        return self.made() == (tuple(other) if isinstance(other, Clashes) else other)

    def __hash__(self):
        return hash(self.made())

    def __repr__(self):
        return repr(self.made())

    def __reduce__(self):
        return tuple, (list(self.made()),)


cdef object outcome(Op op):
    """What was there after an operation on a number, else what the operation brought."""
    if OP_INCR <= op.code <= OP_MIN:
        return commute(op.code, op.old, op.new, op.path)
    return op.new


cdef str change_of(Op op):
    """One change in a message: the path, with both sides where they are short."""
    cdef str path = format_path(op.path)
    new = outcome(op)
    if not is_plain_leaf(new) or not (is_plain_leaf(op.old) or type(op.old) is Tomb):
        return path
    sides = f"{'nothing' if type(op.old) is Tomb else repr(op.old)} -> {new!r}"
    return f"{path} ({sides})" if len(sides) <= WIDTH and op.code != OP_DEL else path


cdef object explain(Footprint tx, u64 since):
    """(operations of others that collided, their process), from the log of deltas."""
    cdef Op past
    cdef dict wanted = {}
    cdef Py_ssize_t index
    cdef list found = []
    other = None
    for item in tx.op_list():
        wanted.setdefault(logged(tx.store, (<Op>item).node), set()).add((<Op>item).key)
    for index in range(tx.count):
        key = None if tx.reads[index].what != KEY else <object>tx.reads[index].key
        wanted.setdefault(logged(tx.store, <Node>tx.reads[index].node), set()).add(key)
    for node, key in tx.checks or ():
        wanted.setdefault(logged(tx.store, <Node>node), set()).add(key)
    for record in tx.store.history.records(since):
        for item in (<DeltaRecord>record).ops:
            past = <Op>item
            keys = wanted.get(past.node)
            if keys is not None and (None in keys or past.key is None or past.key in keys):
                found.append(past)
                if other is None or other == tx.process:
                    other = (<DeltaRecord>record).process
    return found, other


cdef object conflict_error(Footprint tx, u64 since, bint too_old):
    ops, other = explain(tx, since)
    paths = tuple(dict.fromkeys(format_path(op.path) for op in ops))
    changes = {format_path(op.path): change_of(op) for op in ops[-SHOWN:]}
    shown = ", ".join(changes.values()) + (" ..." if len(paths) > len(changes) else "") if ops else "the state"
    who = f"process {tx.process!r}" if tx.process else "this transaction"
    by = f" by {other!r}" if other else ""
    cls = VersionTooOldError if too_old else ConflictError
    if not ops and tx.rules != tx.store.rules:
        shown, by = "what the engine checks", ""
    reason = (
        f"version {since} is older than the log of changes reaches (it begins with {tx.store.history.first})"
        if too_old else f"{shown} changed{by} since version {since} (now {tx.store.ver})"
    )
    return cls(
        f"CAS Version Mismatch: {who} cannot commit, {reason}. Nothing was changed; run it again on "
        f"the new state.",
        paths=paths, process=tx.process, other=other, snapshot=since, current=tx.store.ver,
        changes=Clashes(ops),
    )
