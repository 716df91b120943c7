"""Blocks in which a process acts as administrator: what its contract and zones do not limit."""

from theus._core.context cimport transaction_of
from theus._core.current cimport forbid
from theus._core.footprint cimport ACTIVE
from theus._core.refusal cimport place
from theus._core.transaction cimport Transaction


def elevate(ctx):
    """Lift the limits of a context until `lower`. Its transaction; None where it is no context.

    Raises ContractViolationError in a PURE process, TransactionStateError after its end.
    """
    cdef Transaction tx = transaction_of(ctx)
    if tx is None:
        return None
    if tx.status != ACTIVE:
        tx.ended()
    if tx.pure:
        forbid(tx, "act as administrator", "theus.admin", "AdminTransaction", place())
    tx.admin += 1
    return tx


def lower(Transaction tx not None):
    """The end of what `elevate` began."""
    tx.admin -= 1
