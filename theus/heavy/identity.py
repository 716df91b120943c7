"""Who a process is, and whether it is provably dead.

A process id alone names nobody: ids are used again. Here a process is its boot, its namespace
of process ids, its id and its start time in clock ticks. Only what is proven counts as dead;
whatever cannot be read counts as alive.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["Identity", "Life", "current_identity", "identity_from", "life_of", "start_ticks"]

_PROC = Path("/proc")


class Life(Enum):
    """What is known about a process."""

    ALIVE = "alive"
    DEAD = "dead"
    FOREIGN = "foreign"  # in another namespace of process ids: cannot be judged from here


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good. Parts that the platform does not tell are None."""

    boot: str | None
    namespace: int | None
    pid: int
    start: int | None
    uid: int

    def to_dict(self) -> dict[str, Any]:
        """Return the parts as values that JSON knows."""
        return asdict(self)


def identity_from(data: dict[str, Any]) -> Identity | None:
    """Return the identity a record holds, None when a part is missing or of a wrong type."""
    boot, namespace, start = data.get("boot"), data.get("namespace"), data.get("start")
    pid, uid = data.get("pid"), data.get("uid")
    if type(pid) is not int or type(uid) is not int or not 0 < pid < 2**31:
        return None
    if not isinstance(boot, (str, type(None))):
        return None
    if type(namespace) not in (int, type(None)) or type(start) not in (int, type(None)):
        return None
    return Identity(boot, namespace, pid, start, uid)


def boot_id() -> str | None:
    """Return the id of this boot, None where the platform has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip() or None
    except OSError:
        return None


def pid_namespace() -> int | None:
    """Return the inode of this process's namespace of process ids, None where unknown."""
    try:
        return (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return None


def _stat_fields(pid: int) -> list[bytes] | None:
    """Fields of /proc/PID/stat from the state on; the command before may hold anything."""
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = text[text.rfind(b")") + 1 :].split()
    return fields if len(fields) > 19 else None


def start_ticks(pid: int) -> int | None:
    """Return the start time of a process in clock ticks since boot, None where unknown."""
    fields = _stat_fields(pid)
    return int(fields[19]) if fields is not None and fields[19].isdigit() else None


def current_identity() -> Identity:
    """Return who this process is."""
    pid = os.getpid()
    return Identity(boot_id(), pid_namespace(), pid, start_ticks(pid), os.geteuid())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def life_of(identity: Identity, *, here: Identity | None = None) -> Life:
    """Judge a recorded process from this one (`here`, by default asked anew).

    DEAD only on proof: another boot, no process of that id, one that started at another time,
    or one that has ended and only waits for its parent.
    """
    here = current_identity() if here is None else here
    if None not in (identity.boot, here.boot) and identity.boot != here.boot:
        return Life.DEAD
    if identity.namespace != here.namespace:
        return Life.FOREIGN
    if not _exists(identity.pid):
        return Life.DEAD
    fields = _stat_fields(identity.pid)
    if fields is None or identity.start is None or not fields[19].isdigit():
        return Life.ALIVE
    ended = fields[0] in (b"Z", b"X", b"x")
    return Life.DEAD if ended or int(fields[19]) != identity.start else Life.ALIVE
