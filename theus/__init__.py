"""Transactional, contract-enforced state for programs made of many functions.

The names below are the public surface. Each is looked up in its module on first use, so
that ``import theus`` loads nothing else: no numpy, no asyncio, no compiled core.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
