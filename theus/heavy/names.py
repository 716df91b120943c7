"""Names of segments: what a person reads, and what the operating system gets.

The logical name is ``theus:{session}:{pid}:{key}``, with ``:{generation}`` behind it when the
key was allocated before. Where the platform takes that spelling it is also the name of the
segment; otherwise (other platforms, keys with foreign characters, long keys) the segment gets
a short random name of 23 ASCII characters. Either way no name is ever given out twice, so a
name that a process remembers never leads to somebody else's bytes.

This module imports nothing of Theus.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "NameParts",
    "check_key",
    "check_segment_name",
    "check_session",
    "file_name",
    "file_of",
    "is_unique_name",
    "logical_name",
    "new_session",
    "parse_name",
    "segment_name",
    "short_name",
]

_KEY_BYTES = 200
_NAME_MAX = 250
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,40}")
_RANDOM_SESSION = re.compile(r"[0-9a-f]{16}")
_PORTABLE_KEY = re.compile(rf"[A-Za-z0-9_.-]{{1,{_KEY_BYTES}}}")
_LOGICAL = re.compile(
    rf"theus:(?P<session>[A-Za-z0-9_-]{{1,40}}):(?P<pid>[0-9]{{1,10}})"
    rf":(?P<key>[A-Za-z0-9_.-]{{1,{_KEY_BYTES}}})(?::(?P<generation>[1-9][0-9]{{0,18}}))?"
)
_SHORT = re.compile(r"th[0-9a-f]{8}_[0-9a-v]{12}")
_FILE = "file:"
_ANY = re.compile(r"[A-Za-z0-9_.:-]{1,254}")
_BASE32 = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True, slots=True)
class NameParts:
    """What a logical name says."""

    session: str
    pid: int
    key: str
    generation: int


def new_session() -> str:
    """Return a session id that cannot be guessed (64 random bits as 16 hex digits)."""
    return secrets.token_hex(8)


def check_session(session: str) -> str:
    """Return `session`; raise `ValueError` when it cannot be part of a name."""
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        raise ValueError(
            f"session id {session!r} cannot be part of a segment name: use 1 to 40 letters, "
            "digits, '_' or '-' (or none, to get a random one)"
        )
    return session


def check_key(key: str) -> str:
    """Return `key`; raise `TypeError` or `ValueError` when it cannot name an array."""
    if not isinstance(key, str):
        raise TypeError(f"a heavy key is a str, not {type(key).__name__}: {key!r}")
    if not key or "\0" in key:
        raise ValueError(f"a heavy key is a non-empty text without NUL characters, not {key!r}")
    return key


def check_segment_name(name: str) -> str:
    """Return `name`; raise `ValueError` when no segment that we would open can have it.

    A name of the system, or that of a file (see `file_of`).
    """
    if isinstance(name, str) and file_of(name) is not None:
        return name
    if not isinstance(name, str) or not _ANY.fullmatch(name) or name in {".", ".."}:
        raise ValueError(
            f"{name!r} is not the name of a segment: 1 to 254 characters of "
            "A-Z a-z 0-9 _ . : - are allowed"
        )
    return name


def file_name(session: str, directory: str) -> str:
    """Return a new name for a segment in a file: ``file:``, the directory, a short name."""
    return f"{_FILE}{os.path.join(os.path.abspath(directory), short_name(session))}"


def file_of(name: str) -> str | None:
    """Return the path of a segment that lies in a file; None for all other names.

    Only absolute paths that end in a short name of ours: no passport leads to another file.
    """
    path = name[len(_FILE) :] if name.startswith(_FILE) else ""
    directory, base = os.path.split(path)
    if not _SHORT.fullmatch(base) or not os.path.isabs(directory) or "\0" in path:
        return None
    return path if os.path.normpath(path) == path else None


def logical_name(session: str, pid: int, key: str, generation: int = 1) -> str:
    """Return the readable name of one generation of a key (any key text)."""
    name = f"theus:{session}:{pid}:{key}"
    return name if generation == 1 else f"{name}:{generation}"


def segment_name(
    session: str, pid: int, key: str, generation: int = 1, *, portable: bool | None = None
) -> str:
    """Return the name the operating system gets.

    Parameters
    ----------
    portable:
        True for at most 30 characters of ``[a-z0-9_]`` (macOS allows no more); None decides
        by platform.
    """
    if portable is None:
        portable = sys.platform != "linux"
    name = logical_name(session, pid, key, generation)
    if portable or not _PORTABLE_KEY.fullmatch(key) or len(name) > _NAME_MAX:
        return short_name(session)
    return name


def short_name(session: str) -> str:
    """Return a new random name: ``th``, 8 hex digits of the session, ``_``, 60 random bits."""
    digest = hashlib.blake2s(os.fsencode(session), digest_size=4).hexdigest()
    bits = secrets.randbits(60)
    tail = "".join(_BASE32[(bits >> shift) & 31] for shift in range(0, 60, 5))
    return f"th{digest}_{tail}"


@lru_cache(maxsize=1024)
def parse_name(name: str) -> NameParts | None:
    """Take a logical name apart; None for every other name."""
    match = _LOGICAL.fullmatch(name)
    if match is None:
        return None
    generation = match["generation"]
    return NameParts(match["session"], int(match["pid"]), match["key"], int(generation or 1))


@lru_cache(maxsize=1024)
def is_unique_name(name: str) -> bool:
    """Whether `name` holds so many random bits of ours that it never names a second segment."""
    parts = parse_name(name)
    if parts is None:
        return _SHORT.fullmatch(name) is not None or file_of(name) is not None
    return _RANDOM_SESSION.fullmatch(parts.session) is not None
