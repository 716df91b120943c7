"""Paths and patterns that are nothing but names with dots: understood without the compiled core.

Nearly all contracts are made of such patterns. A worker that has no other need then loads no
core, and a sub-interpreter, where the core does not load, can check them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["Table", "flags_at", "plain_keys", "plain_table"]

_NAME = r"[A-Za-z_][A-Za-z_0-9]*"
_PLAIN = re.compile(rf"(?!(?:domain_ctx|global_ctx|global_)\b){_NAME}(?:\.{_NAME})*", re.ASCII)
_READ, _WRITE, _PASS = 1, 2, 4  # as in `theus._core.pattern`

Table = tuple[tuple[tuple[str, ...], int], ...]


def plain_keys(text: Any) -> tuple[str, ...] | None:
    """The keys of a path or pattern of names; None where it takes more to understand it."""
    if isinstance(text, str) and _PLAIN.fullmatch(text):
        return tuple(text.split("."))
    return None


def plain_table(reads: Iterable[str], writes: Iterable[str]) -> Table | None:
    """Keys and rights of patterns; None where one of them is not plain."""
    table = []
    for patterns, rights in ((reads, _READ), (writes, _READ | _WRITE)):
        for pattern in patterns:
            keys = plain_keys(pattern)
            if keys is None:
                return None
            table.append((keys, rights))
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
