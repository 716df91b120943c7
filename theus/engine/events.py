"""What goes wrong in an engine, in its meta log: the system events of the META zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theus.engine.commit import Participant
from theus.errors import ConflictError

if TYPE_CHECKING:
    from theus._core.context import Spec
    from theus._core.ring import Ring
    from theus._core.transaction import Transaction

__all__ = ["EventParticipant"]

_MOST = 500


class EventParticipant(Participant):
    """Writes an entry ``conflict`` or ``failure`` for each attempt that had no effect.

    Costs nothing where all goes well. Thread-safe, as the ring is.
    """

    def __init__(self, meta: Ring) -> None:
        self._meta = meta

    def discard(self, tx: Transaction, error: BaseException) -> None:
        who = f"process {tx.process!r}" if tx.process else "a transaction"
        if isinstance(error, ConflictError):
            fields = error.fields
            paths = ", ".join(fields.get("paths") or ()) or "what it read"
            other = fields.get("other")
            by = f"process {other!r}" if other else "another commit"
            self._note("conflict", f"{who} lost {paths} to {by}")
        else:
            self._note("failure", f"{who}: {_text(error)}")

    def failed(self, tx: Transaction, spec: Spec, error: BaseException) -> None:
        self._note("failure", f"process {spec.name!r}: {_text(error)}")

    def _note(self, key: str, message: str) -> None:
        self._meta.append(key, message if len(message) <= _MOST else f"{message[:_MOST]}...")


def _text(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception as other:  # noqa: BLE001 - a broken __str__ is reported instead
        return f"{name}, whose text raised {type(other).__name__}"
