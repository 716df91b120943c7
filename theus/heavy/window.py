"""Windows on segments: mapped memory as numpy sees it, and the attach cache of a process.

A window is one mapping of one segment. Arrays hang on an exported buffer of it, so memory is
unmapped after its last view and never before. A process keeps the windows it attached, the
least recently used go first, and one that is in use is never closed. The process that owns a
segment gets its own window back instead of a second mapping.

All functions are thread-safe. A forked child starts with an empty cache.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from theus.heavy.names import is_unique_name, parse_name
from theus.heavy.opening import probe
from theus.heavy.segment import SafeSharedMemory, Segment, SharedMemory, live_buffer

__all__ = [
    "AttachCache",
    "CacheStats",
    "Pinned",
    "Window",
    "attach",
    "cache_stats",
    "forget",
    "forget_gone",
    "held",
    "hold",
    "pinned_of",
    "retire",
    "window_of",
]

_MAX_LINKS = 64


class Pinned(np.ndarray[Any, Any]):
    """The bytes of a window, exported: the mapping stays as long as this or a view of it lives.

    Every view of the segment has it somewhere in its chain of bases, and nothing else has.
    """

    window: Window
    lease: Any = None  # the lease that is written through it
    writer: Any = None  # a weak reference to the lease of a block that is read through it


class Window:
    """One mapping of a segment, and where it lies in this process.

    Parameters
    ----------
    segment:
        The mapping.
    handle:
        What `ShmArray.shm` shows; the mapping itself by default.
    key, generation:
        The heavy key and how often it was allocated, where known.
    origin, size:
        The part of the segment that is looked at, a block of an arena; all of it by default.
    block:
        Whatever has to live as long as a view does: the block of an arena, in its owner.
    base:
        Where the segment is mapped, where that is known.
    """

    __slots__ = (
        "__weakref__",
        "_bytes",
        "address",
        "block",
        "generation",
        "handle",
        "key",
        "origin",
        "part",
        "segment",
        "size",
    )

    def __init__(
        self,
        segment: Segment | SafeSharedMemory,
        handle: SharedMemory | None = None,
        key: str = "",
        generation: int = 0,
        *,
        origin: int = 0,
        size: int | None = None,
        block: Any = None,
        base: int | None = None,
    ) -> None:
        parts = parse_name(segment.name)
        self.segment = segment
        self.origin = origin
        self.part = size is not None
        self.size = segment.size if size is None else size
        self.block = block
        self.handle = segment if handle is None else handle
        self.key = parts.key if parts else key
        self.generation = parts.generation if parts else generation
        self._bytes: weakref.ref[Pinned] | None = None
        self.address: int = (
            self.bytes().__array_interface__["data"][0] if base is None else base + origin
        )

    def bytes(self) -> Pinned:
        """Return the memory as an array of bytes. It keeps the mapping alive while it lives."""
        found = None if self._bytes is None else self._bytes()
        if found is None:
            memory = live_buffer(self.segment)
            found = np.frombuffer(memory, np.uint8, self.size, self.origin).view(Pinned)
            found.window = self
            self._bytes = weakref.ref(found)
        return found

    @property
    def viewed(self) -> bool:
        """Whether an array over this window is alive."""
        return self._bytes is not None and self._bytes() is not None


def window_of(array: np.ndarray[Any, Any]) -> Window | None:
    """Return the window an array is a view of; None for what owns its data or lies elsewhere.

    O(length of the chain of bases), which is 1 to 4.
    """
    pinned = pinned_of(array)
    return None if pinned is None else pinned.window


def pinned_of(array: np.ndarray[Any, Any]) -> Pinned | None:
    """Return the memory of the window an array is a view of; as `window_of`."""
    link: Any = array.base
    for _ in range(_MAX_LINKS):
        if type(link) is Pinned and "window" in link.__dict__:
            return link
        if link is None:
            break
        link = link.obj if isinstance(link, memoryview) else getattr(link, "base", None)
    return None


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counts of an attach cache."""

    entries: int
    bytes: int
    hits: int
    misses: int
    closed: int


