"""Messages between this program and its sub-interpreters, through a file that only they have.

Objects cannot be shared between interpreters, and the queues that Python has for them look
for news every 10 ms. Both sides of an `Exchange` take turns: one writes, then the other reads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from struct import Struct

__all__ = ["Exchange", "make_file"]

_COUNT = Struct("<Q")
_AT_ONCE = 1 << 12
_KEPT = 1 << 20  # bytes that the file keeps between messages


def make_file() -> int:
    """A descriptor of a new file without a name, in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("theus-exchange", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


class Exchange:
    """One side of an exchange over the file `fd`, which belongs to somebody else."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def put(self, parts: Iterable[bytes]) -> None:
        """Write a message of several parts."""
        sent = list(parts)
        head = b"".join(_COUNT.pack(count) for count in (len(sent), *map(len, sent)))
        small = sum(map(len, sent)) < _AT_ONCE
        place = 0
        for piece in (b"".join((head, *sent)),) if small else (head, *sent):
            place = self._write(piece, place)

    def take(self) -> list[bytes | bytearray]:
        """The parts of the message that was written last; a large file is emptied."""
        begin = os.pread(self._fd, _AT_ONCE, 0)
        (count,) = _COUNT.unpack_from(begin)
        place = (count + 1) * _COUNT.size
        head = begin[:place] if place <= len(begin) else self._read(place, 0)
        parts: list[bytes | bytearray] = []
        for (size,) in _COUNT.iter_unpack(head[_COUNT.size :]):
            end = place + size
            parts.append(begin[place:end] if end <= len(begin) else self._read(size, place))
            place = end
        if place > _KEPT:
            os.ftruncate(self._fd, 0)
        return parts

    def _write(self, piece: bytes, place: int) -> int:
        view = memoryview(piece)
        while view:
            count = os.pwrite(self._fd, view, place)
            place += count
            view = view[count:]
        return place

    def _read(self, size: int, place: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = os.preadv(self._fd, [view], place)
            if count == 0:
                raise EOFError("the exchange with a sub-interpreter was emptied by somebody else")
            place += count
            view = view[count:]
        return data
