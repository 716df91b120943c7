"""A key store with versions, for objects that programs keep beside the state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, final

from theus.errors import UnsupportedValueError

__all__ = ["SupervisorCore"]


@final
class SupervisorCore:
    """Values by key, held by reference, with a version per key. Safe to use from any thread.

    The first write of a key gives it version 1, every further one adds one. A key that was
    removed and is written again goes on above the versions of what was removed before, so an
    equal version always means the same write.
    """

    __slots__ = ("_entries", "_floor", "_lock")

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Any, int]] = {}
        self._floor = 0
        self._lock = threading.Lock()

    def read(self, key: str, default: Any = None) -> Any:
        """The very object that was written last, or `default`. O(1), without a lock."""
        entry = self._entries.get(key)
        return default if entry is None else entry[0]

    def write(self, key: str, value: Any) -> int:
        """Keep `value` under `key`; the new version of the key.

        Raises UnsupportedValueError for a key that is no text.
        """
        if type(key) is not str:
            raise UnsupportedValueError(
                f"a key of the store is a str, not {type(key).__qualname__}",
                type_name=type(key).__qualname__,
            )
        with self._lock:  # what is replaced is released after it: its end may run any code
            before = self._entries.get(key)
            version = (self._floor if before is None else before[1]) + 1
            self._entries[key] = (value, version)
        return version

    def get_version(self, key: str) -> int:
        """The version of a key; 0 where there is none."""
        entry = self._entries.get(key)
        return 0 if entry is None else entry[1]

    def contains(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._entries

    def keys(self) -> list[str]:
        """The keys, in the order of their first write."""
        with self._lock:
            return list(self._entries)

    def remove(self, key: str) -> bool:
        """Forget a key; whether it was there."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is not None:
                self._floor = max(self._floor, entry[1])
        return entry is not None

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<SupervisorCore with {len(self)} keys>"
