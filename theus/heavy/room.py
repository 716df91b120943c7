"""How much shared memory can still be had: what the file system and the machine have left.

Reserving pages that the machine does not have ends with the kernel killing processes, not with
an error; so both are asked before.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["free_bytes"]

_MEMINFO = Path("/proc/meminfo")
_COUNTED = (b"MemAvailable:", b"SwapFree:")


def free_bytes(fd: int, *, memory: bool = True) -> int | None:
    """Bytes that can still be reserved on the file system of an open segment, None if unknown.

    The smaller of the file system's free space and, where its files lie in `memory`, the
    machine's available memory with swap.
    """
    found = (_on_file_system(fd), _in_memory() if memory else None)
    known = [room for room in found if room is not None]
    return min(known) if known else None


def _on_file_system(fd: int) -> int | None:
    try:
        room = os.fstatvfs(fd)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize if room.f_blocks else None


def _in_memory() -> int | None:
    try:
        lines = _MEMINFO.read_bytes().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED)]
    return sum(found) if found else None
