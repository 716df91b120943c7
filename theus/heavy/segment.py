"""Segments of shared memory: create, reserve, map.

Its classes are subclasses of :class:`multiprocessing.shared_memory.SharedMemory`, with the same
fields, that do the opening (:mod:`theus.heavy.opening`), mapping and unlinking by themselves:

* no resource tracker is started or told anything, on any Python version;
* pages are reserved when the segment is made, so a full file system is a clear error and
  never a ``SIGBUS`` at the first write;
* borrowers map the pages read-only, so not even C code can write through them;
* ``close()`` never raises and never pulls memory from under a living view: the mapping goes
  with its last view.

POSIX only (Linux, macOS). Needs no numpy.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from theus.errors import HeavyGoneError, HeavyZoneError, HeavyZoneFullError
from theus.heavy.names import check_segment_name, file_of, parse_name
from theus.heavy.opening import SegmentFacts, facts_of, open_segment, remove
from theus.heavy.room import free_bytes

__all__ = [
    "PAGE",
    "SafeSharedMemory",
    "Segment",
    "SharedMemory",
    "detach_range",
]

PAGE = mmap.PAGESIZE
_RESERVE_STEP = 8 << 20
_LARGE = 1 << 20
_MAP_FIXED = 0x10  # the same number on Linux and macOS; the mmap module does not have it
_NO_ROOM = frozenset({errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT})


def _full(name: str, asked: int, free: int | None, reason: str) -> HeavyZoneFullError:
    parts = parse_name(name)
    path = file_of(name)
    key = parts.key if parts else path or name
    left = "an unknown number of" if free is None else f"{free:,}"
    advice = (
        "or give it more room: `mount -o remount,size=... /dev/shm`, in a container "
        "`--shm-size=...` and `--memory`."
        if path is None
        else "or spill into another directory."
    )
    return HeavyZoneFullError(
        f"no {'shared memory' if path is None else 'disk space'} for heavy array {key!r}: "
        f"{asked:,} bytes asked, {left} bytes free ({reason}). Free arrays that are not needed, "
        f"{advice}",
        asked=asked,
        free=free,
        limit=None,
        holders=(),
        key=key,
        segment=name,
    )


def live_buffer(shm: SharedMemory) -> memoryview:
    """The bytes of a mapping; HeavyGoneError where it was closed."""
    buffer = shm.buf
    if buffer is None:
        raise HeavyGoneError(
            f"segment {shm.name} was closed here; get the array again from its zone",
            segment=shm.name,
        )
    return buffer


def _reserve(fd: int, name: str, size: int) -> None:
    """Give the segment its pages now, in steps short enough to get through between signals."""
    if size >= _LARGE:  # small ones cannot bring the machine down; the reservation decides
        free = free_bytes(fd, memory=file_of(name) is None)
        if free is not None and size > free:
            raise _full(name, size, free, "file system and memory together have no room for it")
    try:
        if not hasattr(os, "posix_fallocate"):  # macOS: pages are committed by the size itself
            os.ftruncate(fd, size)
            return
        for start in range(0, size, _RESERVE_STEP):
            os.posix_fallocate(fd, start, min(_RESERVE_STEP, size - start))
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise _full(
            name, size, free_bytes(fd, memory=file_of(name) is None), os.strerror(error.errno)
        ) from error


def _map(fd: int, name: str, size: int, *, readonly: bool) -> mmap.mmap:
    prot = mmap.PROT_READ if readonly else mmap.PROT_READ | mmap.PROT_WRITE
    try:
        if sys.version_info >= (3, 13):  # keeps no second descriptor of its own
            return mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=prot, trackfd=False)
        return mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=prot)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        reason = f"it does not fit into the address space of this process: {error.strerror}"
        raise _full(name, size, free_bytes(fd), reason) from error


def detach_range(name: str, address: int, offset: int, size: int) -> None:
    """Make a part of a mapping of ours private: what is written there later, nobody else sees.

    What is there stays readable through every view of it, at the same address. `address` and
    `offset` are those of the first page, in this process and in the segment.

    Raises
    ------
    OSError
        The kernel refused; nothing changed.
    """
    import ctypes  # only when somebody keeps a view longer than the right to write

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    whole, size_t = ctypes.c_int, ctypes.c_size_t
    libc.mmap.argtypes = [ctypes.c_void_p, size_t, whole, whole, whole, size_t]
    fd = open_segment(name, os.O_RDONLY)
    try:
        flags = mmap.MAP_PRIVATE | _MAP_FIXED
        prot = mmap.PROT_READ | mmap.PROT_WRITE
        got = libc.mmap(address, -(-size // PAGE) * PAGE, prot, flags, fd, offset)
        if got != address:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot detach a part of segment {name}: {os.strerror(code)}")
    finally:
        os.close(fd)


class _Mapped(SharedMemory):
    """One mapping of a segment. Fields are those of the standard class."""

    facts: SegmentFacts
    readonly: bool
    _name: str
    _size: int
    _fd: int
    _track: bool
    _pid: int
    _mmap: mmap.mmap | None
    _buf: memoryview | None

    def _adopt(self, name: str, fd: int, size: int, *, readonly: bool) -> None:
        """Map the open segment and close its descriptor; fills the standard fields."""
        facts = facts_of(fd)
        self._track = False
        self._fd = -1
        self._name = "/" + name
        self._size = size
        self._pid = os.getpid()
        self.facts = facts
        self.readonly = readonly
        self._mmap = _map(fd, name, size, readonly=readonly)
        self._buf = memoryview(self._mmap)

    def close_if_idle(self) -> bool:
        """Unmap now if no view of the memory is left; False (and nothing done) otherwise."""
        mapped, buf = self._mmap, self._buf
        if mapped is None or buf is None:
            return True
        try:
            buf.release()
            mapped.close()
        except BufferError:  # somebody has an export of it
            self._buf = memoryview(mapped)
            return False
        self.close()
        return True

    def close(self) -> None:
        """Let go of the memory. Never raises; living views keep the mapping until they end."""
        self._buf = None
        self._mmap = None

    def __reduce__(self) -> tuple[Any, ...]:
        return SafeSharedMemory, (self.name,)


class Segment(_Mapped):
    """A new segment, writable, owned by the process that made it.

    Parameters
    ----------
    name:
        Without a leading slash. Must be free.
    size:
        Bytes, at least 1. All pages are reserved and zero.

    Raises
    ------
    FileExistsError
        The name is taken; whoever has it keeps it.
    HeavyZoneFullError
        No room; nothing is left behind.
    """

    def __init__(self, name: str, size: int) -> None:
        check_segment_name(name)
        if size < 1:
            raise ValueError(f"a segment has at least 1 byte, not {size}")
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        fd = open_segment(name, flags)
        try:
            try:
                _reserve(fd, name, size)
                self._adopt(name, fd, size, readonly=False)
            except BaseException:
                remove(name)
                raise
        finally:
            os.close(fd)

    def unlink(self) -> None:
        """Take the name away. Fine when it is gone already.

        Raises
        ------
        PermissionError
            In a process that did not create the segment (a forked child).
        """
        if os.getpid() != self._pid:
            raise PermissionError(
                f"segment {self.name!r} belongs to process {self._pid}; a forked child may "
                "read it, only its owner unlinks it"
            )
        remove(self.name)


class SafeSharedMemory(_Mapped):
    """A borrowed segment: may be read, may not be unlinked.

    Parameters
    ----------
    name:
        A segment of this user, without a leading slash.
    create, size:
        There for the call form of the standard class. `create=True` is refused; a `size`
        above 0 is the least number of bytes the segment must have.
    readonly:
        False maps the pages writable (for who was given the right to write).
    key:
        The heavy key, for messages.

    Raises
    ------
    HeavyGoneError
        There is no such segment (any more).
    HeavyZoneError
        It belongs to another user, others may write it, or it is smaller than `size`.
    """

    def __init__(
        self,
        name: str | None = None,
        create: bool = False,
        size: int = 0,
        *,
        readonly: bool = True,
        key: str = "",
    ) -> None:
        if name is None or create:
            raise ValueError("SafeSharedMemory attaches to a segment by name; it creates none")
        flags = os.O_RDONLY if readonly else os.O_RDWR
        try:
            fd = open_segment(name, flags)
        except FileNotFoundError:
            raise _gone(name, key) from None
        except PermissionError as error:
            raise _foreign(name, "it may not be opened by this user") from error
        try:
            actual = _check_borrowed(name, facts_of(fd), size)
            self._adopt(name, fd, actual, readonly=readonly)
        finally:
            os.close(fd)

    @classmethod
    def over(cls, other: SharedMemory) -> SafeSharedMemory:
        """Return a second, writable mapping of an open standard `SharedMemory`.

        It stays valid when `other` is closed. Raises `ValueError` when `other` is closed.
        """
        fd = getattr(other, "_fd", -1)
        if fd < 0:
            raise ValueError(f"{other!r} is closed; wrap it while it is open")
        mapped = cls.__new__(cls)
        mapped._adopt(other.name, fd, other.size, readonly=False)
        return mapped

    def unlink(self) -> None:
        """Refuse: raises `PermissionError`; only the owner unlinks."""
        raise PermissionError(
            f"segment {self.name!r} is borrowed; only its owner may unlink it "
            "(free the key with the allocator of the process that made it)"
        )


def _gone(name: str, key: str) -> HeavyGoneError:
    parts = parse_name(name)
    what = f"heavy array {(parts.key if parts else key)!r}" if parts or key else "a heavy array"
    which = f" (generation {parts.generation})" if parts else ""
    return HeavyGoneError(
        f"{what}{which} is gone: there is no segment {name!r}. It was freed or replaced, or its "
        "owner ended. Take the descriptor from the current state.",
        key=parts.key if parts else key or None,
        segment=name,
    )


def _foreign(name: str, why: str) -> HeavyZoneError:
    parts = parse_name(name)
    return HeavyZoneError(
        f"segment {name!r} is refused: {why}. Heavy arrays are shared between processes of one "
        "user only, with mode 0600.",
        key=parts.key if parts else None,
        segment=name,
    )


def _check_borrowed(name: str, facts: SegmentFacts, least: int) -> int:
    if not stat.S_ISREG(facts.mode) and sys.platform == "linux":
        raise _foreign(name, "it is not a plain segment")
    if facts.uid != os.geteuid():
        raise _foreign(name, f"it belongs to user {facts.uid}")
    if facts.mode & 0o022:
        raise _foreign(name, f"others may write it (mode {stat.filemode(facts.mode)})")
    if facts.size < max(least, 1):
        raise _foreign(name, f"it has {facts.size} bytes and {least} are needed")
    return facts.size
