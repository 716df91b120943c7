"""Names of segments to what they name: opened, looked at, taken away.

The only module that opens shared memory. A segment lies in the shared memory of the system, or,
where the program asked for that, in a file of its own (:func:`theus.heavy.names.file_of`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from theus.heavy.names import check_segment_name, file_of

try:
    import _posixshmem  # type: ignore[import-not-found]
except ImportError as missing:  # pragma: no cover - Windows
    raise ImportError(
        "the heavy zone needs POSIX shared memory (Linux, macOS); this platform has none"
    ) from missing

__all__ = ["SegmentFacts", "facts_of", "open_segment", "probe", "remove"]

_MODE = 0o600


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the kernel says about a segment."""

    device: int
    inode: int
    uid: int
    mode: int
    size: int
    changed_ns: int


def facts_of(fd: int) -> SegmentFacts:
    """What the kernel says about an open segment."""
    found = os.fstat(fd)
    return SegmentFacts(
        found.st_dev,
        found.st_ino,
        found.st_uid,
        found.st_mode,
        found.st_size,
        found.st_ctime_ns,
    )


def open_segment(name: str, flags: int) -> int:
    """Open a segment by its name, mode 0600; returns a descriptor. Raises as `os.open`."""
    path = file_of(name)
    if path is None:
        fd: int = _posixshmem.shm_open("/" + check_segment_name(name), flags, mode=_MODE)
        return fd
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)


def probe(name: str) -> SegmentFacts | None:
    """Return the facts of a segment, None when there is none of that name.

    Raises
    ------
    PermissionError
        It belongs to somebody else.
    """
    try:
        fd = open_segment(name, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return facts_of(fd)
    finally:
        os.close(fd)


def remove(name: str) -> bool:
    """Take a name away; its memory goes with the last mapping. False when it was gone."""
    try:
        path = file_of(name)
        if path is None:
            _posixshmem.shm_unlink("/" + check_segment_name(name))
        else:
            os.unlink(path)
    except FileNotFoundError:
        return False
    return True
