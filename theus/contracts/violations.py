"""What contracts would have refused, collected instead of raised: the mode `report`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from theus._logs import logger
from theus.errors import TheusError

__all__ = ["Violation", "Violations"]

log = logger("contracts")

CAPACITY = 1000


@dataclass(frozen=True)
class Violation:
    """One kind of access that a contract does not allow, and how often it was made.

    process, action, path:
        Who did what to what ("read", "write", "private", "raise", "signal", "outbox",
        "missing", or the name of an act of a PURE process).
    file, line:
        Where, as far as it is known ("" and 0 where it is not).
    message:
        The text of the error that it would have been.
    change:
        The smallest change of the contract that allows it, as (part, entry), or None.
    count:
        How often.
    """

    process: str
    action: str
    path: str
    file: str
    line: int
    message: str
    change: tuple[str, str] | None
    count: int = 1


class Violations:
    """What one engine let through: iterable, oldest first, one entry per kind and place.

    Holds up to 1000 entries; what comes then is only counted, in `dropped`. Thread-safe: one
    lock. Each new entry is logged once, as a warning under `theus.contracts`.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._found: dict[tuple[Any, ...], Violation] = {}
        self._lock = threading.RLock()  # a destructor that runs under it may violate, too
        self._dropped = 0

    def note(self, error: TheusError) -> None:
        """Count an error that was not raised."""
        facts = error.fields
        key = tuple(facts.get(name) for name in ("process", "action", "path", "file", "line"))
        with self._lock:
            known = self._found.get(key)
            if known is not None:
                self._found[key] = replace(known, count=known.count + 1)
                return
            if len(self._found) >= self._capacity:
                self._dropped += 1
                return
            self._found[key] = Violation(
                process=str(facts.get("process") or ""),
                action=str(facts.get("action") or ""),
                path=str(facts.get("path") or ""),
                file=str(facts.get("file") or ""),
                line=int(facts.get("line") or 0),
                message=error.message,
                change=facts.get("change"),
            )
        log.warning("%s", error)

    @property
    def dropped(self) -> int:
        """How many did not fit."""
        return self._dropped

    def clear(self) -> list[Violation]:
        """Forget all entries; returns them."""
        with self._lock:
            found, self._found = self._found, {}
            self._dropped = 0
        return list(found.values())

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Violation]:
        with self._lock:
            return iter(list(self._found.values()))

    def __getitem__(self, index: int) -> Violation:
        return list(self)[index]

    def __repr__(self) -> str:
        return f"<Violations: {len(self)} kinds, {sum(item.count for item in self)} times>"
