"""The one snapshot of an engine's counters: `TheusEngine.stats`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from theus._core.counters import Counters
from theus.errors import (
    AuditError,
    ConflictError,
    ContractViolationError,
    InvariantViolationError,
    ParallelError,
    SchemaViolationError,
    TaskTimeoutError,
    WriteTimeoutError,
)

if TYPE_CHECKING:
    from theus.engine.base import EngineBase

__all__ = ["make_counters", "measure"]

_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (ConflictError, "conflict"),
    (ContractViolationError, "contract"),
    (AuditError, "audit"),
    (SchemaViolationError, "schema"),
    (InvariantViolationError, "invariant"),
    (WriteTimeoutError, "timeout"),
    (TaskTimeoutError, "timeout"),
    (ParallelError, "worker"),
    (asyncio.CancelledError, "cancelled"),
    (GeneratorExit, "cancelled"),
)
_REASONS = ("backoff", "priority", "receivers")


def make_counters() -> Counters:
    """The counters of one engine, all at zero."""
    return Counters(_CAUSES, _REASONS, "exception")


def measure(engine: EngineBase) -> dict[str, Any]:
    """What an engine has done and what it holds. One look, no lock held between two numbers."""
    store, hub, outbox = engine._store, engine._hub, engine._outbox
    counters, heavy, pool = engine._counters, engine._heavy, engine._dispatcher.started
    aborts = counters.aborts
    return {
        "version": store.ver,
        "commits": store.commits,
        "conflicts": aborts["conflict"],
        "aborts": aborts,
        "attempts": counters.attempts,
        "retries": counters.retries,
        "max_attempts": max(counters.max_attempts, min(1, counters.attempts)),
        "failures": counters.failures,
        "tickets": counters.tickets,
        "waiting": engine._arbiter.waiting,
        "waits": counters.waits,
        "wait_seconds": counters.wait_seconds,
        "snapshots_alive": store.alive,
        "snapshot_lag": store.lag,
        "undo_records": store.undo_records,
        "history": len(store.history),
        "history_bytes": store.history.bytes,
        "heavy": None if heavy is None else asdict(heavy.stats()),
        "outbox_pending": len(outbox),
        "outbox_delivered": outbox.delivered,
        "signals_published": hub.published,
        "signals_dropped": hub.dropped,
        "signals_refused": hub.refused,
        "receivers": hub.subscribers,
        "pool": None if pool is None else asdict(pool.stats()),
    }
