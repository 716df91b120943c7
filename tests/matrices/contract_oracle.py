"""A second opinion on contracts: slow, obvious, and without anything of Theus."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

ANY_ITEM = object()
"""As a key: an item of a list that has no number yet."""


class Need(NamedTuple):
    """What one access needs: to `pass` a container, to `read` or to `write` all of a place."""

    action: str
    path: tuple[Any, ...]


def fits(segment: str, key: Any) -> bool:
    """Whether one segment of a pattern stands for a key; globs are for names."""
    if segment == "*":
        return True
    if isinstance(key, int):
        return segment == str(key)
    return isinstance(key, str) and fnmatchcase(key, segment)


def covers(pattern: list[str], path: tuple[Any, ...]) -> bool:
    """Whether a pattern names a path or something above it."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return covers(pattern[1:], path) or (bool(path) and covers(pattern, path[1:]))
    return bool(path) and fits(pattern[0], path[0]) and covers(pattern[1:], path[1:])


def leads_below(pattern: list[str], path: tuple[Any, ...]) -> bool:
    """Whether a pattern names something below a path."""
    if not path:
        return True
    if not pattern:
        return False
    if pattern[0] == "**":
        return True
    return fits(pattern[0], path[0]) and leads_below(pattern[1:], path[1:])


def refused(needs: list[Need], inputs: list[str], outputs: list[str]) -> Need | None:
    """The first need that a contract does not meet; None where all are met."""
    writable = [text.split(".") for text in outputs]
    readable = writable + [text.split(".") for text in inputs]
    for need in needs:
        patterns = writable if need.action == "write" else readable
        if any(covers(pattern, need.path) for pattern in patterns):
            continue
        if need.action == "pass" and any(leads_below(pattern, need.path) for pattern in patterns):
            continue
        return need
    return None
