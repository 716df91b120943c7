"""Worker pools: run functions in other processes, in threads, or here, behind one protocol.

Names are resolved on first use: importing this package alone loads neither numpy nor
:mod:`multiprocessing`, and starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theus._lazy import lazy

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
    from theus.parallel.backends.interpreters import InterpreterPool
    from theus.parallel.backends.processes import ProcessPool
    from theus.parallel.backends.threads import ThreadPool
    from theus.parallel.context import ParallelContext
    from theus.parallel.parcel import Outcome, Parcel
    from theus.parallel.probe import INTERPRETERS_SUPPORTED
    from theus.parallel.remote import RemoteTraceback

__all__ = [
    "INTERPRETERS_SUPPORTED",
    "BackendEntry",
    "Capabilities",
    "InlinePool",
    "InterpreterPool",
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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "INTERPRETERS_SUPPORTED": "theus.parallel.probe",
        "BackendEntry": "theus.parallel.backend",
        "Capabilities": "theus.parallel.backend",
        "InlinePool": "theus.parallel.backends.inline",
        "InterpreterPool": "theus.parallel.backends.interpreters",
        "Outcome": "theus.parallel.parcel",
        "ParallelContext": "theus.parallel.context",
        "Parcel": "theus.parallel.parcel",
        "PoolBackend": "theus.parallel.backend",
        "PoolStats": "theus.parallel.backend",
        "ProcessPool": "theus.parallel.backends.processes",
        "RemoteTraceback": "theus.parallel.remote",
        "ThreadPool": "theus.parallel.backends.threads",
        "available_backends": "theus.parallel.backend",
        "make_pool": "theus.parallel.backend",
    },
)
