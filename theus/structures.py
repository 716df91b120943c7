"""Door: state, transactions and their parts, under one import path."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from theus._core.context import ProcessContext
from theus._core.state import State
from theus._core.transaction import Transaction
from theus._core.view import FrozenDict, FrozenList
from theus.context.updates import FunctionResult, StateUpdate
from theus.errors import ContextError
from theus.outbox import OutboxMsg

if TYPE_CHECKING:
    from theus.heavy.allocator import ManagedAllocator

__all__ = [
    "ContextError",
    "FrozenDict",
    "FrozenList",
    "FunctionResult",
    "ManagedAllocator",
    "OutboxMsg",
    "ProcessContext",
    "State",
    "StateUpdate",
    "Transaction",
]


def __getattr__(name: str) -> Any:
    if name == "ManagedAllocator":
        return import_module("theus.heavy.allocator").ManagedAllocator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
