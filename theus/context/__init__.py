"""Contexts: the classes that programs write for their state.

Names are looked up in their modules on first use: those of the heavy zone need numpy, and most
others the compiled core, which a worker that only returns a `StateUpdate` has no need of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theus._lazy import lazy

if TYPE_CHECKING:
    from theus.context.base import BaseDomainContext, BaseGlobalContext, BaseSystemContext
    from theus.context.locking import LockedContextMixin
    from theus.context.namespaces import Namespace, NamespacePolicy, NamespaceRegistry
    from theus.errors import TransactionError
    from theus.heavy.allocator import HeavyZoneAllocator
    from theus.heavy.array import ShmArray, rebuild_shm_array
    from theus.heavy.segment import SafeSharedMemory
    from theus.heavy.wrapper import HeavyZoneWrapper
    from theus.zones import AppendOnly, Immutable, Mutable

__all__ = [
    "AppendOnly",
    "BaseDomainContext",
    "BaseGlobalContext",
    "BaseSystemContext",
    "HeavyZoneAllocator",
    "HeavyZoneWrapper",
    "Immutable",
    "LockedContextMixin",
    "Mutable",
    "Namespace",
    "NamespacePolicy",
    "NamespaceRegistry",
    "SafeSharedMemory",
    "ShmArray",
    "TransactionError",
    "rebuild_shm_array",
]

_HOMES = {
    "AppendOnly": "theus.zones",
    "BaseDomainContext": "theus.context.base",
    "BaseGlobalContext": "theus.context.base",
    "BaseSystemContext": "theus.context.base",
    "HeavyZoneAllocator": "theus.heavy.allocator",
    "HeavyZoneWrapper": "theus.heavy.wrapper",
    "Immutable": "theus.zones",
    "LockedContextMixin": "theus.context.locking",
    "Mutable": "theus.zones",
    "Namespace": "theus.context.namespaces",
    "NamespacePolicy": "theus.context.namespaces",
    "NamespaceRegistry": "theus.context.namespaces",
    "SafeSharedMemory": "theus.heavy.segment",
    "ShmArray": "theus.heavy.array",
    "TransactionError": "theus.errors",
    "rebuild_shm_array": "theus.heavy.array",
}

__getattr__, __dir__ = lazy(__name__, _HOMES)
