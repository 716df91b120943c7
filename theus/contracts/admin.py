"""`AdminTransaction`: a block in which a process is not limited by its contract and by zones."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from theus._core.admin import elevate, lower
from theus._core.refusal import at_place, place
from theus._logs import logger

if TYPE_CHECKING:
    from theus._core.transaction import Transaction

__all__ = ["AdminTransaction"]

_log = logger("admin")
C = TypeVar("C")


class AdminTransaction(Generic[C]):
    """Lifts the limits of a process inside a block, for migrations, repairs and the like.

    ``with AdminTransaction(ctx): ...``: contract, zones and private names limit nothing there;
    only what is constant stays so. Everything else holds: the snapshot, the conflict check, the
    schema, all or nothing. Each entry is written to the meta log and to the logger
    ``theus.admin``, with its place. Blocks may be nested; a process that is called in the block is
    limited by its own contract.

    In a unit test, where the context is another object, the block does nothing.

    Raises ContractViolationError in a PURE process, TransactionStateError after its end.
    """

    __slots__ = ("_ctx", "_tx")

    def __init__(self, ctx: C) -> None:
        self._ctx = ctx
        self._tx: Transaction | None = None

    def __enter__(self) -> C:
        self._tx = elevate(self._ctx)
        if self._tx is not None:
            who = f"process {self._tx.process!r}" if self._tx.process else "a transaction"
            text = f"{who} acts as administrator{at_place(*place())}"
            self._tx.state.log_meta("admin", text)
            _log.info("%s", text)
        return self._ctx

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tx is not None:
            lower(self._tx)
            self._tx = None
