"""Door: state, transactions and their parts, under one import path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theus._core.context import ProcessContext
from theus._core.state import MetaLogEntry, State
from theus._core.transaction import Transaction
from theus._core.view import FrozenDict, FrozenList
from theus._lazy import lazy
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
    "MetaLogEntry",
    "OutboxMsg",
    "ProcessContext",
    "State",
    "StateUpdate",
    "Transaction",
]

_HOMES = {"ManagedAllocator": "theus.heavy.allocator"}

__getattr__, __dir__ = lazy(__name__, _HOMES)
