"""The engine: registers processes, runs them as transactions, wires everything together."""

from __future__ import annotations

from theus.engine.engine import TheusEngine
from theus.errors import ContractViolationError, TransactionError

SecurityViolationError = ContractViolationError

__all__ = ["SecurityViolationError", "TheusEngine", "TransactionError"]
