"""Entries of the audit log."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LONGEST_MESSAGE", "AuditLogEntry", "shortened"]

LONGEST_MESSAGE = 4096
"""Messages are cut to this length, so that a log is bounded in bytes as well as in entries."""


class AuditLogEntry(NamedTuple):
    """One thing that happened. Immutable."""

    timestamp: float
    """Seconds since the epoch."""
    key: str
    """What it happened to: a process, a rule, or what the program named."""
    message: str
    """What happened."""
    sequence: int
    """Number of the entry in its log, from 1; a gap means that entries were replaced."""


def shortened(message: str) -> str:
    """The message, cut to `LONGEST_MESSAGE` characters."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    return message[: LONGEST_MESSAGE - 1] + "…"
