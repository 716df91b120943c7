"""`engine.edit()`: set-up code writes into the context object; one commit takes it over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from theus._core.delta import diff
from theus.context.base import zones_of
from theus.context.plain import plain
from theus.errors import ContractViolationError

if TYPE_CHECKING:
    from theus.context.locking import LockManager
    from theus.engine.transacting import Transacting

__all__ = ["editing"]


@contextmanager
def editing(engine: Transacting, context: Any, locks: LockManager) -> Iterator[Any]:
    """Yield the context object; afterwards its content replaces what the state has.

    A context object with locks is open in the block, zones that it got there are locked after
    it. An engine without a context object gives a transaction instead. Fields that are the same
    as before are not written; those that are constant have to be. An exception in the block, or
    a commit that fails, changes nothing and is raised.
    """
    if context is None:
        with engine.transaction(write_timeout_ms=None) as tx:
            yield tx
        return
    version = engine.state.version
    before = zones_of(context)
    kept = {area: dict(fields) for area, fields in before.items() if isinstance(fields, dict)}
    locks.attach(context)
    try:
        with locks.unlock():
            yield context
    finally:
        locks.attach(context)
    with engine.transaction(write_timeout_ms=None) as tx:
        tx.assert_version(version)
        for area, fields in zones_of(context).items():
            _write_area(tx, area, fields, kept.get(area))


def _write_area(tx: Any, area: str, fields: Any, before: dict[str, Any] | None) -> None:
    if not isinstance(fields, dict) or before is None:
        tx.set((area,), fields)
        return
    for name, value in fields.items():
        _write(tx, (area, name), value)
    for name in before:
        if name not in fields:
            tx.delete((area, name))


def _write(tx: Any, path: tuple[str, str], value: Any) -> None:
    """Set a field; one that is constant may be written as it is."""
    try:
        tx.set(path, value)
    except ContractViolationError:
        if diff(plain(tx.peek(path)), plain(value)):
            raise
