"""The heavy zone inside a process: arrays by key, replaced as a whole."""

from __future__ import annotations

from typing import Any

from theus.heavy.wrapper import HeavyZoneWrapper

__all__ = ["ProcessHeavy"]


class ProcessHeavy(HeavyZoneWrapper):
    """`ctx.heavy`: arrays come out read-only; assigning a key swaps the reference at the commit.

    What may be assigned and deleted is decided by the contract, through the guard below.
    """

    __slots__ = ("_guard",)

    def __init__(self, guard: Any) -> None:
        super().__init__(guard, readonly=True)
        self._guard = guard

    def __setitem__(self, key: str, value: Any) -> None:
        self._guard[key] = value
        self._arrays.pop(key, None)

    def __delitem__(self, key: str) -> None:
        del self._guard[key]
        self._arrays.pop(key, None)
