"""Every exception and warning of Theus.

One tree: everything derives from :class:`TheusError` and from the built-in class that a
caller would expect (``PermissionError`` for a refused access, ``TimeoutError`` for a
deadline ...). Each class has a stable ``code``, a ``remedy`` (what to do), and structured
``fields`` (paths, processes, versions ...) that are readable as attributes. Code decides by
type and by field, never by message text. All of them can be pickled.

This module imports nothing of Theus but the base of the tree.
"""

from __future__ import annotations

from theus._error import TheusError

__all__ = [
    "AuditAbortError",
    "AuditBlockError",
    "AuditError",
    "AuditStopError",
    "AuditWarning",
    "ConflictError",
    "ContextError",
    "ContractViolationError",
    "CycleError",
    "DiscoveryError",
    "EngineClosedError",
    "FluxError",
    "HeavyGoneError",
    "HeavyReadOnlyError",
    "HeavyZoneError",
    "HeavyZoneFullError",
    "ImmutableError",
    "InvariantViolationError",
    "LockViolationError",
    "LockWarning",
    "NotTransferableError",
    "OutboxError",
    "ParallelError",
    "PathError",
    "PoolClosedError",
    "PoolFullError",
    "ReentryError",
    "RegistrationError",
    "RetryLimitError",
    "SafetyTripError",
    "SchemaViolationError",
    "SettingsError",
    "ShelfError",
    "SignalClosedError",
    "SignalFullError",
    "SignalLaggedError",
    "SignalTimeoutError",
    "StaleHeavyError",
    "StateBrokenError",
    "SystemBusyError",
    "TaskTimeoutError",
    "TheusError",
    "TransactionError",
    "TransactionStateError",
    "TransitionError",
    "UndeclaredError",
    "UnknownEntryError",
    "UnsupportedValueError",
    "VersionTooOldError",
    "WorkerDiedError",
    "WriteTimeoutError",
]


# --- state and transactions ---------------------------------------------------------------


class ContextError(TheusError, RuntimeError):
    """An operation on the state that cannot be done (a CAS conflict, a wrong path, ...).

    Fields: ``paths`` where known. Read the message: it names the path and the reason.
    """

    code = "T100"
    remedy = "Read the state again and repeat the operation on what you find there."


class ImmutableError(ContextError, TypeError, AttributeError):
    """A write on something that is read-only (committed state, a PURE view).

    Raised at the write itself. Fields: ``path``. To change state, write through a process
    or a transaction.
    """

    code = "T101"
    remedy = "Write inside a process, `engine.transaction()` or `engine.edit()`."


class PathError(ContextError, ValueError, LookupError):
    """A dotted path is malformed or leads nowhere. Fields: ``path``."""

    code = "T102"
    remedy = "Correct the path; `state.data` shows what is there."


class UnsupportedValueError(ContextError, TypeError):
    """A value that the state cannot hold (a lock, a socket, a generator, an engine object ...).

    Raised at the write, before anything changed. Fields: ``path``, ``type_name``.
    """

    code = "T103"
    remedy = "Store plain data, a record class, or put the object into the heavy zone."


class CycleError(UnsupportedValueError, ValueError):
    """A value that contains itself; the state is a tree. Fields: ``path``."""

    code = "T104"
    remedy = "Refer to the other place by its key instead of by the object."


class TransactionError(TheusError, RuntimeError):
    """A transaction could not do its work. Base of conflicts and time-outs."""

    code = "T110"
    remedy = "The state is unchanged; start a new transaction."


class TransactionStateError(TransactionError):
    """A transaction was used after its end (or a guard of it was). Fields: ``status``."""

    code = "T111"
    remedy = "Use transactions and the values read through them inside their block only."


class StateBrokenError(TransactionError):
    """Memory ran out between two changes of a commit; the state takes no further commits.

    Fields: ``version``: the last one that is whole. Start a new engine from what was saved.
    """

    code = "T122"
    remedy = "Start a new engine from the data that was saved last, with more memory."


class ConflictError(TransactionError, ContextError):
    """Another commit changed what this transaction read or wrote. Nothing was changed.

    Fields: ``paths`` (tuple of dotted paths that collided), ``process`` (the one refused),
    ``other`` (the process that committed them, where known), ``changes`` (what it changed: a
    sequence of `DeltaEntry`), ``snapshot`` (version this transaction saw), ``current`` (version
    that refused it). Retryable: `execute`, `run` and `attempts` do so by themselves.
    """

    code = "T112"
    remedy = "Run it again on the new state; use a commuting operation for hot keys."


class VersionTooOldError(ConflictError):
    """An integer version lies behind the window in which exact answers are kept."""

    code = "T113"
    remedy = "Read the state again, or hold the `State` (not its number) while you compute."


