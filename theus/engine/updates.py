"""Applying a `StateUpdate`: checked against the declared outputs, then queued like any write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from theus._core.path import format_path, parse_path
from theus._core.pattern import CAN_WRITE, allowed, check
from theus._core.refusal import at_place, raise_or_report
from theus.contracts.decorator import home_of
from theus.errors import ContractViolationError

if TYPE_CHECKING:
    from theus._core.context import Spec
    from theus._core.transaction import Transaction
    from theus.context.updates import StateUpdate

__all__ = ["apply_update"]

_MERGED = ("domain", "global")


def apply_update(tx: Transaction, spec: Spec, update: StateUpdate) -> None:
    """Queue what a returned `StateUpdate` says.

    Raises ContractViolationError ("Write permission denied for path ...") where it leaves the
    declared outputs; the transaction is then discarded as a whole.
    """
    for path in _paths(update):
        if not check(spec.out_pos, path, CAN_WRITE):
            _deny(tx, spec, path)
    with tx.unlimited():
        if update.key is not None:
            tx.set(update.key, update.val)
        tx.update(data=update.data, heavy=update.heavy)
        for target in update.delete or ():
            tx.delete(target)
    if update.signal:
        if spec.pure:
            _deny(tx, spec, ("signal",))
        if spec.effects is not None:
            for topic in update.signal:
                spec.effects.check(tx, "signal", topic)
        tx.update(signal=update.signal)
    if update.assert_version is not None:
        tx.assert_version(update.assert_version)


def _paths(update: StateUpdate) -> list[tuple[Any, ...]]:
    paths: list[tuple[Any, ...]] = []
    if update.key is not None:
        paths.append(parse_path(update.key))
    for key, value in (update.data or {}).items():
        parts = parse_path(key) if isinstance(key, str) else (key,)
        if len(parts) == 1 and parts[0] in _MERGED:
            paths += [(parts[0], name) for name in value]
        else:
            paths.append(parts)
    paths += [("heavy", key) for key in update.heavy or {}]
    paths += [parse_path(path) for path in update.delete or ()]
    return paths


def _deny(tx: Transaction, spec: Spec, path: tuple[Any, ...]) -> None:
    text = format_path(path)
    patterns = allowed(spec.out_pos, CAN_WRITE)
    file, line = home_of(spec.func)
    error = ContractViolationError(
        f"Write permission denied for path {text!r}: process {spec.name!r}{at_place(file, line)} "
        f"returned a StateUpdate that changes it, but its outputs are "
        f"{', '.join(patterns) or 'none'}. Add {text!r} to outputs, or leave it out of the update.",
        process=spec.name,
        path=text,
        action="write",
        allowed=patterns,
        file=file,
        line=line,
        change=("outputs", text),
    )
    raise_or_report(tx.store.report, spec.out_pos.flags, error)
