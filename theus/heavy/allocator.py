"""HeavyZoneAllocator: named arrays in shared memory, owned by the process that made them."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from theus._closing import Closing
from theus.errors import HeavyGoneError, HeavyZoneError
from theus.heavy.array import ShmArray, attach_array
from theus.heavy.descriptor import BufferDescriptor, layout
from theus.heavy.directory import spill_directory
from theus.heavy.lease import WriteLease
from theus.heavy.named import NamedArrays, NamedBlock
from theus.heavy.names import check_key
from theus.heavy.registry import MemoryRegistry
from theus.heavy.table import Table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from theus.heavy.arena import Block

__all__ = ["DEFAULT_CAPACITY", "HeavyStats", "HeavyZoneAllocator", "ManagedAllocator"]

DEFAULT_CAPACITY = 512 << 20
_NAME_TRIES = 8


@dataclass(frozen=True, slots=True)
class HeavyStats:
    """Accounting of an allocator, in bytes of whole pages.

    `used` is what named arrays and arenas take, `lingering` what was freed but is still viewed
    by this process; both count against `capacity`. `peak` is the highest sum seen. Of `used`,
    `chunk_bytes` lie in the `chunks` of the arenas, and of those `leased` bytes are in use, by
    leases, versions of the state and tasks; the rest is kept to be used again (see `trim`).
    `allocated` and `freed` count named arrays, `leases` what was taken from arenas. `spilled`
    bytes lie in files and count against nothing.
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
    chunks: int = 0
    chunk_bytes: int = 0
    leased: int = 0
    leases: int = 0
    spilled: int = 0


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
        Hard limit of the bytes held in shared memory at a time.
    spill_dir:
        A directory for what has no room there: such arrays lie in files that are mapped instead,
        and are the same in everything else but speed. None: no room is an error.

    The arrays given out are writable in the process that made the allocator and read-only
    everywhere else. Freeing takes the name away; views that are alive stay valid. Whatever
    was not freed goes with :meth:`cleanup`, with the end of the ``with`` block, with the
    allocator, or with the process; after a kill, with the next start.

    A forked child inherits the object but not the ownership: there `get` gives read-only
    arrays, `cleanup` does nothing, and everything else raises `HeavyZoneError`.

    `on_lease`, where it is set, is called before each lease.

    Thread-safe.
    """

    def __init__(
        self,
        session: str | None = None,
        registry: MemoryRegistry | None = None,
        capacity_bytes: int = DEFAULT_CAPACITY,
        spill_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if registry is not None and session not in (None, registry.session):
            raise ValueError(
                f"session {session!r} is not the one of the registry ({registry.session!r})"
            )
        if capacity_bytes < 0:
            raise ValueError(f"capacity_bytes must not be negative: {capacity_bytes}")
        registry = MemoryRegistry(session) if registry is None else registry
        spill = None if spill_dir is None else spill_directory(spill_dir)
        self._table = Table(registry, capacity_bytes, spill)
        self._named = NamedArrays(self._table)
        self._finalizer = weakref.finalize(self, self._named.release_all)
        self.on_lease: Callable[[], object] | None = None

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
        return self._table.capacity

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
        named = self._owned()
        with self._table.lock:
            block = named.make(key, lengths, kind, nbytes)
            named.publish(key, block)
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
        named = self._owned()
        with self._table.lock:
            block = named.make(key, lengths, kind, nbytes)
        try:
            np.copyto(block.array, source, casting="no")
        except BaseException:
            with self._table.lock:
                named.discard(block)
            raise
        with self._table.lock:
            named.publish(key, block)
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
        named = self._owned()
        with self._table.lock:
            self._block(key)
            named.discard(named.blocks.pop(key))

    def cleanup(self) -> None:
        """Free every key and close the registry. Idempotent; nothing in a forked child."""
        self._named.release_all()

    def lease(
        self, shape: Any, dtype: DTypeLike = "float64", *, key: str = "", timeout: float = 0.0
    ) -> WriteLease:
        """Return the right to write a new array without a name, for a commit.

        Write into ``lease.array`` (what was there before is still there), then give
        ``lease.seal()`` to the state: nothing is copied. The memory is taken from arenas in
        microseconds, and goes back to them when no state, snapshot, task or view has it any
        more; a lease that is dropped has never been there.

        Parameters
        ----------
        shape, dtype:
            As in numpy; the order is C.
        key:
            The heavy key that it is meant for, for messages.
        timeout:
            How many seconds to wait for others to give back when there is no room.

        Raises
        ------
        HeavyZoneFullError
            There is no room.
        TypeError, ValueError
            A shape or dtype that cannot be.
        """
        lengths, kind, nbytes = layout(shape, dtype)
        if self.on_lease is not None:
            self.on_lease()
        if nbytes == 0:
            return WriteLease(None, lengths, kind)
        block = self.block(nbytes, key, timeout)
        return WriteLease(block, lengths, kind, block.chunk.renew_writer)

    def block(self, nbytes: int, key: str = "", timeout: float = 0.0) -> Block:
        """Return memory of an arena, to be lent to a worker. Raises like `lease`."""
        return self._owned().arena.take(nbytes, key, timeout)

    def trim(self) -> int:
        """Give memory that is only kept to be reused back to the system; returns its bytes."""
        return self._owned().arena.trim()

    def stats(self) -> HeavyStats:
        """Return the accounting at this moment."""
        table, named = self._table, self._named
        with table.lock:
            table.collect()
            arena = named.arena.stats()
            return HeavyStats(
                session=self.session,
                arrays=len(named.blocks),
                used=table.used,
                lingering=table.lingering,
                free=table.free,
                capacity=table.capacity,
                peak=table.peak,
                allocated=named.allocated,
                freed=named.freed,
                chunks=arena.chunks,
                chunk_bytes=arena.chunk_bytes,
                leased=arena.leased,
                leases=arena.taken,
                spilled=table.spilled,
            )

    def __contains__(self, key: object) -> bool:
        return key in self._named.blocks

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._named.blocks))

    def __len__(self) -> int:
        return len(self._named.blocks)

    def _leave(self, error: BaseException | None) -> None:
        self.cleanup()

    def __repr__(self) -> str:
        table = self._table
        return (
            f"<HeavyZoneAllocator theus:{self.session}:{table.pid} {len(self)} arrays, "
            f"{table.used:,} of {table.capacity:,} bytes>"
        )

    def __reduce__(self) -> Any:
        raise TypeError(
            "an allocator belongs to one process and cannot be pickled; send its arrays or "
            "descriptors"
        )

    def _owned(self) -> NamedArrays:
        if not self._table.owned:
            raise HeavyZoneError(
                f"heavy zone {self.session} belongs to process {self._table.pid}; this is "
                f"process {os.getpid()}, forked from it. Make an allocator of its own here."
            )
        return self._named

    def _block(self, key: str) -> NamedBlock:
        found = self._named.blocks.get(key)
        if found is None:
            known = ", ".join(map(repr, list(self._named.blocks)[:20])) or "none"
            raise HeavyGoneError(
                f"there is no heavy array {key!r} in session {self.session}; keys: {known}",
                key=key,
                segment=None,
            )
        return found


ManagedAllocator = HeavyZoneAllocator
