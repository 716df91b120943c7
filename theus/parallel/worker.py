"""The main function of a worker process: warm up, then one task after another until told to end.

Standard output goes where the parent's goes. Standard error goes through a pipe to the
parent, which passes it on and keeps the end of it for the report of a crash.
"""

from __future__ import annotations

import contextvars
import faulthandler
import gc
import logging
import os
import pickle
import select
import signal
import sys
import threading
import time
from collections import deque
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from theus._logs import logger
from theus.parallel.arrays import Borrower, Lend, blocks_viewed, forget_gone, seal
from theus.parallel.channel import Inbox, Kind, Message, Outlet
from theus.parallel.lifeline import die_with
from theus.parallel.parcel import Job, Outcome, pack_outcome, unpack
from theus.parallel.relay import RelayHandler
from theus.parallel.run import run
from theus.parallel.trace_context import restore

__all__ = ["Setup", "find_variable", "main"]

_log = logger("parallel")
_LARGE = 1 << 15
_LATEST = 0.0005  # seconds that an answer waits for others to go with
_IDLE = 1.0  # seconds without a task after which memory that is gone is let go


class Setup(NamedTuple):
    """What a worker is told once: modules to import, log levels of the parent."""

    modules: tuple[str, ...]
    levels: dict[str, int]
    lends: bool = False  # whether the parent lends memory for large arrays


def find_variable(place: str) -> contextvars.ContextVar[Any]:
    """The context variable at ``module:name``.

    Raises ImportError, AttributeError or TypeError where there is none.
    """
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, contextvars.ContextVar):
        raise TypeError(f"{place} is {type(found).__name__}, not a ContextVar")
    return found


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
    _relay_logs(link, setup.levels)
    for module in setup.modules:
        _warm_up(module)
    link.send(Kind.READY, os.getpid())
    try:
        while _serve(link):
            continue
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, and nobody waits for the outcome


def _relay_logs(link: _Link, levels: dict[str, int]) -> None:
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.root.addHandler(RelayHandler(partial(link.send, Kind.LOG, 0)))


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
    name = ""
    try:
        job = unpack(data)
        name = job.name
        if logging.root.level != job.log_level:
            logging.root.setLevel(job.log_level)
        outcome = contextvars.Context().run(_run, job)
    except Exception as error:  # noqa: BLE001 - told to whoever waits for the task
        outcome = Outcome(error=error)
    _flush()
    packed, held = pack_outcome(outcome, name, lend)
    seal(held)
    return packed


def _run(job: Job) -> Outcome:
    for place, value in job.carried.items():
        find_variable(place).set(value)
    if job.trace is not None:
        restore(job.trace)
    return run(job.function, job.context, job.args, job.kwargs, job.limit)


def _flush() -> None:
    """Send on what the task wrote; a worker that is killed later must not keep it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):  # closed by the task, or nobody reads it
                continue
