"""Lines of the registry: one JSON object each, with a check value.

A line that is torn, damaged or unknown is counted and skipped, never an error: what it was
about is then kept rather than touched.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from theus.heavy.identity import Identity, identity_from
from theus.heavy.names import check_segment_name

__all__ = ["FORMAT", "Entry", "Ledger", "encode_line", "read_ledger"]

FORMAT = 1


@dataclass(slots=True)
class Entry:
    """One segment as recorded: intended at a time, then made with device and inode."""

    name: str
    size: int
    intended_ns: int
    device: int | None = None
    inode: int | None = None


@dataclass(slots=True)
class Ledger:
    """What a registry file says."""

    identity: Identity | None = None
    newer_format: bool = False
    entries: dict[str, Entry] = field(default_factory=dict)
    bad_lines: int = 0


def encode_line(record: dict[str, Any]) -> bytes:
    """Return the line of a record."""
    body = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return f'{body[:-1]},"~":{zlib.crc32(body.encode())}}}\n'.encode()


def _decode_line(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    check = record.pop("~", None)
    body = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return record if check == zlib.crc32(body.encode()) else None


def read_ledger(content: bytes) -> Ledger:
    """Read the content of a registry file; never raises on what it finds."""
    ledger = Ledger()
    for line in content.split(b"\n"):
        if line.strip() and not _apply(ledger, _decode_line(line)):
            ledger.bad_lines += 1
    return ledger


def _apply(ledger: Ledger, record: dict[str, Any] | None) -> bool:
    if record is None:
        return False
    if record.get("op") == "owner":
        ledger.newer_format = record.get("format") != FORMAT
        ledger.identity = identity_from(record)
        return ledger.newer_format or ledger.identity is not None
    return not _bad_name(record.get("name")) and _apply_entry(ledger, record)


def _bad_name(name: Any) -> bool:
    try:
        check_segment_name(name)
    except ValueError:
        return True
    return False


def _apply_entry(ledger: Ledger, record: dict[str, Any]) -> bool:
    operation, name = record.get("op"), record["name"]
    if operation == "freed":
        ledger.entries.pop(name, None)
        return True
    if operation == "intent" and _ints(record, "size", "at"):
        ledger.entries[name] = Entry(name, record["size"], record["at"])
        return True
    if operation == "made" and _ints(record, "size", "device", "inode"):
        entry = ledger.entries.setdefault(name, Entry(name, record["size"], 0))
        entry.device, entry.inode = record["device"], record["inode"]
        return True
    return False


def _ints(record: dict[str, Any], *names: str) -> bool:
    return all(type(record.get(name)) is int for name in names)
