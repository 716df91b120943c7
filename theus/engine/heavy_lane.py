"""The heavy zone inside a process: arrays by key, replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from theus.engine.commit import Participant
from theus.errors import ContextError
from theus.heavy.array import ShmArray
from theus.heavy.lease import WriteLease, published
from theus.heavy.wrapper import HeavyZoneWrapper

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from theus._core.context import Spec
    from theus._core.transaction import Transaction

__all__ = ["LeaseParticipant", "ProcessHeavy"]


class ProcessHeavy(HeavyZoneWrapper):
    """`ctx.heavy`: arrays come out read-only; assigning a key swaps the reference at the commit.

    `out` and `writable` give an array in shared memory to write into, which becomes the value
    of the key at the commit, without a copy. Nobody else can see it before, and an attempt that
    fails or is rolled back leaves nothing of it. What may be assigned and deleted is decided by
    the contract.
    """

    __slots__ = ("_guard", "_leases", "_lend")

    def __init__(self, guard: Any, lend: Callable[[Any, Any, str], WriteLease]) -> None:
        super().__init__(guard, readonly=True)
        self._guard = guard
        self._lend = lend
        self._leases: dict[str, WriteLease] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        self._guard[key] = value
        self._arrays.pop(key, None)

    def __delitem__(self, key: str) -> None:
        del self._guard[key]
        self._arrays.pop(key, None)

    def out(self, key: str, shape: Any, dtype: DTypeLike = "float64") -> ShmArray:
        """Return a new array to write into; it is `heavy.key` from the commit on.

        What is in it at first is not defined. The right to write ends with the process.

        Raises
        ------
        ContractViolationError
            `heavy.key` is not a declared output; nothing was taken.
        HeavyZoneFullError
            There is no room.
        TypeError, ValueError
            A shape or dtype that cannot be.
        """
        lease = self._lend(shape, dtype, key)
        self[key] = lease.sealed
        self._leases[key] = lease
        return lease.array

    def writable(self, key: str, *, fresh: bool = False) -> ShmArray:
        """Return a copy of the array under `key` to write into; it replaces it at the commit.

        Called again in the same attempt it gives the same memory. With `fresh`, it has the
        shape and dtype of the current one, and what is in it is not defined. Copying costs as
        much as `numpy.copyto`; see docs/decisions/0009.

        Raises
        ------
        KeyError
            There is no such key.
        ContextError
            What is under it is no array.
        ContractViolationError, HeavyZoneFullError
            As `out`.
        """
        current = self[key]
        known = self._leases.get(key)
        if known is not None and known.open and self._guard[key] is known.sealed:
            return known.array
        if not isinstance(current, np.ndarray):
            raise ContextError(
                f"heavy.{key} is a {type(current).__name__}, not an array; assign a new object",
                paths=(f"heavy.{key}",),
            )
        made = self.out(key, current.shape, current.dtype)
        if not fresh:
            np.copyto(made, current)
        return made


class LeaseParticipant(Participant):
    """Ends the right to write what is about to be committed."""

    def prepare(self, tx: Transaction, spec: Spec | None) -> None:
        written = {}
        for key, value in tx.pending_heavy.items():
            public = published(value)
            if public is not value:
                written[key] = public
        if written:
            with tx.unlimited():
                tx.update(heavy=written)
            tx.prepare()
