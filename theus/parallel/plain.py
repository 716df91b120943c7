"""Paths and patterns of names alone: understood without the compiled core.

Nearly all contracts are made of such patterns. A worker that has no other need then loads no
core, and a sub-interpreter, where the core does not load, can check them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["Table", "flags_at", "plain_path", "plain_table"]

_NAME = r"[A-Za-z_][A-Za-z_0-9]*"
_FIRST = rf"(?!(?:domain_ctx|global_ctx|global_)\b){_NAME}"
_NUMBER = r"\[(?:0|-?[1-9][0-9]{0,9})\]"
_PATTERN = re.compile(rf"{_FIRST}(?:\.{_NAME})*", re.ASCII)
_PATH = re.compile(rf"{_FIRST}(?:\.{_NAME}|{_NUMBER})*", re.ASCII)
_READ, _WRITE, _PASS = 1, 2, 4  # as in `theus._core.pattern`

Table = tuple[tuple[tuple[str, ...], int], ...]


def plain_path(text: Any) -> tuple[str | int, ...] | None:
    """The keys of a path of names and numbers; None where it takes more to understand it."""
    if not isinstance(text, str) or not _PATH.fullmatch(text):
        return None
    parts = text.replace("[", ".[").split(".")
    return tuple(int(part[1:-1]) if part[0] == "[" else part for part in parts)


def plain_table(reads: Iterable[str], writes: Iterable[str]) -> Table | None:
    """Keys and rights of patterns; None where one of them is not plain."""
    table = []
    for patterns, rights in ((reads, _READ), (writes, _READ | _WRITE)):
        for pattern in patterns:
            if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
                return None
            table.append((tuple(pattern.split(".")), rights))
    return tuple(table)


def flags_at(table: Table, path: tuple[Any, ...]) -> int:
    """What may be done at a path: the flags of the position there. O(patterns)."""
    flags, below = 0, 0
    length = len(path)
    for keys, rights in table:
        if path[: len(keys)] == keys:
            flags |= rights
        elif keys[:length] == path:
            below |= rights
    return flags | _PASS if below & ~flags else flags
