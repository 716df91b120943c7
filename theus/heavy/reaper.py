"""The zombie collector: removes segments whose owner is proven dead, and nothing else.

For each registry file: a lock that is held means that its owner lives. When the lock can be
had, the recorded identity is judged as well (:func:`theus.heavy.identity.life_of`). Only when
both say dead are the recorded segments removed, and of those only the ones whose device,
inode and user are the recorded ones. Two scans cannot meet: the lock decides.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from theus._logs import logger
from theus.heavy.directory import default_directory, prepare_directory
from theus.heavy.identity import Identity, Life, current_identity, life_of
from theus.heavy.names import file_of
from theus.heavy.opening import SegmentFacts, probe, remove
from theus.heavy.records import Entry, Ledger, read_ledger

__all__ = ["ScanReport", "scan_directory", "scan_zombies"]

_log = logger("heavy")
_CLOCK_SLACK_NS = 50_000_000  # the file system's clock may lag behind by some ticks


@dataclass(slots=True)
class ScanReport:
    """What a scan found and did.

    Fields: names of the segments `reclaimed` and their `bytes`; `gone` (recorded, but no more
    there); `mismatched` (the name now belongs to another segment, left alone); `alive`
    (owners that live), `kept` (files of owners that cannot be proven dead), `foreign` (files
    of other users, namespaces or formats); `bad_lines` that were skipped.
    """

    reclaimed: list[str] = field(default_factory=list)
    bytes: int = 0
    gone: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    alive: int = 0
    kept: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    bad_lines: int = 0


def scan_zombies(directory: str | os.PathLike[str] | None = None) -> ScanReport:
    """Reclaim what dead owners left; never touches what a living process owns.

    Parameters
    ----------
    directory:
        The registry directory; None for the default one.

    Returns a report and prints nothing. Safe at any time, from any number of processes at
    once. O(owners + segments of dead owners).

    Raises
    ------
    HeavyZoneError
        The directory cannot be used.
    """
    place = default_directory() if directory is None else prepare_directory(directory)
    return scan_directory(place)


def scan_directory(directory: Path) -> ScanReport:
    """Scan a directory that was checked; see :func:`scan_zombies`."""
    report = ScanReport()
    here = current_identity()
    for path in sorted(directory.glob("*.jsonl")):
        with _locked(path, report) as fd:
            if fd is not None:
                _judge(path, fd, here, report)
    for path in directory.glob("*.fresh"):  # a compaction that its owner did not finish
        with _locked(path, ScanReport()) as fd:
            if fd is not None:
                path.unlink(missing_ok=True)
    if report.reclaimed:
        _log.info(
            "reclaimed %d segments (%d bytes) of processes that ended without cleaning up",
            len(report.reclaimed),
            report.bytes,
        )
    return report


@contextmanager
def _locked(path: Path, report: ScanReport) -> Iterator[int | None]:
    """Give the open, locked file; None when its owner lives, it is gone, or not ours."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError:
        report.foreign.append(str(path))
        yield None
        return
    try:
        yield fd if _try_lock(fd, path, report) else None
    finally:
        os.close(fd)


def _try_lock(fd: int, path: Path, report: ScanReport) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report.alive += 1
        return False
    except OSError:  # a file system without locks proves nothing
        report.kept.append(str(path))
        return False
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        report.foreign.append(str(path))
        return False
    return found.st_nlink > 0 and _still_there(path, found)


def _still_there(path: Path, found: os.stat_result) -> bool:
    try:
        now = path.lstat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino)


def _judge(path: Path, fd: int, here: Identity, report: ScanReport) -> None:
    with open(os.dup(fd), "rb") as file:
        ledger = read_ledger(file.read())
    report.bad_lines += ledger.bad_lines
    if ledger.newer_format:
        report.foreign.append(str(path))
    elif ledger.identity is None:
        _judge_nameless(path, ledger, report)
    else:
        life = life_of(ledger.identity, here=here)
        if life is Life.FOREIGN:
            report.foreign.append(str(path))
        elif life is Life.ALIVE or ledger.identity.uid != here.uid:
            report.kept.append(str(path))
        elif _reclaim(ledger, here, report):
            path.unlink(missing_ok=True)
        else:
            report.kept.append(str(path))


def _judge_nameless(path: Path, ledger: Ledger, report: ScanReport) -> None:
    """A file without owner: just born or torn at birth if it records nothing, else kept."""
    if ledger.entries:
        report.kept.append(str(path))
    else:
        path.unlink(missing_ok=True)


def _same(entry: Entry, facts: SegmentFacts) -> bool:
    """Whether the segment is the recorded one; an intended one must not be older than that."""
    if entry.inode is None:
        return facts.changed_ns >= entry.intended_ns - _CLOCK_SLACK_NS
    if file_of(entry.name) is not None:  # on disks, which may have another number after a boot
        return entry.inode == facts.inode
    return (entry.device, entry.inode) == (facts.device, facts.inode)


def _reclaim(ledger: Ledger, here: Identity, report: ScanReport) -> bool:
    """Remove the recorded segments; False when one could not be dealt with."""
    done = True
    for entry in ledger.entries.values():
        try:
            facts = probe(entry.name)
            if facts is None:
                report.gone.append(entry.name)
            elif facts.uid != here.uid or not _same(entry, facts):
                report.mismatched.append(entry.name)
            elif remove(entry.name):
                report.reclaimed.append(entry.name)
                report.bytes += facts.size
        except OSError as error:
            done = False
            _log.warning("segment %s could not be reclaimed: %s", entry.name, error)
    return done
