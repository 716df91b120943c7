"""Invariants: rules on the whole state that hold for the result of every commit.

They are asked before the commit, without a lock, on the transaction itself: on its snapshot with
its drafts on top. What they read is recorded as the reads of a process are, apart from them, and
validated with the commit; `watch` decides which invariants need no asking. An invariant may look
and nothing else: it runs under the rules for PURE processes, and calls no engine.
"""

cimport cython
from cpython.object cimport PyObject
from theus._core.current cimport call_inspecting, current_now, forbid
from theus._core.guard cimport Guard
from theus._core.log cimport INSIDE, KEY, ReadSet
from theus._core.path cimport format_path
from theus._core.pattern cimport Position, compile_patterns
from theus._core.refusal cimport place
from theus._core.store cimport Store
from theus._core.transaction cimport Transaction
from theus._core.watch cimport (
    Finding, Invariant, Invariants, Verdicts, dismiss, enlist, finding_of, learn, new_verdicts, touches,
)

import inspect

from theus._core.refusal import at_place, place_raised
from theus.errors import ContractViolationError, InvariantViolationError, TransactionStateError

cdef enum:
    SHOWN = 8     # paths in a message

cdef Position LOOKING = compile_patterns(("**",), (), False)


@cython.final
cdef class Preview:
    """The state as a commit would leave it, read-only; what an invariant gets.

    Valid until the invariant returns.
    """

    cdef Transaction tx

    def __init__(self):
        raise TypeError("made by the check of an invariant")

    cdef Transaction active(self):
        if self.tx is None:
            raise TransactionStateError(
                "this view belongs to a check of an invariant that is over. Read what you need inside "
                "the invariant, and keep nothing of it.", status="over",
            )
        return self.tx

    @property
    def data(self):
        """All areas of the data."""
        return self.active().get_root()

    @property
    def domain(self):
        """The area `domain`."""
        return self.active().area("domain")

    @property
    def domain_ctx(self):
        """The same as `domain`."""
        return self.active().area("domain")

    @property
    def global_(self):
        """The area `global`."""
        return self.active().area("global")

    @property
    def global_ctx(self):
        """The same as `global_`."""
        return self.active().area("global")

    @property
    def heavy(self):
        """The heavy zone: objects by reference."""
        return self.active().get_heavy()

    def __repr__(self):
        return "<the state as a commit would leave it>"


cdef Finding ask(Transaction tx, Invariant invariant):
    """Ask an invariant; InvariantViolationError where it does not hold."""
    cdef ReadSet own = ReadSet.__new__(ReadSet)
    cdef ReadSet reads = ReadSet.__new__(ReadSet)
    cdef Preview view = Preview.__new__(Preview)
    cdef bint track = tx.track, holds = False
    saved = (tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure)
    tx.hand_reads(own)
    tx.pos, tx.root, tx.heavy_root, tx.domain_guard = LOOKING, None, None, None
    tx.process = f"invariant {invariant.name}"
    tx.pure = tx.track = tx.inspected = True
    view.tx = tx
    error = None
    places = ()
    try:
        holds = answer(call_inspecting(tx, invariant.func, view))
    except Exception as raised:
        error = raised
    finally:
        tx.hand_reads(reads)
        if not holds:
            places = (tx.root, tx.heavy_root)
        view.tx = None
        tx.inspected = False
        tx.track = track
        tx.pos, tx.root, tx.heavy_root, tx.domain_guard, tx.process, tx.pure = saved
        tx.regain_reads(own)
    if not holds:
        raise violation(tx, invariant, paths_of(reads, places), error) from error
    return finding_of(invariant, reads)


cdef bint answer(object said) except -1:
    """What an invariant says: anything true, or None, is yes."""
    if inspect.isawaitable(said) or inspect.isgenerator(said) or inspect.isasyncgen(said):
        if hasattr(said, "close"):
            said.close()
        raise TypeError(
            f"an invariant answers at once: it returned a {type(said).__name__}. Write it without "
            f"async, await and yield."
        )
    return said is None or bool(said)


