"""Blocks of arenas: how the head of a chunk is read, and windows on one block of it.

A chunk is a segment that holds many blocks. Its first pages are a table of two numbers per
page: for the first page of a block that is in use, the generation of the block (never given
out twice) and its bytes; zeros elsewhere. A descriptor that outlived its block is told from
one that did not by that table, so nobody ever sees the bytes of somebody else.

The owner of a chunk finds its own blocks; every other process maps the chunk, once, through
the attach cache. All functions are thread-safe.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol, final

from theus.errors import HeavyGoneError, StaleHeavyError
from theus.heavy import window as windows
from theus.heavy.segment import PAGE, live_buffer
from theus.heavy.window import Pinned, Window

__all__ = [
    "SLOT_BYTES",
    "BorrowedBlock",
    "ChunkOwner",
    "attach_block",
    "head_pages",
    "own",
    "views_alive",
]

SLOT_BYTES = 16  # two numbers of 64 bits
_MAGIC = 0x7468657573_0001


class ChunkOwner(Protocol):
    """Who made a chunk, in this process."""

    def block_window(self, origin: int, generation: int, readonly: bool) -> Window | None:
        """The window on a block of it; None when there is none of that generation (any more)."""
        ...


_own: weakref.WeakValueDictionary[str, ChunkOwner] = weakref.WeakValueDictionary()
_borrowed: weakref.WeakValueDictionary[tuple[str, int, int, bool], Window] = (
    weakref.WeakValueDictionary()
)


def head_pages(pages: int) -> int:
    """How many of `pages` pages the table of their blocks takes."""
    return -(-pages * SLOT_BYTES // PAGE)


def write_head(slots: memoryview, pages: int) -> None:
    """Begin the table of a new chunk of so many pages."""
    slots[0], slots[1] = _MAGIC, pages


def own(name: str, owner: ChunkOwner) -> None:
    """Note that this process made the chunk called `name`."""
    _own[name] = owner


def attach_block(
    name: str, origin: int, generation: int, *, readonly: bool = True, key: str = ""
) -> Pinned:
    """The memory of one block, pinned.

    Raises
    ------
    StaleHeavyError
        The block was freed; its memory may hold something else by now.
    HeavyGoneError, HeavyZoneError
        The chunk is gone, or is not ours.
    """
    owner = _own.get(name)
    if owner is not None:
        found = owner.block_window(origin, generation, readonly)
        if found is None:
            raise _stale(name, key)
        return found.bytes()
    place = (name, origin, generation, readonly)
    known = _borrowed.get(place)
    if known is not None and known.segment.buf is not None:
        return known.bytes()
    return _borrow(place, key).bytes()


def _borrow(place: tuple[str, int, int, bool], key: str) -> Window:
    name, origin, generation, readonly = place
    chunk = windows.attach(name, PAGE, readonly=readonly, key=key).window
    slots = live_buffer(chunk.segment).cast("B").cast("Q")
    pages = chunk.segment.size // PAGE
    if slots[0] != _MAGIC or slots[1] != pages or origin % PAGE or not 0 < origin // PAGE < pages:
        raise HeavyGoneError(
            f"{key or name!r}: segment {name!r} holds no block at {origin}", key=key, segment=name
        )
    slot = 2 * (origin // PAGE)
    size = slots[slot + 1]
    if slots[slot] != generation or not 0 < size <= chunk.segment.size - origin:
        raise _stale(name, key)
    window = Window(chunk.segment, key=key, generation=generation, origin=origin, size=size)
    _borrowed[place] = window
    return window


@final
class BorrowedBlock:
    """A block that another process owns, and lent to this one to write into.

    Stands where an `arena.Block` stands in the owner.
    """

    __slots__ = ("generation", "key", "name", "origin")

    def __init__(self, name: str, origin: int, generation: int, key: str) -> None:
        self.name = name
        self.origin = origin
        self.generation = generation
        self.key = key

    def window(self, *, readonly: bool = True) -> Window:
        """A window on it; raises as `attach_block`."""
        place = (self.origin, self.generation)
        return attach_block(self.name, *place, readonly=readonly, key=self.key).window

    def renew(self) -> None:
        """Write through another mapping from now on; views of this one keep it."""
        windows.retire(self.name)


def views_alive() -> list[tuple[str, int, int]]:
    """The blocks of others that this process still has views of: name, origin, generation."""
    return [place[:3] for place, window in list(_borrowed.items()) if window.viewed]


def _stale(name: str, key: str) -> StaleHeavyError:
    return StaleHeavyError(
        f"heavy array {key or '(unnamed)'!r} is gone: its block in {name!r} was freed, and may "
        "hold something else by now. Take the descriptor from the current state.",
        key=key or None,
        segment=name,
    )


def _after_fork() -> None:
    _own.clear()  # a child reads like any borrower
    _borrowed.clear()


os.register_at_fork(after_in_child=_after_fork)
