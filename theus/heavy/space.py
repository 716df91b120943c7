"""Space: which parts of a range are free.

Counts in units; knows nothing of memory. Best fit, and neighbours that are free become one at
once, so that what is free never lies in smaller pieces than it has to.
"""

from __future__ import annotations

from bisect import bisect_left, insort

__all__ = ["Space"]


class Space:
    """The free and the taken parts of the range [start, end).

    Not thread-safe: its owner holds a lock. `take` and `give` cost O(log pieces), and a shift
    of the list of free pieces.
    """

    __slots__ = ("_by_end", "_by_size", "_by_start", "_taken", "end", "free", "start")

    def __init__(self, start: int, end: int) -> None:
        if not 0 <= start < end:
            raise ValueError(f"a space from {start} to {end} holds nothing")
        self.start = start
        self.end = end
        self.free = 0
        self._by_start: dict[int, int] = {}  # first unit of a free piece -> the unit after it
        self._by_end: dict[int, int] = {}  # the unit after a free piece -> its first
        self._by_size: list[tuple[int, int]] = []  # (length, first), sorted
        self._taken: dict[int, int] = {}  # first unit of what is taken -> its length
        self._add(start, end)
        self.free = end - start

    @property
    def largest(self) -> int:
        """Length of the largest free piece."""
        return self._by_size[-1][0] if self._by_size else 0

    @property
    def empty(self) -> bool:
        """Whether nothing is taken."""
        return not self._taken

    def take(self, length: int) -> int | None:
        """Take `length` units in one piece; its first unit, or None when no piece is so long."""
        place = bisect_left(self._by_size, (length, 0))
        if length < 1 or place == len(self._by_size):
            return None
        size, first = self._by_size.pop(place)
        del self._by_end[self._by_start.pop(first)]
        if size > length:
            self._add(first + length, first + size)
        self._taken[first] = length
        self.free -= length
        return first

    def give(self, first: int) -> int:
        """Give back what was taken at `first`; its length. Raises KeyError for anything else."""
        length = self._taken.pop(first)
        self.free += length
        low, high = first, first + length
        before = self._by_end.pop(low, None)
        if before is not None:
            self._drop(before, low)
            del self._by_start[before]
            low = before
        after = self._by_start.pop(high, None)
        if after is not None:
            self._drop(high, after)
            del self._by_end[after]
            high = after
        self._add(low, high)
        return length

    def _add(self, low: int, high: int) -> None:
        self._by_start[low] = high
        self._by_end[high] = low
        insort(self._by_size, (high - low, low))

    def _drop(self, low: int, high: int) -> None:
        del self._by_size[bisect_left(self._by_size, (high - low, low))]
