"""Transactional, contract-enforced state for programs made of many functions.

The names below are the public surface. Each is looked up in its module on first use, so
that ``import theus`` loads nothing else: no numpy, no asyncio, no compiled core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theus._lazy import lazy
from theus._version import __version__

if TYPE_CHECKING:
    from theus.context.base import BaseDomainContext, BaseGlobalContext, BaseSystemContext
    from theus.context.updates import StateUpdate
    from theus.contracts import SemanticType, process
    from theus.engine import TheusEngine
    from theus.errors import ContractViolationError, SchemaViolationError
    from theus.interop import TheusEncoder
    from theus.outbox import OutboxMsg
    from theus.signals import SignalHub, SignalReceiver

__all__ = [
    "BaseDomainContext",
    "BaseGlobalContext",
    "BaseSystemContext",
    "ContractViolationError",
    "OutboxMsg",
    "SchemaViolationError",
    "SemanticType",
    "SignalHub",
    "SignalReceiver",
    "StateUpdate",
    "TheusEncoder",
    "TheusEngine",
    "__version__",
    "process",
]

_HOMES = {
    "BaseDomainContext": "theus.context.base",
    "BaseGlobalContext": "theus.context.base",
    "BaseSystemContext": "theus.context.base",
    "ContractViolationError": "theus.errors",
    "OutboxMsg": "theus.outbox",
    "SchemaViolationError": "theus.errors",
    "SemanticType": "theus.contracts",
    "SignalHub": "theus.signals",
    "SignalReceiver": "theus.signals",
    "StateUpdate": "theus.context.updates",
    "TheusEncoder": "theus.interop",
    "TheusEngine": "theus.engine",
    "process": "theus.contracts",
}

__getattr__, __dir__ = lazy(__name__, _HOMES)
