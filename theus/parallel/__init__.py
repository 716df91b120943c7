"""Worker pools: run functions in other processes, in threads, or here, behind one protocol.

Names are resolved on first use: importing this package alone loads neither numpy nor
:mod:`multiprocessing`, and starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theus.parallel.backend import (
        BackendEntry,
        Capabilities,
        PoolBackend,
        PoolStats,
        available_backends,
        make_pool,
    )
    from theus.parallel.backends.inline import InlinePool
    from theus.parallel.backends.processes import ProcessPool
    from theus.parallel.backends.threads import ThreadPool
    from theus.parallel.context import ParallelContext
    from theus.parallel.parcel import Outcome, Parcel
    from theus.parallel.remote import RemoteTraceback

    INTERPRETERS_SUPPORTED: bool

__all__ = [
    "INTERPRETERS_SUPPORTED",
    "BackendEntry",
    "Capabilities",
    "InlinePool",
    "Outcome",
    "ParallelContext",
    "Parcel",
    "PoolBackend",
    "PoolStats",
    "ProcessPool",
    "RemoteTraceback",
    "ThreadPool",
    "available_backends",
    "make_pool",
]

_HOMES = {
    "BackendEntry": "backend",
    "Capabilities": "backend",
    "InlinePool": "backends.inline",
    "Outcome": "parcel",
    "ParallelContext": "context",
    "Parcel": "parcel",
    "PoolBackend": "backend",
    "PoolStats": "backend",
    "ProcessPool": "backends.processes",
    "RemoteTraceback": "remote",
    "ThreadPool": "backends.threads",
    "available_backends": "backend",
    "make_pool": "backend",
}


def __getattr__(name: str) -> Any:
    value: Any
    if name == "INTERPRETERS_SUPPORTED":
        value = import_module("theus.parallel.probe").interpreters_supported()
    elif name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