class AttachCache:
    """Mappings of borrowed segments, kept for the next array that arrives.

    Parameters
    ----------
    max_entries, max_bytes:
        Above these, idle mappings are closed, least recently used first. Mappings in use stay
        and count, so the limits can be exceeded by what the program itself holds.
    """

    def __init__(self, max_entries: int = 128, max_bytes: int = 1 << 30) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._windows: OrderedDict[tuple[str, bool], Window] = OrderedDict()
        self._total = self._hits = self._misses = self._closed = 0

    def attach(self, name: str, least: int, *, readonly: bool = True, key: str = "") -> Pinned:
        """Return the memory of a segment of at least `least` bytes, pinned.

        O(1) on a hit. Names that are not of our making can come back for another segment,
        so they are mapped anew each time.

        Raises
        ------
        HeavyGoneError, HeavyZoneError
            See :class:`~theus.heavy.segment.SafeSharedMemory`.
        """
        with self._lock:
            found = self._windows.get((name, readonly))
            if found is not None and found.segment.size >= least and found.segment.buf is not None:
                self._windows.move_to_end((name, readonly))
                self._hits += 1
                return found.bytes()
            window = Window(SafeSharedMemory(name, size=least, readonly=readonly, key=key), key=key)
            pinned = window.bytes()
            if not is_unique_name(name):
                return pinned
            self._misses += 1
            self._drop_gone()
            self._put((name, readonly), window)
            return pinned

    def _put(self, place: tuple[str, bool], window: Window) -> None:
        old = self._windows.pop(place, None)
        if old is not None:  # closed by its user
            self._total -= old.segment.size
        self._windows[place] = window
        self._total += window.segment.size
        for other in list(self._windows):
            if len(self._windows) <= self.max_entries and self._total <= self.max_bytes:
                break
            self._close(other)

    def _close(self, place: tuple[str, bool]) -> bool:
        window = self._windows[place]
        if window.viewed or not window.segment.close_if_idle():
            return False
        del self._windows[place]
        self._total -= window.segment.size
        self._closed += 1
        return True

    def _drop_gone(self) -> int:
        gone = [place for place in self._windows if probe(place[0]) is None]
        return sum(self._close(place) for place in gone)

    def forget(self, names: Iterable[str]) -> int:
        """Close the idle mappings of these segments; return how many were closed."""
        with self._lock:
            places = [(name, ro) for name in names for ro in (True, False)]
            return sum(self._close(place) for place in places if place in self._windows)

    def retire(self, name: str) -> None:
        """Give the writable mapping of a segment to nobody any more; its views keep it."""
        with self._lock:
            window = self._windows.pop((name, False), None)
            if window is not None:
                self._total -= window.segment.size

    def forget_gone(self) -> int:
        """Close the idle mappings of segments that were unlinked, which frees their memory."""
        with self._lock:
            return self._drop_gone()

    def stats(self) -> CacheStats:
        """Return the counts at this moment."""
        with self._lock:
            return CacheStats(
                len(self._windows), self._total, self._hits, self._misses, self._closed
            )


_cache = AttachCache()
_held: weakref.WeakValueDictionary[str, Window] = weakref.WeakValueDictionary()


def hold(window: Window) -> Window:
    """Note that this process itself has the segment mapped writable; return `window`."""
    _held[window.segment.name] = window
    return window


def held(name: str) -> Window | None:
    """Return this process's own writable window on the segment that has `name` now."""
    window = _held.get(name)
    if window is None or window.segment.buf is None:
        return None
    if not is_unique_name(name):
        now, ours = probe(name), window.segment.facts
        if now is None or (now.device, now.inode) != (ours.device, ours.inode):
            return None
    return window


def attach(name: str, least: int, *, readonly: bool, key: str = "") -> Pinned:
    """Return the pinned memory of a segment: the process's own window, or one of its cache."""
    own = held(name)
    if own is not None and own.segment.size >= least:
        return own.bytes()
    return _cache.attach(name, least, readonly=readonly, key=key)


def forget(names: Iterable[str]) -> int:
    """Close idle cached mappings by name; return how many. For segments known to be freed."""
    return _cache.forget(names)


def retire(name: str) -> None:
    """Attach a segment anew when it is next written; views of the present mapping keep it."""
    _cache.retire(name)


def forget_gone() -> int:
    """Close idle cached mappings of unlinked segments; return how many."""
    return _cache.forget_gone()


def cache_stats() -> CacheStats:
    """Counts of this process's attach cache."""
    return _cache.stats()


def _after_fork() -> None:
    _cache._reset()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
