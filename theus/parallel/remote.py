"""Errors that cross from a worker to its parent: the same type, with the remote traceback.

An exception is sent as its own pickle, which the worker tries out first. One that cannot
travel (it needs arguments its pickle does not have, or holds what has no pickle) is sent as
text and arrives as a `NotTransferableError`.
"""

from __future__ import annotations

import pickle
import traceback
from typing import Any, NamedTuple, final

from theus.errors import NotTransferableError, ParallelError

__all__ = ["Failure", "RemoteTraceback", "as_exception", "failure", "revive"]


@final
class RemoteTraceback(Exception):
    """The traceback of an exception in a worker; the ``__cause__`` of what the caller gets."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class Failure(NamedTuple):
    """An exception on its way: its pickle (None if it has none), its name, text, traceback."""

    pickled: bytes | None
    name: str
    message: str
    trace: str


def as_exception(error: BaseException, task: str) -> Exception:
    """``error`` itself; what would end the caller's program as well becomes a `ParallelError`.

    That is SystemExit, KeyboardInterrupt, CancelledError and the like.
    """
    if isinstance(error, Exception):
        return error
    name = type(error).__name__
    made = ParallelError(
        f"Task {task} was ended by {name}: {error}. A task ends by returning or by raising an "
        f"Exception.",
        task=task,
        ended_by=name,
    )
    made.__cause__ = error
    return made


def failure(error: BaseException, task: str) -> Failure:
    """Make an exception ready to be sent. Never raises for what the exception holds."""
    trace = "".join(traceback.format_exception(error)).rstrip()
    sent = as_exception(error, task)
    try:
        pickled: bytes | None = pickle.dumps(sent, pickle.HIGHEST_PROTOCOL)
        if type(pickle.loads(pickled)) is not type(sent):  # type: ignore[arg-type]  # noqa: S301
            pickled = None
    except Exception:  # noqa: BLE001 - whatever its pickling does, the error itself is reported
        pickled = None
    return Failure(pickled, type(error).__qualname__, _text(error), trace)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as other:  # noqa: BLE001 - a broken __str__ is reported instead
        return f"<its text raised {type(other).__name__}>"


def revive(sent: Failure, task: str) -> Exception:
    """The exception that was sent, with the remote traceback as its cause."""
    error: Any = None
    if sent.pickled is not None:
        try:
            error = pickle.loads(sent.pickled)  # noqa: S301 - from a worker of ours
        except Exception:  # noqa: BLE001 - its class may be missing here: told as text below
            error = None
    if not isinstance(error, Exception):
        error = NotTransferableError(
            f"Task {task} raised {sent.name}: {sent.message}. That exception cannot be sent back "
            f"as it is, since it cannot be pickled and rebuilt; the traceback is its cause.",
            what="exception",
            name=sent.name,
            task=task,
        )
    error.__cause__ = RemoteTraceback(sent.trace)
    return error  # type: ignore[no-any-return]
