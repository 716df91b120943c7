"""What crosses the border: a `Parcel` on the way out, an `Outcome` on the way back.

Packing happens where the error belongs: a parcel in the submitting thread, so that what
cannot travel is named at once; an outcome in the worker, inside its own try.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from theus.errors import HeavyZoneFullError, NotTransferableError, TheusError
from theus.parallel.arrays import PROTOCOL, Lend, dumps
from theus.parallel.changes import Change, Changes
from theus.parallel.context import ParallelContext
from theus.parallel.reference import FunctionRef, reference, resolve, task_name
from theus.parallel.remote import Failure, failure, revive
from theus.parallel.scope import text_of

__all__ = ["Job", "Outcome", "Parcel", "pack", "pack_outcome", "unpack", "unpack_outcome"]

_BOUND = 60


@dataclass(frozen=True, slots=True)
class Parcel:
    """One call for a worker: ``function(context, *args, **kwargs)``.

    Parameters
    ----------
    function:
        What to call; a function that workers can import by module and name.
    args, kwargs:
        Its arguments after the context.
    context:
        Its first argument; None calls it without one.
    name:
        What messages call the task; by default the function's name.
    trace:
        The trace that it belongs to, see `trace_context`; None where nobody traces.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    context: ParallelContext | None = None
    name: str = ""
    trace: dict[str, str] | None = None

    @property
    def title(self) -> str:
        """The name for messages."""
        return self.name or task_name(self.function)


@dataclass(slots=True)
class Outcome:
    """What a parcel came to: the value, and what the process queued while it ran.

    ``changes`` is what it wrote in place. ``seconds`` is the time the call took, ``worker``
    the process that made it. ``error`` is what it raised, and None for one that can be read
    from a future, which raises it instead.
    """

    value: Any = None
    outbox: tuple[Any, ...] = ()
    signals: tuple[tuple[str, Any], ...] = ()
    error: BaseException | None = None
    seconds: float = 0.0
    worker: int = 0
    changes: Changes | None = None


