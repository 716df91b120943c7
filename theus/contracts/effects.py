"""Declared side effects: which signals and messages a process may send."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, final

from theus._core.refusal import at_place, place, raise_or_report
from theus._core.transaction import Transaction
from theus.errors import ContractViolationError
from theus.outbox import OutboxCollector, OutboxMsg

__all__ = ["CheckedOutbox", "DeclaredEffects"]


@final
class DeclaredEffects:
    """What the `side_effects` of one contract allow. Immutable; may be shared by threads.

    An entry allows a topic (a glob), a topic of one kind (`signal:topic`, `outbox:topic`), or
    all topics of a kind (`signal`, `outbox`). Entries that name other things say nothing about
    signals and messages.
    """

    __slots__ = ("_declared", "_flags", "_process")

    def __init__(self, process: str, declared: tuple[str, ...], flags: int) -> None:
        self._process = process
        self._declared = declared
        self._flags = flags

    def check(self, tx: Transaction, kind: str, topic: Any) -> None:
        """Raise ContractViolationError (or report) where a topic is not declared. O(entries)."""
        names = (kind, str(topic), f"{kind}:{topic}")
        if any(fnmatchcase(name, entry) for entry in self._declared for name in names):
            return
        file, line = place()
        what = "signal" if kind == "signal" else "outbox message"
        error = ContractViolationError(
            f"process {self._process!r} may not send the {what} {topic!r}{at_place(file, line)}: "
            f"permission denied, its contract declares the side effects "
            f"{', '.join(self._declared)}. Add '{kind}:{topic}' to its side_effects, or do not "
            f"send it.",
            process=self._process,
            path=str(topic),
            action=kind,
            allowed=self._declared,
            file=file,
            line=line,
            change=("side_effects", f"{kind}:{topic}"),
        )
        raise_or_report(tx.store.report, self._flags, error)

    def outbox(self, tx: Transaction) -> CheckedOutbox:
        """The outbox of a transaction, behind this check."""
        return CheckedOutbox(self, tx)


@final
class CheckedOutbox:
    """`ctx.outbox` of a process that declares its side effects."""

    __slots__ = ("_effects", "_tx")

    def __init__(self, effects: DeclaredEffects, tx: Transaction) -> None:
        self._effects = effects
        self._tx = tx

    @property
    def _collector(self) -> OutboxCollector:
        return self._tx.outbox

    def add(self, message: OutboxMsg) -> None:
        """Queue a message; see `OutboxCollector.add`."""
        self._effects.check(self._tx, "outbox", getattr(message, "topic", ""))
        self._collector.add(message)

    def __len__(self) -> int:
        return len(self._collector)

    def __iter__(self) -> Iterator[OutboxMsg]:
        return iter(self._collector)

    def __repr__(self) -> str:
        return repr(self._collector)
