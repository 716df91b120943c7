"""HeavyZoneAllocator: named arrays in shared memory, owned by the process that made them."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from theus._closing import Closing
from theus.errors import HeavyGoneError, HeavyZoneError, HeavyZoneFullError
from theus.heavy import window as windows
from theus.heavy.array import ShmArray, array_over, attach_array
from theus.heavy.descriptor import BufferDescriptor, layout
from theus.heavy.dtypes import encode_dtype
from theus.heavy.names import check_key, logical_name, segment_name, short_name
from theus.heavy.registry import MemoryRegistry
from theus.heavy.segment import PAGE, Segment
from theus.heavy.window import Window

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["DEFAULT_CAPACITY", "HeavyStats", "HeavyZoneAllocator", "ManagedAllocator"]

DEFAULT_CAPACITY = 512 << 20
_NAME_TRIES = 8


@dataclass(frozen=True, slots=True)
class HeavyStats:
    """Accounting of an allocator, in bytes of whole pages.

    `used` is what named arrays take, `lingering` what was freed but is still viewed by this
    process; both count against `capacity`. `peak` is the highest sum seen.
    """

    session: str
    arrays: int
    used: int
    lingering: int
    free: int
    capacity: int
    peak: int
    allocated: int
    freed: int


@dataclass(slots=True)
class _Block:
    """One generation of one key."""

    descriptor: BufferDescriptor
    array: ShmArray
    window: Window | None
    bytes: int


class HeavyZoneAllocator(Closing):
    """Makes, finds and frees the heavy arrays of one session.

    Parameters
    ----------
    session:
        Id of the session, part of every name; None for a random one that nobody can guess.
    registry:
        Where segments are recorded, so that they can be reclaimed after a kill; None for a
        registry in the default directory of this user. Closed by :meth:`cleanup`.
    capacity_bytes:
        Hard limit of the bytes held at a time.

    The arrays given out are writable in the process that made the allocator and read-only
    everywhere else. Freeing takes the name away; views that are alive stay valid. Whatever
    was not freed goes with :meth:`cleanup`, with the end of the ``with`` block, with the
    allocator, or with the process; after a kill, with the next start.

    A forked child inherits the object but not the ownership: there `get` gives read-only
    arrays, `cleanup` does nothing, and everything else raises `HeavyZoneError`.

    Thread-safe.
    """

    def __init__(
        self,
        session: str | None = None,
        registry: MemoryRegistry | None = None,
        capacity_bytes: int = DEFAULT_CAPACITY,
    ) -> None:
        if registry is not None and session not in (None, registry.session):
            raise ValueError(
                f"session {session!r} is not the one of the registry ({registry.session!r})"
            )
        if capacity_bytes < 0:
            raise ValueError(f"capacity_bytes must not be negative: {capacity_bytes}")
        self._table = _Table(MemoryRegistry(session) if registry is None else registry)
        self._capacity = capacity_bytes
        self._finalizer = weakref.finalize(self, self._table.release_all)

    @property
    def session(self) -> str:
        """Id of the session."""
        return self._table.registry.session

    @property
    def registry(self) -> MemoryRegistry:
        """Where this allocator records its segments."""
        return self._table.registry

    @property
    def capacity(self) -> int:
        """Hard limit in bytes."""
        return self._capacity

    def alloc(self, key: str, shape: Any, dtype: DTypeLike = "float64") -> ShmArray:
        """Return a new zeroed, writable array under `key`.

        A key that exists gets a new generation: the name of the old one goes, arrays of it
        that are alive keep their values.

        Raises
        ------
        HeavyZoneFullError
            The capacity or the file system has no room. Nothing changed.
        TypeError, ValueError
            A key, shape or dtype that cannot be (dtypes with references are refused by name).
        """
        check_key(key)
        lengths, kind, nbytes = layout(shape, dtype)
        table = self._owned()
        with table.lock:
            block = self._make(key, lengths, kind, nbytes)
            table.publish(key, block)
        return block.array

    def put(self, key: str, array: ArrayLike) -> ShmArray:
        """Copy an array (or what numpy makes one of) into shared memory under `key`.

        The key changes only when the copy is complete. Order becomes C. Raises like
        :meth:`alloc`; masked arrays are refused, since the mask has no place.
        """
        check_key(key)
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                f"heavy array {key!r}: masked arrays have no form in shared memory; put "
                "`array.filled(...)`, or `array.data` and `array.mask` under keys of their own"
            )
        source = np.asarray(array)
        lengths, kind, nbytes = layout(source.shape, source.dtype)
        table = self._owned()
        with table.lock:
            block = self._make(key, lengths, kind, nbytes)
        try:
            np.copyto(block.array, source, casting="no")
        except BaseException:
            with table.lock:
                table.discard(block)
            raise
        with table.lock:
            table.publish(key, block)
        return block.array

    def get(self, key: str) -> ShmArray:
        """Return the current array of `key`; the same object each time in the owner.

        Raises
        ------
        HeavyGoneError
            There is no such key (a `LookupError`).
        """
        block = self._block(key)
        if os.getpid() != self._table.pid:
            return attach_array(block.descriptor)
        return block.array

    def descriptor(self, key: str) -> BufferDescriptor:
        """Return the passport of the current array of `key`. Raises like :meth:`get`."""
        return self._block(key).descriptor

    def free(self, key: str) -> None:
        """Take the array of `key` away; views that are alive stay valid. Raises like `get`."""
        table = self._owned()
        with table.lock:
            self._block(key)
            table.discard(table.blocks.pop(key))

    def cleanup(self) -> None:
        """Free every key and close the registry. Idempotent; nothing in a forked child."""
        self._table.release_all()

    def stats(self) -> HeavyStats:
        """Return the accounting at this moment."""
        table = self._table
        with table.lock:
            used, lingering = table.used, table.lingering
            return HeavyStats(
                session=self.session,
                arrays=len(table.blocks),
                used=used,
                lingering=lingering,
                free=max(0, self._capacity - used - lingering),
                capacity=self._capacity,
                peak=table.peak,
                allocated=table.allocated,
                freed=table.freed,
            )

    def __contains__(self, key: object) -> bool:
        return key in self._table.blocks

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._table.blocks))

    def __len__(self) -> int:
        return len(self._table.blocks)

    def _leave(self, error: BaseException | None) -> None:
        self.cleanup()

    def __repr__(self) -> str:
        table = self._table
        return (
            f"<HeavyZoneAllocator theus:{self.session}:{table.pid} {len(table.blocks)} arrays, "
            f"{table.used:,} of {self._capacity:,} bytes>"
        )

    def __reduce__(self) -> Any:
        raise TypeError(
            "an allocator belongs to one process and cannot be pickled; send its arrays or "
            "descriptors"
        )

    def _owned(self) -> _Table:
        if os.getpid() != self._table.pid:
            raise HeavyZoneError(
                f"heavy zone {self.session} belongs to process {self._table.pid}; this is "
                f"process {os.getpid()}, forked from it. Make an allocator of its own here."
            )
        return self._table

    def _block(self, key: str) -> _Block:
        found = self._table.blocks.get(key)
        if found is None:
            known = ", ".join(map(repr, list(self._table.blocks)[:20])) or "none"
            raise HeavyGoneError(
                f"there is no heavy array {key!r} in session {self.session}; keys: {known}",
                key=key,
                segment=None,
            )
        return found

    def _make(self, key: str, shape: tuple[int, ...], kind: np.dtype[Any], nbytes: int) -> _Block:
        """Make a new generation without publishing it."""
        table = self._table
        taken = -(-nbytes // PAGE) * PAGE
        in_use = table.used + table.lingering
        if in_use + taken > self._capacity:
            raise self._full(key, nbytes, self._capacity - in_use)
        return table.make(key, shape, kind, nbytes, taken)

    def _full(self, key: str, asked: int, free: int) -> HeavyZoneFullError:
        blocks = sorted(self._table.blocks.items(), key=lambda item: -item[1].bytes)
        holders = tuple((name, block.bytes) for name, block in blocks[:5])
        largest = ", ".join(f"{name!r} {size:,}" for name, size in holders) or "none"
        free = max(0, free)
        return HeavyZoneFullError(
            f"heavy zone {self.session} has no room for {key!r}: {asked:,} bytes asked, "
            f"{free:,} free of {self._capacity:,}; {self._table.lingering:,} bytes are freed but "
            f"still viewed. Largest: {largest}. Free arrays, or raise the limit "
            "(`capacity_bytes`, THEUS_HEAP_SIZE in MB).",
            asked=asked,
            free=free,
            limit=self._capacity,
            holders=holders,
            key=key,
            segment=None,
        )


class _Table:
    """What an allocator holds; outlives it long enough to be released."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self.registry = registry
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.blocks: dict[str, _Block] = {}
        self.generations: dict[str, int] = {}
        self.used = self.peak = self.allocated = self.freed = 0
        self._freed_bytes = 0
        self._ended: deque[int] = deque()

    @property
    def lingering(self) -> int:
        """Bytes of freed segments that this process still views."""
        while self._ended:  # filled by finalizers, which may run anywhere and take no lock
            self._freed_bytes -= self._ended.popleft()
        return self._freed_bytes

    def make(
        self, key: str, shape: tuple[int, ...], kind: np.dtype[Any], nbytes: int, taken: int
    ) -> _Block:
        """Make segment and array of a new generation; the bytes count from now on."""
        generation = self.generations.get(key, 0) + 1
        text = encode_dtype(kind)
        if nbytes == 0:
            name = segment_name(self.registry.session, self.pid, key, generation)
            window, array = None, np.zeros(shape, kind).view(ShmArray)
        else:
            segment = self._segment(key, generation, nbytes)
            name = segment.name
            window = windows.hold(Window(segment, key=key, generation=generation))
            array = array_over(window.bytes(), shape, kind, 0, None)
        self.generations[key] = generation
        descriptor = BufferDescriptor(
            name, nbytes, shape, text, generation=generation, readonly=True, key=key
        )
        self.used += taken
        self.peak = max(self.peak, self.used + self.lingering)
        self.allocated += 1
        return _Block(descriptor, array, window, taken)

    def _segment(self, key: str, generation: int, nbytes: int) -> Segment:
        session = self.registry.session
        name = segment_name(session, self.pid, key, generation)
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
                segment.unlink()
                self.registry.freed(name)
                raise
            return segment
        raise HeavyZoneError(
            f"no free name for {logical_name(session, self.pid, key, generation)!r} in "
            f"{_NAME_TRIES} tries",
            key=key,
            segment=name,
        )

    def publish(self, key: str, block: _Block) -> None:
        """Make a block the current one of its key."""
        old = self.blocks.get(key)
        self.blocks[key] = block
        if old is not None:
            self.discard(old)

    def discard(self, block: _Block) -> None:
        """Take a block's name away; its bytes linger until the last view in this process ends."""
        self.used -= block.bytes
        self.freed += 1
        if block.window is None:
            return
        self._freed_bytes += block.bytes
        weakref.finalize(block.window.bytes(), self._ended.append, block.bytes).atexit = False
        block.window.segment.unlink()
        self.registry.freed(block.window.segment.name)

    def release_all(self) -> None:
        """Unlink everything; only in the process that made it."""
        if os.getpid() != self.pid:
            return
        with self.lock:
            while self.blocks:
                self.discard(self.blocks.popitem()[1])
            self.registry.close()


ManagedAllocator = HeavyZoneAllocator