class Job(NamedTuple):
    """A parcel as a worker unpacks it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: ParallelContext | None
    name: str
    limit: float | None
    log_level: int
    carried: dict[str, Any]
    trace: dict[str, str] | None


def pack(
    parcel: Parcel,
    limit: float | None,
    log_level: int,
    carried: dict[str, Any],
    lend: Lend | None = None,
) -> tuple[bytes, list[Any]]:
    """The bytes of a parcel, and the arrays that have to be held until it is answered.

    Costs what pickling its arguments costs; large arrays are copied into what `lend` gives.

    Raises
    ------
    NotTransferableError
        The function or an argument cannot travel; the message names it.
    HeavyZoneFullError
        There is no room for an array.
    """
    name = parcel.name or task_name(parcel.function)
    function = reference(parcel.function)
    if type(function) is FunctionRef:
        function = tuple(function)  # type: ignore[assignment]  # less to pickle
    kwargs = dict(parcel.kwargs)
    told = (name, limit, log_level, carried, parcel.trace)
    job = (function, parcel.args, kwargs, parcel.context, *told)
    try:
        return dumps(job, lend)
    except HeavyZoneFullError:
        raise
    except Exception as error:  # noqa: BLE001 - anything may be raised by the pickling of a value
        _name_culprit(name, function, parcel, carried, error)


def _name_culprit(
    task: str,
    function: object,
    parcel: Parcel,
    carried: dict[str, Any],
    error: Exception,
) -> NoReturn:
    suspects = [("function", task, function)]
    suspects += [("argument", str(place), one) for place, one in enumerate(parcel.args)]
    suspects += [("argument", repr(key), one) for key, one in parcel.kwargs.items()]
    suspects += _parts_of(parcel.context)
    suspects += [("context variable", key, one) for key, one in carried.items()]
    for what, name, value in suspects:
        reason = _reason(value)
        if reason is not None:
            error, culprit = reason, (what, name, type(value).__qualname__)
            break
    else:
        culprit = ("arguments", "together", "tuple")
    what, name, kind = culprit
    raise NotTransferableError(
        f"Cannot send {what} {name} of task {task} to a worker: a {kind} cannot be pickled "
        f"here ({type(error).__name__}: {error}). Pass plain data or objects of importable "
        f"classes; arrays go into the heavy zone.",
        what=what,
        name=name,
        task=task,
    ) from error


def _parts_of(context: ParallelContext | None) -> list[tuple[str, str, Any]]:
    if context is None:
        return []
    values, heavy, *_ = context._state()
    return [
        ("input", f"{area}.{key}", value)
        for area, keys in [*values.items(), ("heavy", heavy)]
        for key, value in keys.items()
    ]


def _reason(value: object) -> Exception | None:
    try:
        pickle.dumps(value, PROTOCOL)
    except Exception as error:  # noqa: BLE001 - the reason is what is asked for
        return error
    return None


def unpack(data: bytes | bytearray | memoryview) -> Job:
    """The job in a message, its function found.

    Raises
    ------
    NotTransferableError
        The function is not there, or an argument cannot be rebuilt.
    TheusError
        What an argument itself raises of our kind, such as `HeavyGoneError`.
    """
    try:
        function, *rest = pickle.loads(data)  # noqa: S301 - from our own parent, over a pipe
    except TheusError:
        raise
    except Exception as error:
        raise NotTransferableError(
            f"Cannot rebuild the arguments of a task in the worker: {type(error).__name__}: "
            f"{error}. Their classes must be importable by workers.",
            what="argument",
            name=type(error).__name__,
        ) from error
    if type(function) is tuple:
        function = resolve(function)
    return Job(function, *rest)


def pack_outcome(outcome: Outcome, task: str, lend: Lend | None = None) -> tuple[bytes, list[Any]]:
    """The bytes of an outcome, and the arrays it has passports of.

    One that cannot travel becomes a failure that says so.
    """
    if outcome.error is None:
        try:
            return dumps(_sent(outcome), lend)
        except Exception as error:  # noqa: BLE001 - anything may be raised by a value's pickling
            refused: BaseException = _refusal(outcome, task, error)
    else:
        refused = outcome.error
    sent = (None, (), (), failure(refused, task), outcome.seconds, None)
    return pickle.dumps(sent, PROTOCOL), []


def _sent(outcome: Outcome) -> tuple[Any, ...]:
    """What travels: a plain tuple, which costs less than an Outcome."""
    changes = None if outcome.changes is None else tuple(outcome.changes)
    return outcome.value, outcome.outbox, outcome.signals, None, outcome.seconds, changes


def _written(outcome: Outcome) -> tuple[Change, ...]:
    return () if outcome.changes is None else outcome.changes.state


def _refusal(outcome: Outcome, task: str, error: Exception) -> NotTransferableError:
    suspects = [
        ("result", outcome.value),
        *(("outbox message", one) for one in outcome.outbox),
        *((f"payload of signal {topic!r}", one) for topic, one in outcome.signals),
        *((f"value of {text_of(one.path)}", one.value) for one in _written(outcome)),
    ]
    what, value = next(
        (pair for pair in suspects if _reason(pair[1]) is not None), ("result", outcome.value)
    )
    made = NotTransferableError(
        f"Cannot send the {what} of task {task} back: a {type(value).__qualname__} cannot be "
        f"pickled ({type(error).__name__}: {str(error)[: _BOUND * 4]}). Return plain data or "
        f"objects of importable classes.",
        what=what,
        name=type(value).__qualname__,
        task=task,
    )
    made.__cause__ = error
    return made


def unpack_outcome(data: bytes | bytearray | memoryview, task: str, worker: int) -> Outcome:
    """The outcome in a message. Never raises for what the message holds."""
    sent: Failure | None
    try:  # a plain tuple: rebuilding it costs less than rebuilding an Outcome
        value, outbox, signals, sent, seconds, made = pickle.loads(data)  # noqa: S301 - from a worker of ours
    except Exception as error:  # noqa: BLE001 - the rebuilding of a result is the user's code
        refused = NotTransferableError(
            f"Cannot rebuild the result of task {task}: {type(error).__name__}: {error}.",
            what="result",
            name=type(error).__name__,
            task=task,
        )
        refused.__cause__ = error
        return Outcome(error=refused, worker=worker)
    if sent is not None:
        return Outcome(error=revive(sent, task), seconds=seconds, worker=worker)
    changes = None if made is None else Changes(*made)
    return Outcome(value, outbox, signals, None, seconds, worker, changes)