class RetryLimitError(ConflictError):
    """All attempts of a process lost. Fields: those of a conflict, and ``attempts``."""

    code = "T114"
    remedy = "Shorten the process, narrow what it reads, or use commuting operations."


class SystemBusyError(ContextError, BlockingIOError):
    """A transaction with priority holds the paths. Fields: ``holder``, ``wait_ms``."""

    code = "T115"
    remedy = "Wait `wait_ms` and try again, or use `execute`, which waits for you."


class WriteTimeoutError(TransactionError, TimeoutError):
    """The transaction held its writes longer than allowed; nothing changed.

    Fields: ``elapsed_ms``, ``limit_ms``, ``process``.
    """

    code = "T116"
    remedy = "Do slow work before the transaction, or raise `write_timeout_ms`."


class ReentryError(TransactionError):
    """A blocking call was made where it would wait for itself (e.g. `run` inside a loop)."""

    code = "T117"
    remedy = "Inside a running event loop use `await engine.execute(...)`."


class EngineClosedError(TheusError, RuntimeError):
    """The engine was shut down."""

    code = "T118"
    remedy = "Create a new engine, or shut this one down later."


class SettingsError(TheusError, ValueError):
    """An option or environment variable has a wrong value. Fields: ``option``, ``value``."""

    code = "T119"
    remedy = "Give the option one of the values the message names."


class ShelfError(TheusError, ImportError):
    """A file or entry point that should be one entry of a shelf cannot be.

    Two entries have one key, or an entry is missing or of a wrong kind. Fields: ``shelf``
    (package), ``places`` (modules or entry points at fault).
    """

    code = "T120"
    remedy = "Correct or remove the modules or entry points that the message names."


class UnknownEntryError(TheusError, KeyError):
    """A name that no entry of a shelf has. Fields: ``key``, ``shelf``, ``known`` (names)."""

    code = "T121"
    remedy = "Use one of the names in the message, or install what provides the missing one."


# --- contracts ------------------------------------------------------------------------------


class ContractViolationError(TheusError, PermissionError):
    """A process did what its contract does not allow.

    Fields: ``process``, ``path``, ``action`` ("read", "write", ...), ``allowed`` (patterns),
    ``file`` and ``line`` of the access where known, and ``change``: the part of the contract and
    the entry that would allow it, or None.
    """

    code = "T200"
    remedy = "Declare the path in the contract, or do not touch it."


class UndeclaredError(ContractViolationError):
    """A process raised an exception that its contract does not name; the cause is kept."""

    code = "T201"
    remedy = "Add the exception's name to `errors=[...]`, or handle it in the process."


class RegistrationError(TheusError, ValueError):
    """A process cannot be registered, or an unknown one was asked for. Fields: ``process``."""

    code = "T202"
    remedy = "Register a function decorated with `@process` under a unique name."


class DiscoveryError(TheusError, ImportError):
    """Files that could not be imported by `scan_and_register`.

    Fields: ``failures`` (tuple of (file, cause text)), ``registered`` (names that were).
    """

    code = "T203"
    remedy = "Mend the files named; everything else was registered."


class SchemaViolationError(TheusError, ValueError):
    """Data does not fit its schema. Nothing was changed. Fields: ``errors``, ``place``."""

    code = "T204"
    remedy = "Correct the values named in the message."


class InvariantViolationError(TheusError, ValueError):
    """A commit would leave a state in which an invariant of the engine does not hold.

    Nothing was changed. Fields: ``invariant`` (its name), ``process``, ``paths`` (what it read),
    ``version`` (the snapshot). What the invariant itself raised is the cause.
    """

    code = "T206"
    remedy = "Make the change so that the rule holds afterwards, all of it in one commit."


class LockViolationError(TheusError, PermissionError):
    """A context object was changed outside a transaction in strict mode. Fields: ``path``."""

    code = "T205"
    remedy = "Change it in `with engine.edit():` or in a process."


class LockWarning(UserWarning):
    """A context object was changed outside a transaction, in an engine that is not strict."""


# --- audit ----------------------------------------------------------------------------------


class AuditError(TheusError, RuntimeError):
    """Base of what audit rules raise. Fields: ``key``, ``count``, ``rule``."""

    code = "T300"
    remedy = "See the audit log (`engine.audit.get_logs()`) for what failed and when."


class AuditBlockError(AuditError):
    """More failures than `threshold_max`; the commit is refused."""

    code = "T301"
    remedy = "Correct the data, or raise the threshold in the recipe."


class AuditAbortError(AuditError):
    """A rule of level Abort failed; the process is aborted."""

    code = "T302"
    remedy = "Correct what the rule names: the input, or how the output is computed."


class AuditStopError(AuditError):
    """A rule of level Stop failed; the program should stop."""

    code = "T303"
    remedy = "Stop, find the cause, start again."


