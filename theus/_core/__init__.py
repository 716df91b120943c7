"""The compiled core: state, guards, transactions, conflicts, commit.

Rooms above import the compiled modules directly (``from theus._core.state import State``).
The names below are for programs that look for them here, some of which live in rooms above;
each is looked up in its module on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theus._lazy import lazy

if TYPE_CHECKING:
    from theus._core.conflict import ConflictManager, RetryDecision
    from theus._core.context import ProcessContext
    from theus._core.delta import DeltaEntry
    from theus._core.guard_list import ListGuard
    from theus._core.guard_map import MapGuard
    from theus._core.guard_record import RecordGuard
    from theus._core.guard_set import SetGuard
    from theus._core.savepoint import Savepoint
    from theus._core.state import State
    from theus._core.transaction import Transaction
    from theus._core.view import FrozenDict, FrozenList, FrozenRecord
    from theus.audit import AuditLevel, AuditLogEntry, AuditRecipe, AuditSystem
    from theus.flux.machine import FSMState
    from theus.flux.workflow import WorkflowEngine
    from theus.heavy.descriptor import BufferDescriptor
    from theus.heavy.registry import MemoryRegistry
    from theus.outbox import OutboxMsg
    from theus.signals import SignalHub, SignalReceiver
    from theus.supervisor import ContextGuard, SupervisorCore, SupervisorProxy
else:
    try:
        import theus._core.node  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "theus._core.node":
            raise
        import sys

        raise ImportError(
            "Cannot import theus: its compiled core is not built for this Python "
            f"({sys.implementation.cache_tag}). In the source tree run `make build`, or "
            "`python setup.py build_ext --inplace` with Cython and a C compiler installed; "
            "elsewhere install it again from its source with `pip install PATH_TO_SOURCE`.",
            name=__name__,
        ) from error

__all__ = [
    "AuditLevel",
    "AuditLogEntry",
    "AuditRecipe",
    "AuditSystem",
    "BufferDescriptor",
    "ConflictManager",
    "ContextGuard",
    "DeltaEntry",
    "FSMState",
    "FrozenDict",
    "FrozenList",
    "FrozenRecord",
    "ListGuard",
    "MapGuard",
    "MemoryRegistry",
    "OutboxMsg",
    "ProcessContext",
    "RecordGuard",
    "RetryDecision",
    "Savepoint",
    "SetGuard",
    "SignalHub",
    "SignalReceiver",
    "State",
    "SupervisorCore",
    "SupervisorProxy",
    "Transaction",
    "WorkflowEngine",
]

_HOMES = {
    "AuditLevel": "theus.audit",
    "AuditLogEntry": "theus.audit",
    "AuditRecipe": "theus.audit",
    "AuditSystem": "theus.audit",
    "BufferDescriptor": "theus.heavy.descriptor",
    "ConflictManager": "theus._core.conflict",
    "DeltaEntry": "theus._core.delta",
    "FSMState": "theus.flux.machine",
    "FrozenDict": "theus._core.view",
    "FrozenList": "theus._core.view",
    "FrozenRecord": "theus._core.view",
    "ListGuard": "theus._core.guard_list",
    "MapGuard": "theus._core.guard_map",
    "MemoryRegistry": "theus.heavy.registry",
    "OutboxMsg": "theus.outbox",
    "ProcessContext": "theus._core.context",
    "RecordGuard": "theus._core.guard_record",
    "RetryDecision": "theus._core.conflict",
    "Savepoint": "theus._core.savepoint",
    "SetGuard": "theus._core.guard_set",
    "SignalHub": "theus.signals",
    "SignalReceiver": "theus.signals",
    "State": "theus._core.state",
    "ContextGuard": "theus.supervisor",
    "SupervisorCore": "theus.supervisor",
    "SupervisorProxy": "theus.supervisor",
    "Transaction": "theus._core.transaction",
    "WorkflowEngine": "theus.flux.workflow",
}

__getattr__, __dir__ = lazy(__name__, _HOMES)
