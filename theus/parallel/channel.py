"""Messages over a duplex pipe: a fixed head, then the bytes.

`Inbox` and `Outlet` work on one file descriptor, blocking (in a worker) or not (in the
parent, where nothing may hold up the one thread that serves all workers).
"""

from __future__ import annotations

import os
from collections import deque
from enum import IntEnum
from struct import Struct
from typing import NamedTuple, final

from theus.errors import ParallelError

__all__ = ["Inbox", "Kind", "Message", "Outlet"]

_HEAD = Struct("<IIQQ")  # mark, kind, number of the task, length
_SIZE = _HEAD.size
_MARK = 0x5548_5450
_AT_ONCE = 1 << 16
_ROUND = 1 << 20
_PIECES = 256

Bytes = bytes | bytearray | memoryview


class Kind(IntEnum):
    """What a message is about."""

    READY = 1  # worker: warmed up
    TASK = 2  # parent: run this
    OUTCOME = 3  # worker: what the task came to
    LOG = 4  # worker: a log record
    STOP = 5  # parent: end
    LEASE = 6  # worker: memory for an array, please
    LEASED = 7  # parent: here, or why not
    HELD = 8  # worker: the blocks that it still has views of, before an outcome


KINDS = {int(kind): kind for kind in Kind}


class Message(NamedTuple):
    """One message: its kind, the number of the task it belongs to (0: none), its bytes."""

    kind: Kind
    number: int
    data: bytes | bytearray


@final
class Inbox:
    """Cuts what comes from a descriptor into messages. For one thread.

    ``ended`` is True once the other side has closed, ``drained`` when the last read took all
    that was there. A large message is read straight into the buffer it is handed out in.
    """

    __slots__ = ("_buffer", "_fd", "_filled", "_head", "_large", "drained", "ended")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""
        self._large: bytearray | None = None
        self._filled = 0
        self._head = (Kind.STOP, 0)
        self.drained = False
        self.ended = False

    def read(self) -> int:
        """One read from the descriptor: its number of bytes, 0 at the end.

        Raises `BlockingIOError` where the descriptor does not block and nothing is there.
        """
        try:
            if self._large is None:
                data = os.read(self._fd, _AT_ONCE)
                count = len(data)
                self.drained = count < _AT_ONCE
                self._buffer = self._buffer + data if self._buffer else data
            else:
                count = os.readv(self._fd, [memoryview(self._large)[self._filled :]])
                self._filled += count
                self.drained = False
        except ConnectionResetError:  # it closed with something of ours unread
            count = 0
        if count == 0:
            self.ended = True
        return count

    def next(self) -> Message | None:
        """The next whole message that was read, None if there is none yet.

        Raises ParallelError when what was read is no message of ours.
        """
        buffer = self._buffer
        if len(buffer) < _SIZE:
            return self._next_large() if self._large is not None else None
        mark, code, number, length = _HEAD.unpack_from(buffer)
        kind = KINDS.get(code)
        if mark != _MARK or kind is None:
            raise ParallelError("a message between parent and worker is damaged")
        end = _SIZE + length
        if len(buffer) >= end:
            self._buffer = buffer[end:]
            return Message(kind, number, buffer[_SIZE:end])
        if length > _AT_ONCE:
            self._large = bytearray(length)
            self._filled = len(buffer) - _SIZE
            self._large[: self._filled] = buffer[_SIZE:]
            self._head = (kind, number)
            self._buffer = b""
        return None

    def _next_large(self) -> Message | None:
        data = self._large
        if data is None or self._filled < len(data):
            return None
        self._large = None
        return Message(*self._head, data)

    def wait(self) -> Message | None:
        """The next message, waited for; None when the other side closed. For blocking ends."""
        while (message := self.next()) is None:
            if self.read() == 0:
                return None
        return message


@final
class Outlet:
    """Sends messages into a descriptor. For one thread at a time."""

    __slots__ = ("_fd", "_waiting")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: deque[memoryview] = deque()

    def send(self, kind: Kind, number: int = 0, data: Bytes = b"", *, flush: bool = True) -> bool:
        """Send a message; False when a part waits for `flush` (a descriptor that is full).

        Without ``flush`` all of it waits, to go out with others.

        Raises `OSError` (`BrokenPipeError`, ...) when the other side is gone.
        """
        head = _HEAD.pack(_MARK, kind, number, len(data))
        waiting = self._waiting
        if len(data) > _AT_ONCE:
            waiting.append(memoryview(head))
            waiting.append(memoryview(data))
            return self.flush() if flush else False
        message = head + data
        if waiting or not flush:
            waiting.append(memoryview(message))
            return self.flush() if flush else False
        try:
            count = os.write(self._fd, message)
        except BlockingIOError:
            count = 0
        if count == len(message):
            return True
        waiting.append(memoryview(message)[count:])
        return self.flush()

    @property
    def waits(self) -> bool:
        """Whether there is something for `flush` to do."""
        return bool(self._waiting)

    def flush(self) -> bool:
        """Go on with what waits, many messages at a time; True when nothing waits any more."""
        waiting = self._waiting
        while waiting:
            pieces, size = [], 0
            for piece in waiting:
                pieces.append(piece[: _ROUND - size])
                size += len(pieces[-1])
                if size >= _ROUND or len(pieces) == _PIECES:
                    break
            try:
                count = os.writev(self._fd, pieces)
            except BlockingIOError:
                return False
            while count:
                first = waiting[0]
                if count < len(first):
                    waiting[0] = first[count:]
                    break
                count -= len(first)
                waiting.popleft()
        return True
