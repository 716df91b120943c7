"""What a run of transactions leaves behind for the checker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Op:
    """One operation: "append", "write" or "read" of a key. A read's `value` is what it saw:
    a list of values (list workload) or one value (register workload, None at the start)."""

    kind: str
    key: Any
    value: Any = None


@dataclass
class Txn:
    """One attempt: its operations, whether it committed, and when it ran.

    `began` and `ended` are positions in the order of all events; `version` is the version that
    its commit made, where known.
    """

    name: Any
    ops: list[Op] = field(default_factory=list)
    ok: bool = True
    began: int = 0
    ended: int = 0
    version: int | None = None


History = list[Txn]


def txn(name: Any, *ops: Op, ok: bool = True, began: int = 0, ended: int = 0) -> Txn:
    """A transaction written down by hand."""
    return Txn(name, list(ops), ok, began, ended)


def append(key: Any, value: Any) -> Op:
    """Append a value that is appended nowhere else."""
    return Op("append", key, value)


def write(key: Any, value: Any) -> Op:
    """Write a value that is written nowhere else."""
    return Op("write", key, value)


def read(key: Any, value: Any) -> Op:
    """A read and what it saw."""
    return Op("read", key, value)
