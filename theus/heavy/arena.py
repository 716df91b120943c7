"""Arenas: blocks of shared memory that are taken and given back in microseconds.

Making a segment and touching its pages for the first time costs far more than writing them
again, so an arena keeps a few large segments (chunks) and hands out parts of them. A block
belongs to whoever holds it or a view of it: states, snapshots, leases, tasks, the program.
When the last of them is gone, its pages are free for the next.

Only the owner process takes blocks, so there is no lock in shared memory that somebody could
die with. Thread-safe: the lock of the owner's table is held for the bookkeeping; what
finalizers give back waits in a queue for the next who takes.
"""

from __future__ import annotations

import gc
import itertools
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, final

from theus.errors import HeavyZoneError, HeavyZoneFullError
from theus.heavy import blocks
from theus.heavy.names import short_name
from theus.heavy.segment import PAGE, SafeSharedMemory, live_buffer
from theus.heavy.space import Space
from theus.heavy.window import Window

if TYPE_CHECKING:
    from theus.heavy.table import Held, Table

__all__ = ["Arena", "ArenaStats", "Block"]

_FIRST_CHUNK = 4 << 20
_CHUNK = 64 << 20
_PAUSE = 0.002


class ArenaStats(NamedTuple):
    """Chunks, their bytes, how many of those are in use, and how many blocks were taken."""

    chunks: int
    chunk_bytes: int
    leased: int
    taken: int


@final
class Block:
    """A part of a chunk. It is given back when nobody holds it any more, or by `release`.

    `origin` is its first byte in the chunk, `size` its bytes, `generation` a number that no
    other block of the arena had.
    """

    __slots__ = ("__weakref__", "_chunk", "generation", "key", "origin", "size")

    def __init__(self, chunk: Chunk, origin: int, size: int, generation: int, key: str) -> None:
        self._chunk: Chunk | None = chunk
        self.origin = origin
        self.size = size
        self.generation = generation
        self.key = key

    @property
    def name(self) -> str:
        """The segment it lies in."""
        return self.chunk.name

    @property
    def chunk(self) -> Chunk:
        """The chunk it is a part of. Raises HeavyZoneError once it was released."""
        if self._chunk is None:
            raise HeavyZoneError(f"block of {self.key!r} was released", key=self.key)
        return self._chunk

    def window(self, *, readonly: bool = True) -> Window:
        """A window on it; its views keep the block."""
        return self.chunk.window_on(self, readonly)

    def release(self) -> None:
        """Give it back now. Only for who knows that there is no view of it."""
        chunk, self._chunk = self._chunk, None
        if chunk is not None:
            with chunk.table.lock:
                chunk.give(self.origin)

    def __del__(self) -> None:
        chunk = self._chunk
        if chunk is not None:
            origin = self.origin
            chunk.table.end_later(lambda: chunk.give(origin))

    def __repr__(self) -> str:
        return f"<Block {self.size:,} bytes for {self.key!r}, generation {self.generation}>"


@final
class Chunk:
    """One segment of an arena, and what is taken of it."""

    __slots__ = (
        "__weakref__",
        "_blocks",
        "_reader",
        "_slots",
        "_writer",
        "held",
        "segment",
        "space",
        "table",
    )

    def __init__(self, table: Table, held: Held) -> None:
        segment = held.segment
        pages = segment.size // PAGE
        self.table = table
        self.held = held
        self.segment = segment
        self.space = Space(blocks.head_pages(pages), pages)
        self._slots = live_buffer(segment).cast("B").cast("Q")
        blocks.write_head(self._slots, pages)
        self._reader = Window(SafeSharedMemory(segment.name))
        self._writer = Window(segment)
        self._blocks: dict[int, weakref.ref[Block]] = {}
        blocks.own(segment.name, self)

    @property
    def name(self) -> str:
        """Name of the segment."""
        return self.segment.name

    def take(self, pages: int, size: int, generation: int, key: str) -> Block | None:
        """A block of so many pages, None when there is no room. Under the table's lock."""
        first = self.space.take(pages)
        if first is None:
            return None
        self._slots[2 * first + 1] = size
        self._slots[2 * first] = generation
        block = Block(self, first * PAGE, size, generation, key)
        self._blocks[first * PAGE] = weakref.ref(block)
        return block

    def give(self, origin: int) -> None:
        """Take a block back. Under the table's lock."""
        first = origin // PAGE
        self._slots[2 * first] = 0
        del self._blocks[origin]
        self.space.give(first)

    def block_window(self, origin: int, generation: int, readonly: bool) -> Window | None:
        """The window on a block; None when there is none of that generation (any more)."""
        known = self._blocks.get(origin)
        block = None if known is None else known()
        if block is None or block.generation != generation:
            return None
        return self.window_on(block, readonly)

    def window_on(self, block: Block, readonly: bool) -> Window:
        """A window on a block, for reading or writing."""
        mapped = self._reader if readonly else self._writer
        return Window(
            mapped.segment,
            key=block.key,
            generation=block.generation,
            origin=block.origin,
            size=block.size,
            block=block,
            base=mapped.address,
        )

    def renew_writer(self) -> None:
        """Write through a new mapping from now on; views of the old one keep it."""
        self._writer = Window(SafeSharedMemory(self.segment.name, readonly=False))

    def end(self) -> None:
        """Take the name away. Views that are alive stay valid. Under the table's lock."""
        self.table.remove(self.segment.name)
        self.table.let_go(self.held, viewed=False)


