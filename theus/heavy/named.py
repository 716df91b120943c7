"""Named arrays of an allocator: a segment of its own for each generation of a key."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from theus.heavy import window as windows
from theus.heavy.arena import Arena
from theus.heavy.array import ShmArray, array_over
from theus.heavy.descriptor import BufferDescriptor
from theus.heavy.dtypes import encode_dtype
from theus.heavy.names import segment_name
from theus.heavy.table import Held, Table
from theus.heavy.window import Window

__all__ = ["NamedArrays", "NamedBlock"]


@dataclass(slots=True)
class NamedBlock:
    """One generation of one key."""

    descriptor: BufferDescriptor
    array: ShmArray
    window: Window | None
    held: Held | None

    @property
    def bytes(self) -> int:
        """Bytes of the pages it takes."""
        return 0 if self.held is None else self.held.bytes


class NamedArrays:
    """The named arrays of an allocator; outlives it long enough to be released."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.arena = Arena(table)
        self.blocks: dict[str, NamedBlock] = {}
        self.leftovers: set[str] = set()  # names of what was replaced but is still viewed
        self.generations: dict[str, int] = {}
        self.allocated = self.freed = 0
        table.holders = self._holders

    def make(
        self, key: str, shape: tuple[int, ...], kind: np.dtype[Any], nbytes: int
    ) -> NamedBlock:
        """Make segment and array of a new generation; the bytes count from now on."""
        table = self.table
        table.collect()
        generation = self.generations.get(key, 0) + 1
        name = segment_name(table.registry.session, table.pid, key, generation)
        held, window = None, None
        if nbytes == 0:
            array = np.zeros(shape, kind).view(ShmArray)
        else:
            held = table.hold(name, nbytes, key, generation)
            name = held.segment.name
            window = windows.hold(Window(held.segment, key=key, generation=generation))
            array = array_over(window.bytes(), shape, kind, 0, None)
        self.generations[key] = generation
        text = encode_dtype(kind)
        descriptor = BufferDescriptor(
            name, nbytes, shape, text, generation=generation, readonly=True, key=key
        )
        self.allocated += 1
        return NamedBlock(descriptor, array, window, held)

    def publish(self, key: str, block: NamedBlock) -> None:
        """Make a block the current one of its key.

        The one before keeps its name as long as this process has a view of it: states and
        snapshots that hold it can still be sent to workers.
        """
        old = self.blocks.get(key)
        self.blocks[key] = block
        if old is not None:
            self._linger(old, named=True)
        del old
        self.table.collect()

    def discard(self, block: NamedBlock) -> None:
        """Take a block's name away; its bytes linger until the last view in this process ends."""
        self._linger(block, named=False)
        if block.held is not None:
            self.table.remove(block.held.segment.name)

    def _linger(self, block: NamedBlock, *, named: bool) -> None:
        table, held = self.table, block.held
        self.freed += 1
        if held is None or block.window is None:
            return
        table.let_go(held, viewed=True)
        name, lingering = held.segment.name, 0 if held.spilled else held.bytes
        if named:
            self.leftovers.add(name)
        end = weakref.finalize(
            block.window.bytes(), table.end_later, lambda: self._gone(name, lingering)
        )
        end.atexit = False

    def _gone(self, name: str, lingering: int) -> None:
        """The last view of a segment that was replaced or freed is gone. Under the lock."""
        self.table.lingering -= lingering
        if name in self.leftovers:
            self.leftovers.discard(name)
            self.table.remove(name)

    def _holders(self) -> list[tuple[str, int]]:
        named = [(name, block.bytes) for name, block in self.blocks.items()]
        leased = self.arena.stats().leased
        return [*named, ("(leases and versions)", leased)] if leased else named

    def release_all(self) -> None:
        """Unlink everything; only in the process that made it."""
        if not self.table.owned:
            return
        with self.table.lock:
            while self.blocks:
                self.discard(self.blocks.popitem()[1])
            self.table.collect()
            while self.leftovers:
                self.table.remove(self.leftovers.pop())
            self.arena.end()
            self.table.registry.close()
