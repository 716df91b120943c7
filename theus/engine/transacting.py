"""Transactions without a process: blocks, retry loops, compare-and-swap, set-up code."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from theus._core.conflict import RetryDecision
from theus._core.pattern import unlimited
from theus._core.purity import refuse_in_pure
from theus._core.state import State
from theus._core.transaction import Transaction
from theus.engine.attempts import Attempts
from theus.engine.base import EngineBase
from theus.engine.editing import editing
from theus.errors import ConflictError, SettingsError, SystemBusyError

__all__ = ["Transacting"]

_EVERYTHING = unlimited(False)


class Transacting(EngineBase):
    """What an engine offers to change its state by hand."""

    def transaction(
        self, write_timeout_ms: float | None = 5000, *, isolation: str | None = None
    ) -> Transaction:
        """A transaction for a `with` block: it commits at the end, or rolls back on an error.

        Raises ConflictError at the end of the block where something it read or wrote changed
        meanwhile; `attempts` retries.
        """
        return self._new_transaction(write_timeout_ms=write_timeout_ms, isolation=isolation)

    def begin(
        self, write_timeout_ms: float | None = None, *, isolation: str | None = None
    ) -> Transaction:
        """A transaction that is committed or rolled back by hand."""
        return self._new_transaction(write_timeout_ms=write_timeout_ms, isolation=isolation)

    def attempts(
        self,
        write_timeout_ms: float | None = None,
        *,
        isolation: str | None = None,
        label: str = "transaction",
    ) -> Attempts:
        """A retry loop around a block: `for attempt in engine.attempts(): with attempt as tx: ...`

        Use `async for` under an event loop. At most `max_retries + 2` attempts lose; then
        RetryLimitError.
        """
        options = {"write_timeout_ms": write_timeout_ms, "isolation": isolation}
        return Attempts(self, label, options)

    def _new_transaction(
        self,
        *,
        write_timeout_ms: float | None = None,
        isolation: str | None = None,
        chain: Any = None,
        process: str | None = None,
    ) -> Transaction:
        tx = Transaction.__new__(Transaction)
        self._attach(tx, write_timeout_ms, isolation, chain, process)
        return tx

    def adopt_transaction(self, tx: Transaction, write_timeout_ms: float | None) -> None:
        """Wire a `Transaction(engine)` that was made by its constructor."""
        self._attach(tx, write_timeout_ms, None, None, None)

    def _attach(
        self,
        tx: Transaction,
        timeout: float | None,
        isolation: str | None,
        chain: Any,
        process: Any,
    ) -> None:
        self._refuse_closed()
        refuse_in_pure("open a transaction", "theus.transaction")
        level = isolation or self.settings.isolation
        if level not in ("serializable", "snapshot"):
            raise SettingsError(
                f"isolation must be serializable or snapshot, got {level!r}",
                option="isolation",
                value=level,
            )
        tx.attach(
            self._store,
            _EVERYTHING,
            serializable=level == "serializable",
            process=process,
            write_timeout_ms=timeout,
            hook=self._runner.commit,
            chain=chain,
        )

    def compare_and_swap(
        self,
        expected_version: int,
        data: Mapping[str, Any] | None = None,
        heavy: Mapping[str, Any] | None = None,
        signal: Mapping[str, Any] | None = None,
        requester: str | None = None,
    ) -> State | None:
        """Change state only if what is changed is still as it was at `expected_version`.

        None on success. With `strict_cas` any change since refuses, and the current state is
        returned instead of changing anything. Otherwise raises ContextError ("CAS Version
        Mismatch", naming the paths) where one of the keys changed, and SystemBusyError while
        another requester has priority (`report_conflict`).
        """
        self._refuse_busy(requester)
        tx = self._new_transaction(process=requester)
        tx.assert_version(expected_version, strict=self.settings.strict_cas)
        try:
            tx.update(data=data, heavy=heavy, signal=signal)
            self._runner.commit(tx)
        except BaseException as error:
            tx.rollback(error)
            if isinstance(error, ConflictError) and self.settings.strict_cas:
                return self.state
            raise
        return None

    def _refuse_busy(self, requester: str | None) -> None:
        holder = self._conflicts.vip_holder
        if holder is not None and holder != requester:
            raise SystemBusyError(
                f"System Busy: {holder!r} has priority after too many conflicts. Try again in a "
                f"moment; it loses its place after {self.settings.lease_ms:.0f} ms.",
                holder=holder,
                wait_ms=50.0,
            )

    def edit(self) -> AbstractContextManager[Any]:
        """Set-up code: `with engine.edit() as context: context.domain.x = 1`; one commit."""
        refuse_in_pure("edit the state", "theus.edit")
        return editing(self, self._context, self._locks)

    def report_conflict(self, name: str) -> RetryDecision:
        """Count a failure of a requester; see `ConflictManager`."""
        return self._conflicts.report_conflict(name)

    def report_success(self, name: str) -> None:
        """Forget the failures of a requester."""
        self._conflicts.report_success(name)
