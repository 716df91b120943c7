"""The main function of a worker process: warm up, then one task after another until told to end.

Standard output goes where the parent's goes. Standard error goes through a pipe to the
parent, which passes it on and keeps the end of it for the report of a crash.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import select
import signal
import threading
import time
from collections import deque
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import NamedTuple

from theus._logs import logger
from theus.parallel.answer import answer
from theus.parallel.arrays import Borrower, Lend, blocks_viewed, forget_gone, lend_by, seal
from theus.parallel.channel import Inbox, Kind, Message, Outlet
from theus.parallel.lifeline import die_with
from theus.parallel.relay import relay_logs

__all__ = ["Setup", "main"]

_log = logger("parallel")
_LARGE = 1 << 15
_LATEST = 0.0005  # seconds that an answer waits for others to go with
_IDLE = 1.0  # seconds without a task after which memory that is gone is let go


class Setup(NamedTuple):
    """What a worker is told once: modules to import, log levels of the parent."""

    modules: tuple[str, ...]
    levels: dict[str, int]
    lends: bool = False  # whether the parent lends memory for large arrays


class _Link:
    """Both directions of the channel, and what a worker has of its parent's memory.

    Sending is locked: a task may log from its own threads. So is asking.
    """

    def __init__(self, fd: int, lends: bool) -> None:
        self._fd = fd
        self._inbox = Inbox(fd)
        self._outlet = Outlet(fd)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._viewed: list[tuple[str, int, int]] = []
        self._tidy = True
        self._answered = 0.0  # when the oldest answer that waits was given
        self.borrower = Borrower(self.ask)
        self.lend = self.borrower.lend_if_there_is_room if lends else None

    def receive(self) -> Message | None:
        """The next message; None when there will be none. Answers go out before it waits."""
        message = self._waiting.popleft() if self._waiting else self._inbox.next()
        if message is not None:
            if time.monotonic() - self._answered > _LATEST:
                self._flush()
            return message
        self._flush()
        if not self._tidy and not select.select([self._fd], [], [], _IDLE)[0]:
            self._tidy = True
            forget_gone()
        return self._inbox.wait()

    def send(self, kind: Kind, number: int = 0, data: bytes = b"") -> None:
        """Send a message."""
        with self._lock:
            self._outlet.send(kind, number, data)

    def ask(self, question: bytes) -> bytes | bytearray:
        """Ask the parent for memory; what else it sends meanwhile waits."""
        with self._asking:
            self.send(Kind.LEASE, 0, question)
            while (message := self._inbox.wait()) is not None:
                if message.kind is Kind.LEASED:
                    return message.data
                self._waiting.append(message)
        raise BrokenPipeError("the parent is gone")

    def answer(self, number: int, data: bytes) -> None:
        """Send an outcome, and before it which blocks have to stay."""
        viewed = blocks_viewed()
        if viewed and viewed != self._viewed:  # really, or by a traceback that nobody needs
            gc.collect()
            viewed = blocks_viewed()
        if viewed != self._viewed:
            self.send(Kind.HELD, number, pickle.dumps(viewed))
            self._viewed = viewed
        with self._lock:
            if not self._outlet.waits:
                self._answered = time.monotonic()
            self._outlet.send(Kind.OUTCOME, number, data, flush=len(data) > _LARGE)
        self._tidy = False

    def _flush(self) -> None:
        with self._lock:
            self._outlet.flush()


def main(channel: Connection, stderr: Connection, lifeline: Connection, setup: Setup) -> None:
    """Serve tasks from ``channel`` until it says stop or ends. Runs in the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    faulthandler.enable(file=2)
    die_with(lifeline.fileno())
    link = _Link(channel.fileno(), setup.lends)
    relay_logs(setup.levels, partial(link.send, Kind.LOG, 0))
    if setup.lends:
        lend_by(link.borrower.lend)
    for module in setup.modules:
        _warm_up(module)
    link.send(Kind.READY, os.getpid())
    try:
        while _serve(link):
            continue
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, and nobody waits for the outcome


def _warm_up(module: str) -> None:
    try:
        import_module(module)
    except Exception:  # noqa: BLE001 - its tasks will say so again, each to its caller
        _log.warning("worker %d could not import %s", os.getpid(), module, exc_info=True)


def _serve(link: _Link) -> bool:
    """One task; nothing of it is held afterwards. False when there are no more."""
    message = link.receive()
    if message is None or message.kind is not Kind.TASK:
        return False
    link.answer(message.number, _answer(message.data, link.lend))
    return True


def _answer(data: bytes | bytearray, lend: Lend | None) -> bytes:
    """A function of its own, so that no array of the task is held when this has returned."""
    packed, held = answer(data, lend)
    seal(held)
    return packed
