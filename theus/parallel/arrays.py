"""Large arrays in messages between parent and worker: in shared memory, beside the message.

An array that is too large to be copied through a pipe is written into a block of an arena, and
the message has its passport. Arrays that lie there already are not copied at all. Numpy is
loaded by neither side for this; where it is not loaded there is no array.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from theus.errors import HeavyZoneError

if TYPE_CHECKING:
    from theus.heavy.lease import WriteLease

__all__ = [
    "LARGE",
    "PROTOCOL",
    "Borrower",
    "Lend",
    "block_of",
    "blocks_viewed",
    "dumps",
    "forget_gone",
    "lease",
    "lend_by",
    "seal",
]

PROTOCOL = 5
LARGE = 32 * 1024

Lend = Callable[[Any, Any], "WriteLease | None"]


def dumps(value: Any, lend: Lend | None) -> tuple[bytes, list[Any]]:
    """Pickle a message; also the arrays it has passports of, which have to be held meanwhile.

    Parameters
    ----------
    value:
        What to pickle.
    lend:
        Called with shape and dtype for each large array; gives memory for a copy of it, or None
        to have it pickled as data. None: all are.

    Raises whatever the pickling of `value` raises, and what `lend` does.
    """
    if "theus.heavy.carrying" not in sys.modules and (lend is None or "numpy" not in sys.modules):
        return pickle.dumps(value, PROTOCOL), []
    from theus.heavy.carrying import carrying

    with carrying() as held:
        file = io.BytesIO()
        pickler = pickle.Pickler(file, PROTOCOL)
        if lend is not None:
            pickler.dispatch_table = _table(lend)
        pickler.dump(value)
    return file.getvalue(), held


def seal(held: list[Any]) -> None:
    """End the right to write the arrays that a message has passports of, and let go of them."""
    module = sys.modules.get("theus.heavy.lease")
    if module is None:
        held.clear()
        return
    leases = module.leases_under(held)
    held.clear()  # before, since a view that is alive has to be detached
    for one in leases:
        one.seal()


def blocks_viewed() -> list[tuple[str, int, int]]:
    """Blocks of others that this process still has views of, after its message was read."""
    module = sys.modules.get("theus.heavy.blocks")
    return [] if module is None else module.views_alive()


_lender: Callable[..., WriteLease] | None = None


def lend_by(lender: Callable[..., WriteLease]) -> None:
    """Say where processes of this worker get memory for arrays."""
    global _lender
    _lender = lender


def lease(shape: Any, dtype: Any, key: str) -> WriteLease:
    """Memory for an array that a process in a worker writes.

    Raises HeavyZoneFullError, and HeavyZoneError where there is no parent to lend it.
    """
    if _lender is None:
        raise HeavyZoneError(
            f"there is no memory for heavy array {key!r} here: this is no worker process. Return "
            "an array, or assign one to the key",
            key=key,
        )
    return _lender(shape, dtype, key)


def forget_gone() -> None:
    """Let go of memory that its owner has taken back."""
    module = sys.modules.get("theus.heavy.window")
    if module is not None:
        module.forget_gone()


def block_of(array: Any) -> tuple[str, int, int] | None:
    """The block that an array of a message lies in; None for other memory."""
    from theus.heavy.window import window_of

    window = window_of(array)
    if window is None or not window.part:
        return None
    return window.segment.name, window.origin, window.generation


class Borrower:
    """How a worker comes by memory for large arrays: its parent lends it.

    Parameters
    ----------
    ask:
        Sends a question to the parent and returns the answer.
    """

    def __init__(self, ask: Callable[[bytes], bytes | bytearray]) -> None:
        self._ask = ask

    def lend(self, shape: Any, dtype: Any, key: str = "") -> WriteLease:
        """A lease like that of an allocator. Raises HeavyZoneFullError and the like."""
        from theus.heavy.blocks import BorrowedBlock
        from theus.heavy.descriptor import layout
        from theus.heavy.lease import WriteLease

        lengths, kind, nbytes = layout(shape, dtype)
        if nbytes == 0:
            return WriteLease(None, lengths, kind)
        place, refused = pickle.loads(self._ask(pickle.dumps((nbytes, key))))  # noqa: S301
        if refused is not None:
            raise refused
        name, origin, generation = place
        block = BorrowedBlock(name, origin, generation, key)
        return WriteLease(block, lengths, kind, block.renew)

    def lend_if_there_is_room(self, shape: Any, dtype: Any) -> WriteLease | None:
        """The same; None where there is none to be had."""
        try:
            return self.lend(shape, dtype)
        except HeavyZoneError:
            return None


def _table(lend: Lend) -> dict[type, Callable[[Any], Any]]:
    """How to pickle classes: as always, but for arrays that are no views of shared memory."""
    import numpy as np

    def reduce(array: Any) -> Any:
        if array.nbytes < LARGE or array.dtype.hasobject:
            return array.__reduce_ex__(PROTOCOL)
        transposed = array.flags.f_contiguous and not array.flags.c_contiguous
        source = array.T if transposed else array
        try:
            lease = lend(source.shape, source.dtype)
        except TypeError:  # a dtype that has no form in shared memory
            lease = None
        if lease is None:
            return array.__reduce_ex__(PROTOCOL)
        np.copyto(lease.array, source, casting="no")
        sealed = lease.seal()
        return (sealed.T if transposed else sealed).__reduce_ex__(PROTOCOL)

    table = {**copyreg.dispatch_table, np.ndarray: reduce}
    freezer = sys.modules.get("theus.freezers.numpy_")
    if freezer is not None:
        table[freezer.FrozenArray] = reduce
    return table
