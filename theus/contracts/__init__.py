"""Contracts: what a process declares, and what follows from it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from theus.contracts.decorator import process
from theus.contracts.model import ProcessContract, SemanticType
from theus.errors import ContractViolationError

if TYPE_CHECKING:
    from theus.contracts.admin import AdminTransaction
    from theus.outbox import OutboxMsg

__all__ = [
    "AdminTransaction",
    "ContractViolationError",
    "OutboxMsg",
    "ProcessContract",
    "SemanticType",
    "process",
]

_HOMES = {"AdminTransaction": "theus.contracts.admin", "OutboxMsg": "theus.outbox"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
