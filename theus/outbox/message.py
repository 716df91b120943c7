"""Messages, and how a transaction collects them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from theus.errors import TransactionStateError, UnsupportedValueError

__all__ = ["OutboxCollector", "OutboxMsg"]


def _new_id() -> str:
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class OutboxMsg:
    """One message to the world outside.

    Parameters
    ----------
    topic:
        What it is about; the worker decides by it.
    payload:
        What it says.
    key:
        What it belongs to (a customer, a flight ...), for workers that route by it.
    id:
        Made when the message is made and never changed: a worker that sees an id twice has
        already delivered it. Two messages are equal if their ids are.

    Raises
    ------
    UnsupportedValueError
        The topic or the id is no text, or empty (also a `TypeError`).
    """

    topic: str = field(compare=False)
    payload: Any = field(compare=False)
    key: str | None = field(default=None, compare=False, kw_only=True)
    id: str = field(default_factory=_new_id, kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (("topic", self.topic), ("id", self.id)):
            if not isinstance(value, str) or not value:
                raise UnsupportedValueError(
                    f"the {name} of an outbox message must be a text that is not empty, not "
                    f"{value!r}",
                    type_name=type(value).__name__,
                )


class OutboxCollector:
    """The messages of one transaction. Belongs to it; may be filled from several threads.

    Parameters
    ----------
    detach:
        Gives the value to keep for a payload, so that what the caller does with its object
        afterwards changes nothing in the message. None keeps the payload itself.
    """

    __slots__ = ("_detach", "_ended", "_lock", "_messages")

    def __init__(self, detach: Callable[[Any], Any] | None = None) -> None:
        self._detach = detach
        self._messages: list[OutboxMsg] = []
        self._ended: str | None = None
        self._lock = threading.Lock()  # an `add` comes before the end or is refused

    def add(self, message: OutboxMsg) -> None:
        """Queue a message; it leaves after the commit, or not at all. O(payload).

        Raises
        ------
        UnsupportedValueError
            It is no `OutboxMsg` (also a `TypeError`), or its payload cannot be detached.
        TransactionStateError
            The transaction has ended.
        """
        if not isinstance(message, OutboxMsg):
            raise UnsupportedValueError(
                f"the outbox takes OutboxMsg(topic, payload), not {type(message).__name__}",
                type_name=type(message).__name__,
            )
        if self._detach is not None:
            payload = self._detach(message.payload)
            message = OutboxMsg(message.topic, payload, key=message.key, id=message.id)
        with self._lock:
            ended = self._ended
            if ended is None:
                self._messages.append(message)
        if ended is not None:
            raise TransactionStateError(
                f"the message cannot be queued: its transaction has ended ({ended}). Queue "
                "messages inside the process or the transaction block.",
                status=ended,
            )

    def _truncate(self, length: int) -> None:
        """Throw away what was queued after the first `length` messages (a savepoint)."""
        if length < 0:
            raise ValueError(f"a length cannot be negative: {length}")
        del self._messages[length:]

    def _close(self, status: str) -> tuple[OutboxMsg, ...]:
        """End it together with its transaction; gives what was queued and keeps nothing.

        `status` says how the transaction ended, for the error of a later `add`.
        """
        empty: list[OutboxMsg] = []
        with self._lock:
            self._ended = status
            messages, self._messages = self._messages, empty
        return tuple(messages)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[OutboxMsg]:
        """Over the messages queued so far, in order."""
        return iter(tuple(self._messages))

    def __repr__(self) -> str:
        return f"<OutboxCollector {len(self)} messages>"
