"""What one owner process holds in shared memory: its segments, and how many bytes they take.

Named arrays and arenas make their segments here and nowhere else, so one limit counts for all
of them, and every one is recorded before it exists.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from theus.errors import HeavyZoneError, HeavyZoneFullError
from theus.heavy.names import file_name, logical_name, short_name
from theus.heavy.opening import remove
from theus.heavy.segment import PAGE, Segment

if TYPE_CHECKING:
    from theus.heavy.registry import MemoryRegistry

__all__ = ["Held", "Table", "in_pages"]

_NAME_TRIES = 8


class Held(NamedTuple):
    """A segment, the bytes of its pages, and whether it lies in a file."""

    segment: Segment
    bytes: int
    spilled: bool


def in_pages(nbytes: int) -> int:
    """Bytes of the whole pages that `nbytes` bytes lie in."""
    return -(-nbytes // PAGE) * PAGE


class Table:
    """Segments and accounts of one owner.

    Methods are called under `lock`, except `end_later`: finalizers, which may run anywhere,
    leave there what has to be done when a last view is gone.
    """

    def __init__(self, registry: MemoryRegistry, capacity: int, spill: str | None = None) -> None:
        self.registry = registry
        self.capacity = capacity
        self.spill = spill
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.ended: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self.used = self.lingering = self.peak = self.spilled = 0
        self.relief: Callable[[], object] | None = None  # frees what is kept only to be reused
        self.holders: Callable[[], list[tuple[str, int]]] = list

    @property
    def owned(self) -> bool:
        """Whether this is the process that made it."""
        return os.getpid() == self.pid

    def end_later(self, act: Callable[[], object]) -> None:
        """Have `act` done under the lock: at once if nobody has it, else by the next who does."""
        self.ended.put(act)
        if self.lock.acquire(blocking=False):
            try:
                self.collect()
            finally:
                self.lock.release()

    def collect(self) -> None:
        """Do what finalizers left to do."""
        while not self.ended.empty():  # only who holds the lock takes from it
            self.ended.get_nowait()()

    def hold(self, name: str, nbytes: int, key: str, generation: int) -> Held:
        """Make a segment called `name`, or another name where that is taken, and count it.

        In shared memory, below the limit; where there is no room, in a file, if that was asked
        for. Raises HeavyZoneFullError (no room), HeavyZoneError (no free name; the registry
        cannot be written). Nothing is left behind then.
        """
        try:
            taken = self._reserve(nbytes, key)
            try:
                return Held(self._segment(name, nbytes, key, generation), taken, False)
            except BaseException:
                self.used -= taken
                raise
        except HeavyZoneFullError:
            if self.spill is None:
                raise
            name = file_name(self.registry.session, self.spill)
            segment = self._segment(name, nbytes, key, generation)
            self.spilled += in_pages(nbytes)
            return Held(segment, in_pages(nbytes), True)

    def let_go(self, held: Held, *, viewed: bool) -> None:
        """Count a segment no longer as used, but as lingering while it is `viewed`."""
        if held.spilled:
            self.spilled -= held.bytes
        else:
            self.used -= held.bytes
            self.lingering += held.bytes if viewed else 0

    def _reserve(self, asked: int, key: str) -> int:
        taken = in_pages(asked)
        if self._free < taken:
            self.collect()
        if self._free < taken and self.relief is not None:
            self.relief()
        if self._free < taken:
            raise self._full(key, asked)
        self.used += taken
        self.peak = max(self.peak, self.used + self.lingering)
        return taken

    @property
    def _free(self) -> int:
        return self.capacity - self.used - self.lingering

    @property
    def free(self) -> int:
        """Bytes below the limit."""
        return max(0, self._free)

    def _segment(self, name: str, nbytes: int, key: str, generation: int) -> Segment:
        """Make and record a segment; a name that a stranger has is replaced by another."""
        session = self.registry.session
        for _ in range(_NAME_TRIES):
            self.registry.intent(name, nbytes)
            try:
                segment = Segment(name, nbytes)
            except FileExistsError:  # a stranger has the name and keeps it
                self.registry.freed(name)
                name = short_name(session)
                continue
            except BaseException:
                self.registry.freed(name)
                raise
            try:
                self.registry.made(name, segment.facts.device, segment.facts.inode)
            except BaseException:
                self.remove(name)
                raise
            return segment
        raise HeavyZoneError(
            f"no free name for {logical_name(session, self.pid, key, generation)!r} in "
            f"{_NAME_TRIES} tries",
            key=key,
            segment=name,
        )

    def remove(self, name: str) -> None:
        """Take a segment's name away and strike it out. Only in the owner."""
        remove(name)
        self.registry.freed(name)

    def _full(self, key: str, asked: int) -> HeavyZoneFullError:
        holders = tuple(sorted(self.holders(), key=lambda item: -item[1])[:5])
        largest = ", ".join(f"{name!r} {size:,}" for name, size in holders) or "none"
        return HeavyZoneFullError(
            f"heavy zone {self.registry.session} has no room for {key!r}: {asked:,} bytes asked, "
            f"{self.free:,} free of {self.capacity:,}; {self.lingering:,} bytes are freed but "
            f"still viewed. Largest: {largest}. Free arrays, or raise the limit "
            "(`capacity_bytes`, THEUS_HEAP_SIZE in MB).",
            asked=asked,
            free=self.free,
            limit=self.capacity,
            holders=holders,
            key=key,
            segment=None,
        )

    def __reduce__(self) -> Any:
        raise TypeError("what a process owns cannot be pickled")