class AuditWarning(UserWarning):
    """Failures reached `threshold_min`."""


# --- workflow -------------------------------------------------------------------------------


class FluxError(TheusError, ValueError):
    """A workflow or expression text is wrong.

    Fields: ``file``, ``line``, ``column``, ``problems``.
    """

    code = "T400"
    remedy = "Correct the place named (file:line:column)."


class SafetyTripError(TheusError, RuntimeError):
    """A workflow did more operations than allowed. Fields: ``limit``, ``where``."""

    code = "T401"
    remedy = "Look for a loop whose condition never changes, or raise `max_ops`."


class TransitionError(TheusError, ValueError):
    """An event that leads nowhere from a state. Fields: ``state``, ``event``, ``possible``."""

    code = "T402"
    remedy = "Send one of the events that are possible now, or extend the machine's table."


# --- heavy zone and workers -------------------------------------------------------------------


class HeavyZoneError(TheusError, RuntimeError):
    """Base of errors of the heavy zone. Fields: ``key``, ``segment``."""

    code = "T500"
    remedy = "See the message."


class HeavyZoneFullError(HeavyZoneError, MemoryError):
    """No room for an array. Fields: ``asked``, ``free``, ``limit`` (bytes), ``holders``."""

    code = "T501"
    remedy = "Free arrays, raise THEUS_HEAP_SIZE, or enlarge /dev/shm."


class HeavyGoneError(HeavyZoneError, LookupError):
    """A segment that a descriptor names does not exist any more. Fields: ``key``, ``segment``."""

    code = "T502"
    remedy = "Read the descriptor from the current state; do not keep old ones."


class StaleHeavyError(HeavyGoneError):
    """A descriptor outlived its array, whose memory was freed. Fields: ``key``, ``segment``."""

    code = "T504"
    remedy = "Read the descriptor from the current state; do not keep old ones."


class HeavyReadOnlyError(HeavyZoneError, ValueError):
    """A write on an array that this process may only read. Fields: ``key``, ``segment``."""

    code = "T503"
    remedy = "Work on `array.copy()`, and put the result under a key of its own."


class ParallelError(TheusError, RuntimeError):
    """Base of errors of the worker pools."""

    code = "T510"
    remedy = "See the message."


class WorkerDiedError(ParallelError):
    """A worker ended while it ran a task.

    Fields: ``task``, ``exit_code``, ``attempts``, ``stderr``.
    """

    code = "T511"
    remedy = "See `stderr` and the exit code or signal; the pool has replaced the worker."


class NotTransferableError(ParallelError, TypeError):
    """A function, argument or result cannot cross to a worker. Fields: ``what``, ``name``."""

    code = "T512"
    remedy = "Use module-level functions and picklable values; put arrays into the heavy zone."


class TaskTimeoutError(ParallelError, TimeoutError):
    """A task ran longer than its limit and was stopped. Fields: ``task``, ``limit_s``."""

    code = "T513"
    remedy = "Give the task more time or less work."


class PoolFullError(ParallelError, BlockingIOError):
    """A pool holds as many unfinished tasks as it may, and waiting was not wanted.

    Fields: ``limit``.
    """

    code = "T514"
    remedy = "Submit with `wait=True`, or again after `pool.when_free()` is done."


class PoolClosedError(ParallelError):
    """The pool was shut down: it takes no task, or this one was stopped by it."""

    code = "T515"
    remedy = "Create a new pool, or shut this one down later."


# --- messages ---------------------------------------------------------------------------------


class OutboxError(TheusError, RuntimeError):
    """The outbox worker failed; the message stays queued. Fields: ``message_id``, ``topic``."""

    code = "T600"
    remedy = "Mend the worker and call `process_outbox()` again."


class SignalLaggedError(TheusError, RuntimeError):
    """A receiver was too slow and lost messages; it goes on with the oldest kept.

    Fields: ``missed``.
    """

    code = "T601"
    remedy = "Receive faster, or subscribe with a larger capacity."


class SignalClosedError(TheusError, RuntimeError):
    """The hub or the receiver is closed; nothing will come any more."""

    code = "T602"
    remedy = "Stop receiving, or subscribe to a hub that is open."


class SignalTimeoutError(TheusError, TimeoutError):
    """No signal came within the time that the receiver was willing to wait."""

    code = "T603"
    remedy = "Call again, or wait longer."


class SignalFullError(TheusError, RuntimeError):
    """Receivers with the policy ``error`` were full and refused signals; all others have them.

    Fields: ``topics``, ``refused``, ``version`` (of the commit that sent them, which is done).
    """

    code = "T604"
    remedy = "Do not repeat the commit; let the receiver catch up, or give it another policy."
