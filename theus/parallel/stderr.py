"""The standard error of the workers, passed on to our own without ever waiting for its reader.

Everything here is called by the dispatcher's thread.
"""

from __future__ import annotations

import os
import select
import time
from multiprocessing.connection import Connection
from typing import final

__all__ = ["StderrRest", "StderrTail"]

_KEPT = 8192
_PIECE = 4096  # what a pipe that is ready for writing takes without blocking
_REST = 1 << 20


@final
class StderrTail:
    """The read end of a worker's standard error: passes it on, and keeps the end of it."""

    __slots__ = ("_end", "_reader", "ended", "fd")

    def __init__(self, reader: Connection) -> None:
        self._reader = reader
        self.fd = reader.fileno()
        os.set_blocking(self.fd, False)
        self._end = bytearray()
        self.ended = False

    def pass_on(self) -> bool:
        """Move one piece to our own standard error; False when that takes nothing just now.

        The worker then waits for its reader, as it would if it wrote there itself.
        """
        if not _when(2, select.POLLOUT):
            return False
        _write(self._take())
        return True

    def finish(self, rest: StderrRest) -> str:
        """Take what is left after the worker's end into ``rest``; the end of all it wrote."""
        while not self.ended and _when(self.fd, select.POLLIN):
            rest.add(self._take())
        return self._end[-_KEPT:].decode(errors="replace").strip()

    def _take(self) -> bytes:
        try:
            piece = os.read(self.fd, _PIECE)
        except BlockingIOError:
            return b""
        self.ended = not piece
        self._end += piece
        if len(self._end) > 2 * _KEPT:
            del self._end[:-_KEPT]
        return piece

    def close(self) -> None:
        """Close our end."""
        self._reader.close()


@final
class StderrRest:
    """What workers wrote before they ended and our standard error has not taken yet.

    A pipe holds some 64 KiB; of what more than 16 workers leave while nobody reads, the rest
    is dropped, and `lost` counts its bytes.
    """

    __slots__ = ("_bytes", "lost")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.lost = 0

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def add(self, piece: bytes) -> None:
        """Keep a piece until it can be passed on."""
        if len(self._bytes) + len(piece) > _REST:
            self.lost += len(piece)
        else:
            self._bytes += piece

    def pass_on(self, patience: float = 0.0) -> None:
        """Write what our standard error takes, waiting at most ``patience`` seconds for it."""
        until = time.monotonic() + patience
        while self._bytes and _when(2, select.POLLOUT, max(0.0, until - time.monotonic())):
            _write(self._bytes[:_PIECE])
            del self._bytes[:_PIECE]


def _when(fd: int, event: int, seconds: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(seconds * 1000))


def _write(piece: bytes | bytearray) -> None:
    try:
        while piece:
            piece = piece[os.write(2, piece) :]
    except OSError:  # our standard error is closed; the end is kept all the same
        return
