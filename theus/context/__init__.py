"""Contexts: the classes that programs write for their state.

Names that belong to other rooms (the heavy zone) are looked up there on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from theus.context.base import BaseDomainContext, BaseGlobalContext, BaseSystemContext
from theus.context.locking import LockedContextMixin
from theus.context.namespaces import Namespace, NamespacePolicy, NamespaceRegistry
from theus.errors import TransactionError
from theus.zones import AppendOnly, Immutable, Mutable

if TYPE_CHECKING:
    from theus.heavy.allocator import HeavyZoneAllocator
    from theus.heavy.array import ShmArray, rebuild_shm_array
    from theus.heavy.segment import SafeSharedMemory
    from theus.heavy.wrapper import HeavyZoneWrapper

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
    "HeavyZoneAllocator": "theus.heavy.allocator",
    "HeavyZoneWrapper": "theus.heavy.wrapper",
    "SafeSharedMemory": "theus.heavy.segment",
    "ShmArray": "theus.heavy.array",
    "rebuild_shm_array": "theus.heavy.array",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
