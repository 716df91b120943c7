"""The outbox worker: one line of JSON for every finding."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from theus import OutboxMsg

__all__ = ["FindingsFile"]


class FindingsFile:
    """A JSON-lines file, begun anew by every run; a context manager that closes it.

    A message that comes twice (its delivery failed half-way and was repeated) is written
    once: its id is remembered. Used by one thread at a time, as the outbox does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w", encoding="utf-8")
        self._seen: set[str] = set()

    def deliver(self, message: OutboxMsg) -> None:
        """Write one message; it is on its way to the disk when this returns."""
        if message.id in self._seen:
            return
        line = {"id": message.id, "topic": message.topic, "finding": message.payload}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        self._seen.add(message.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
