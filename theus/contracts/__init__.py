"""Contracts: what a process declares, and what follows from it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from theus.contracts.decorator import process
from theus.contracts.model import ProcessContract, SemanticType
from theus.errors import ContractViolationError

if TYPE_CHECKING:
    from theus.outbox import OutboxMsg

__all__ = ["ContractViolationError", "OutboxMsg", "ProcessContract", "SemanticType", "process"]


def __getattr__(name: str) -> Any:
    if name == "OutboxMsg":
        return import_module("theus.outbox").OutboxMsg
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
