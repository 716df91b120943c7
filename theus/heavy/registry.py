"""MemoryRegistry: the log of the segments a process owns, so that they can be found after it.

One file per owner, ``{session}.{pid}.jsonl`` in a directory of the user, locked as long as the
owner lives. Only the owner writes it; nothing is merged and nothing can be lost between two
writers. When the owner is gone, the kernel drops the lock and the next scan
(:mod:`theus.heavy.reaper`) removes what was left.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from theus._logs import logger
from theus._version import __version__
from theus.errors import HeavyZoneError
from theus.heavy.directory import default_directory, prepare_directory
from theus.heavy.identity import current_identity
from theus.heavy.names import check_session, new_session
from theus.heavy.reaper import ScanReport, scan_directory
from theus.heavy.records import FORMAT, Entry, encode_line

__all__ = ["MemoryRegistry"]

_log = logger("heavy")
_COMPACT_LINES = 1024
_TRIES = 100


class MemoryRegistry:
    """The registry file of one owner process.

    Parameters
    ----------
    session:
        Id of the session, part of all names; None for a random one.
    directory:
        Where the files are; None for :func:`default_directory`.
    scan:
        Reclaim what dead owners left in the directory, when the file is first opened. The
        result is in `report`.

    The file is made with the first record and removed by :meth:`close`. A process forked from
    the owner may not write it. Thread-safe.
    """

    def __init__(
        self,
        session: str | None = None,
        directory: str | os.PathLike[str] | None = None,
        *,
        scan: bool = True,
    ) -> None:
        self.session = new_session() if session is None else check_session(session)
        self._given = directory
        self._scan = scan
        self.report: ScanReport | None = None
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._entries: dict[str, Entry] = {}
        self._fd = -1
        self._path: Path | None = None
        self._lines = 0
        self._torn = False
        _registries.add(self)

    @property
    def pid(self) -> int:
        """The process this registry belongs to."""
        return self._pid

    @property
    def path(self) -> Path | None:
        """The file, None while there is none."""
        return self._path

    @property
    def directory(self) -> Path:
        """The directory, made if need be. Raises `HeavyZoneError` when it cannot be used."""
        return default_directory() if self._given is None else prepare_directory(self._given)

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of the segments recorded and not yet freed."""
        return tuple(self._entries)

    def scan_zombies(self) -> ScanReport:
        """Reclaim the segments of dead owners now; see :func:`theus.heavy.reaper.scan_zombies`."""
        self.report = scan_directory(self.directory)
        return self.report

    def intent(self, name: str, size: int) -> None:
        """Record that a segment is about to be made."""
        with self._lock:
            self._open()
            entry = Entry(name, size, time.time_ns())
            self._write(_intent(entry))
            self._entries[name] = entry

    def made(self, name: str, device: int, inode: int) -> None:
        """Record that the segment exists."""
        with self._lock:
            entry = self._entries[name]
            entry.device, entry.inode = device, inode
            self._write(_made(entry))

    def freed(self, name: str) -> None:
        """Record that the segment is gone, or was never made."""
        with self._lock:
            if self._entries.pop(name, None) is None:
                return
            try:
                self._write({"op": "freed", "name": name})
            except HeavyZoneError as error:  # the record is stale and harmless: nothing matches it
                _log.warning("%s", error)
            self._compact_if_long()

    def close(self) -> None:
        """Remove the file and let the lock go, once nothing is recorded any more.

        With segments left, file and lock stay until they are freed or the process ends.
        Idempotent; does nothing in a forked child.
        """
        with self._lock:
            if self._fd < 0 or self._entries or os.getpid() != self._pid:
                return
            if self._path is not None:
                self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd, self._path, self._lines = -1, None, 0

    def _open(self) -> None:
        if os.getpid() != self._pid:
            raise HeavyZoneError(
                f"this registry belongs to process {self._pid}, not to its forked child "
                f"{os.getpid()}; make a new allocator there"
            )
        if self._fd >= 0:
            return
        directory = self.directory
        if self._scan:
            self.report = scan_directory(directory)
            self._scan = False
        self._fd, self._path = _open_new(directory, f"{self.session}.{self._pid}")
        self._write(_owner())

    def _write(self, record: dict[str, Any]) -> None:
        line = encode_line(record)
        try:
            _write_all(self._fd, b"\n" + line if self._torn else line)
        except OSError as error:
            self._torn = True
            raise HeavyZoneError(f"registry {self._path} cannot be written: {error}") from error
        self._torn = False
        self._lines += 1

    def _compact_if_long(self) -> None:
        if self._path is None or self._lines < _COMPACT_LINES + 4 * len(self._entries):
            return
        fresh = self._path.with_suffix(".fresh")
        try:
            fresh.unlink(missing_ok=True)
            fd = _open_locked(fresh)
        except OSError as error:
            _log.warning("registry %s could not be compacted: %s", self._path, error)
            return
        live = [line for entry in self._entries.values() for line in _lines_of(entry)]
        try:
            _write_all(fd, b"".join(encode_line(record) for record in (_owner(), *live)))
            fresh.rename(self._path)
        except OSError as error:
            os.close(fd)
            _log.warning("registry %s could not be compacted: %s", self._path, error)
            return
        os.close(self._fd)
        self._fd, self._lines, self._torn = fd, 1 + len(live), False

    def _forget_in_child(self) -> None:
        """The lock is the parent's: let the inherited descriptor go."""
        self._lock = threading.RLock()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._entries = {}
        self._path = None


def _owner() -> dict[str, Any]:
    return {
        "op": "owner",
        "format": FORMAT,
        "version": __version__,
        **current_identity().to_dict(),
    }


def _intent(entry: Entry) -> dict[str, Any]:
    return {"op": "intent", "name": entry.name, "size": entry.size, "at": entry.intended_ns}


def _made(entry: Entry) -> dict[str, Any]:
    return {
        "op": "made",
        "name": entry.name,
        "size": entry.size,
        "device": entry.device,
        "inode": entry.inode,
    }


def _lines_of(entry: Entry) -> list[dict[str, Any]]:
    return [_intent(entry)] if entry.inode is None else [_intent(entry), _made(entry)]


def _write_all(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]


def _open_new(directory: Path, stem: str) -> tuple[int, Path]:
    """Create and lock a file; a second registry of one session and process gets a number."""
    for number in range(_TRIES):
        path = directory / (f"{stem}.jsonl" if number == 0 else f"{stem}.{number}.jsonl")
        try:
            return _open_locked(path), path
        except FileExistsError:
            continue
        except OSError as error:
            raise HeavyZoneError(f"registry {path} cannot be made: {error}") from error
    raise HeavyZoneError(f"{_TRIES} registries {stem!r} exist in {directory}; use another session")


def _open_locked(path: Path) -> int:
    """Create a file and hold its lock; a scan may look at it (and remove it) in between."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(_TRIES):
        fd = os.open(path, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise HeavyZoneError(f"registry file {path} was taken away {_TRIES} times while it was made")


_registries: weakref.WeakSet[MemoryRegistry] = weakref.WeakSet()


def _after_fork() -> None:
    for registry in list(_registries):
        registry._forget_in_child()


os.register_at_fork(after_in_child=_after_fork)
