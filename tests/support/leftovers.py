"""What a test may leave behind by mistake: processes, threads, shared-memory segments."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

_SHM = Path("/dev/shm")
_PREFIX = "theus"
_OF_MULTIPROCESSING = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")


def children() -> set[str]:
    """Living child processes of this one as ``pid: command line``.

    The helpers that `multiprocessing` itself keeps for the life of a program do not count.
    Empty where the system has no ``/proc``.
    """
    found: set[str] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in _read(listing).split():
            command = _read(Path(f"/proc/{int(pid)}/cmdline"))
            state = _read(Path(f"/proc/{int(pid)}/stat")).rpartition(b")")[2].split()[:1]
            helper = any(name in command for name in _OF_MULTIPROCESSING)
            if state != [b"Z"] and not helper and (command or state):
                text = command.replace(b"\0", b" ").decode(errors="replace").strip()
                found.add(f"{int(pid)}: {text}")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process or thread went in the meantime
        return b""


def threads() -> set[str]:
    """Threads that Python knows, except the main one, as ``ident: name``."""
    main = threading.main_thread()
    return {f"{one.ident}: {one.name}" for one in threading.enumerate() if one is not main}


def segments(pid: int | None = None) -> set[str]:
    """Names of our shared-memory segments; with ``pid`` only those which that process made."""
    if not _SHM.is_dir():
        return set()
    names = {entry.name for entry in os.scandir(_SHM) if entry.name.startswith(_PREFIX)}
    if pid is None:
        return names
    return {name for name in names if str(pid) in name.replace("_", ":").split(":")}


def settle(measure: Callable[[], set[str]], before: set[str], seconds: float = 5.0) -> set[str]:
    """What ``measure`` still finds beyond ``before`` after at most ``seconds`` of waiting."""
    deadline = time.monotonic() + seconds
    while (extra := measure() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    return extra
