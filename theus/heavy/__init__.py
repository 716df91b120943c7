"""The heavy zone: large arrays in shared memory, owned, recorded, and never left behind.

Names are resolved on first use; importing this package alone loads neither numpy nor
:mod:`multiprocessing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theus.heavy.allocator import HeavyStats, HeavyZoneAllocator, ManagedAllocator
    from theus.heavy.array import ShmArray, attach_array, rebuild_shm_array
    from theus.heavy.descriptor import BufferDescriptor
    from theus.heavy.reaper import ScanReport, scan_zombies
    from theus.heavy.registry import MemoryRegistry
    from theus.heavy.segment import SafeSharedMemory, Segment
    from theus.heavy.wrapper import HeavyZoneWrapper

__all__ = [
    "BufferDescriptor",
    "HeavyStats",
    "HeavyZoneAllocator",
    "HeavyZoneWrapper",
    "ManagedAllocator",
    "MemoryRegistry",
    "SafeSharedMemory",
    "ScanReport",
    "Segment",
    "ShmArray",
    "attach_array",
    "rebuild_shm_array",
    "scan_zombies",
]


_HOME = {
    "BufferDescriptor": "descriptor",
    "HeavyStats": "allocator",
    "HeavyZoneAllocator": "allocator",
    "HeavyZoneWrapper": "wrapper",
    "ManagedAllocator": "allocator",
    "MemoryRegistry": "registry",
    "SafeSharedMemory": "segment",
    "ScanReport": "reaper",
    "Segment": "segment",
    "ShmArray": "array",
    "attach_array": "array",
    "rebuild_shm_array": "array",
    "scan_zombies": "reaper",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