@final
class Arena:
    """The chunks of one owner, and who gets a part of them.

    Parameters
    ----------
    table:
        The owner's segments and accounts. Chunks count against its limit, used or not.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._chunks: list[Chunk] = []
        self._generations = itertools.count(1)
        self.taken = 0
        table.relief = self._trim

    def take(self, nbytes: int, key: str = "", timeout: float = 0.0) -> Block:
        """A block of at least one page for `nbytes` bytes. What was in it is still there.

        Waits up to `timeout` seconds for others to give back. Raises HeavyZoneFullError.
        """
        table = self._table
        pages = max(1, -(-nbytes // PAGE))
        with table.lock:
            table.collect()
            block = self._fit(pages, nbytes, key)
            if block is not None:
                return block
            with suppress(HeavyZoneFullError):
                return self._grow(pages, nbytes, key)
        return self._take_late(pages, nbytes, key, timeout)

    def _take_late(self, pages: int, nbytes: int, key: str, timeout: float) -> Block:
        """When there is no room: free what only cycles hold, then wait."""
        table = self._table
        gc.collect()
        deadline = time.monotonic() + timeout
        while True:
            with table.lock:
                table.collect()
                block = self._fit(pages, nbytes, key)
                if block is not None:
                    return block
                try:
                    return self._grow(pages, nbytes, key)
                except HeavyZoneFullError:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise
            time.sleep(min(left, _PAUSE))

    def _fit(self, pages: int, nbytes: int, key: str) -> Block | None:
        for chunk in self._chunks:
            block = chunk.take(pages, nbytes, next(self._generations), key)
            if block is not None:
                self.taken += 1
                return block
        return None

    def _grow(self, pages: int, nbytes: int, key: str) -> Block:
        """Make a chunk with room for so many pages: larger ones as the arena grows."""
        least = _with_head(pages)
        usual = min(_CHUNK, max(_FIRST_CHUNK, 2 * sum(chunk.held.bytes for chunk in self._chunks)))
        wanted = max(least, usual)
        if wanted > self._table.free:
            wanted = least
        table = self._table
        held = table.hold(short_name(table.registry.session), wanted, key, 0)  # may trim the list
        try:
            made = Chunk(table, held)
        except BaseException:
            table.remove(held.segment.name)
            table.let_go(held, viewed=False)
            raise
        self._chunks = sorted([*self._chunks, made], key=lambda one: one.held.bytes)
        block = self._fit(pages, nbytes, key)
        if block is None:  # cannot be: the chunk was made to hold it
            raise HeavyZoneError(f"no room for {nbytes:,} bytes in a new chunk", key=key)
        return block

    def trim(self) -> int:
        """Give back the chunks that nothing is taken of; returns their bytes."""
        with self._table.lock:
            self._table.collect()
            return self._trim()

    def _trim(self) -> int:
        empty = [chunk for chunk in self._chunks if chunk.space.empty]
        self._chunks = [chunk for chunk in self._chunks if not chunk.space.empty]
        for chunk in empty:
            chunk.end()
        return sum(chunk.held.bytes for chunk in empty)

    def end(self) -> None:
        """Take all names away. Under the table's lock."""
        for chunk in self._chunks:
            chunk.end()
        self._chunks = []

    def stats(self) -> ArenaStats:
        """The accounting at this moment. Under the table's lock."""
        chunks = self._chunks
        idle = sum(chunk.space.free + chunk.space.start for chunk in chunks) * PAGE
        total = sum(chunk.held.bytes for chunk in chunks)
        return ArenaStats(len(chunks), total, total - idle, self.taken)


def _with_head(pages: int) -> int:
    """Bytes of the smallest chunk with room for a block of so many pages."""
    total = pages + 1
    while total - blocks.head_pages(total) < pages:
        total += 1
    return total * PAGE
