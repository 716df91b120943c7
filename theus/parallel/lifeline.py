"""A worker ends when its parent does, whatever either of them is doing.

The parent holds the other end of a pipe and never writes. When it dies, by SIGKILL too, the
kernel closes that end; where the system can say so by a signal (Linux), it kills the worker
even inside C code that holds the interpreter, else a thread that waits for it does.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading

__all__ = ["die_with"]


def die_with(fd: int) -> None:
    """End this process by SIGKILL once the other end of the pipe ``fd`` is closed.

    Call it once, on a descriptor of which no other process has a copy.
    """
    by_signal = getattr(fcntl, "F_SETSIG", None)
    if by_signal is None:
        threading.Thread(target=watch, args=(fd,), name="theus-lifeline", daemon=True).start()
        return
    fcntl.fcntl(fd, by_signal, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    if _closed(fd, 0):  # before the signal was asked for
        _end()


def watch(fd: int) -> None:
    """Wait until the other end is closed, then end this process. For systems without the signal."""
    while not _closed(fd, None):
        continue
    _end()


def _closed(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout))


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