cdef object violation(Transaction tx, Invariant invariant, tuple paths, object error):
    """The error of an invariant that does not hold; `error`: what it raised, if it did."""
    shown = ", ".join(paths[:SHOWN]) + (" ..." if len(paths) > SHOWN else "")
    reason = "it is not true"
    if isinstance(error, ContractViolationError):
        reason = misuse(error)
    elif error is not None:
        reason = f"it raised {type(error).__name__}{at_place(*place_raised(error))}: {error}"
    what = f"what process {tx.process!r} would commit" if tx.process else "what this transaction would leave"
    if not tx.prepared:
        what = "the present state"
    return InvariantViolationError(
        f"Invariant {invariant.name!r} does not hold for {what}: {reason}. It read {shown or 'nothing'}. "
        f"Nothing was changed.",
        invariant=invariant.name, process=tx.process, paths=paths, version=tx.ver,
    )


cdef str misuse(object error):
    """What an invariant did beside looking, in words."""
    at = at_place(error.file, error.line)
    if error.action == "write":
        return f"it tried to write {error.path!r}{at}; an invariant may only look at the state"
    did = f"{error.action}: {error.path}" if error.path else error.action
    return f"it tried to do more than look at the state that it was given ({did}){at}"


cdef tuple paths_of(ReadSet reads, tuple roots):
    """What was read, as dotted paths; containers that were only passed through are left out."""
    cdef dict places = {}
    cdef list paths = []
    cdef Py_ssize_t index
    for root in roots:
        if root is not None:
            add_places(<Guard>root, places)
    for index in range(reads.count):
        where = places.get(<object>reads.reads[index].node)
        if where is not None:
            what = reads.reads[index].what
            paths.append(where + (<object>reads.reads[index].key,) if what == KEY or what == INSIDE else where)
    above = {path[:size] for path in paths for size in range(len(path))}
    return tuple(dict.fromkeys([format_path(path) for path in paths if path not in above]))


cdef int add_places(Guard root, dict places) except -1:
    """Where the containers are that a check has been in."""
    cdef list left = [root]
    cdef Guard guard
    while left:
        guard = <Guard>left.pop()
        if guard.node not in places:
            places[guard.node] = guard.where()
        if guard.kids is not None:
            left.extend(guard.kids.values())
        elif guard.kid is not None:
            left.append(guard.kid)
    return 0


def check_invariants(Transaction tx not None, spec):
    """Ask every invariant that a prepared transaction touches.

    Raises InvariantViolationError for the first that does not hold.
    """
    cdef Invariants table = <Invariants>tx.store.invariants
    cdef Verdicts verdicts
    cdef Invariant invariant
    if table is None or not tx.op_count or not table.items:
        return
    verdicts = new_verdicts(table)
    for item in table.items:
        invariant = <Invariant>item
        if invariant.watch is None or touches(tx, invariant.watch, verdicts):
            verdicts.findings.append(ask(tx, invariant))
    tx.judged = verdicts


def add_invariant(begin not None, Invariant invariant not None):
    """Ask an invariant for the present state, and for the result of every commit from then on.

    `begin()` makes a transaction. Raises InvariantViolationError where it does not hold. What
    others commit meanwhile is asked too: nothing gets in between.
    """
    if not enlisted(begin, invariant, False):
        enlisted(begin, invariant, True)


cdef bint enlisted(object begin, Invariant invariant, bint again) except -1:
    """One look at the newest version; whether what the invariant read is known of it."""
    cdef Transaction tx = begin()
    cdef Finding finding
    try:
        finding = ask(tx, invariant)
        return learn(tx, finding) if again else enlist(tx, finding)
    except BaseException:
        if again:
            dismiss(tx.store, invariant)
        raise
    finally:
        tx.install()    # of nothing: an end that counts as no abort


def refuse_in_invariant(str event not None):
    """For what an invariant may not ask outside of its view: ContractViolationError inside one."""
    cdef PyObject* now = current_now()
    if now is not NULL and (<Transaction>now).inspected:
        forbid(<Transaction>now, "look at anything but its view", event, "", place())


def remove_invariant(Store store not None, Invariant invariant not None):
    """Ask an invariant no more."""
    dismiss(store, invariant)
