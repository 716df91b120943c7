"""WriteLease: the right to write a new array in shared memory, until it is published.

The array is written in a block of its own, which nobody else can reach. When the lease ends,
what was written is what everybody reads from then on, without a copy. The array that was
given out becomes read-only, and where somebody kept another view of it, that part of the
mapping is made private first: whatever is written through such a view later stays there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, final

import numpy as np

from theus.errors import HeavyReadOnlyError
from theus.heavy.array import ShmArray, array_over
from theus.heavy.segment import detach_range
from theus.heavy.window import Window, pinned_of

if TYPE_CHECKING:
    from theus.heavy.arena import Block
    from theus.heavy.blocks import BorrowedBlock

__all__ = ["WriteLease", "lease_of", "leases_under", "published"]


@final
class WriteLease:
    """A new array that may be written until `seal`.

    Parameters
    ----------
    block:
        Where its bytes lie; none for an array without bytes.
    shape, dtype:
        As in numpy, C order.
    renew:
        Called when the mapping that was written through is not to be used for others.

    Not thread-safe for writing (neither is numpy); `seal` may be called from any thread.
    """

    __slots__ = ("__weakref__", "_dtype", "_given", "_lock", "_renew", "_window", "key", "sealed")

    def __init__(
        self,
        block: Block | BorrowedBlock | None,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        renew: Callable[[], object] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._renew = renew
        self._given: list[weakref.ref[ShmArray]] = []
        self._dtype = dtype
        self._window: Window | None = None
        self.key = "" if block is None else block.key
        if block is None:
            self.sealed = np.zeros(shape, dtype).view(ShmArray)
            self.sealed.flags.writeable = False
            return
        reading = block.window().bytes()
        reading.writer = weakref.ref(self)
        self.sealed = array_over(reading, shape, dtype, 0, None)
        self._window = block.window(readonly=False)

    @property
    def array(self) -> ShmArray:
        """The array to write into. Raises HeavyReadOnlyError after `seal`."""
        with self._lock:
            window = self._window
            if window is not None:
                pinned = window.bytes()
                pinned.lease = self
                made = array_over(pinned, self.sealed.shape, self._dtype, 0, None)
                self._given.append(weakref.ref(made))
                return made
        if self.sealed.nbytes == 0:
            return np.zeros(self.sealed.shape, self._dtype).view(ShmArray)
        raise HeavyReadOnlyError(
            f"the lease of heavy array {self.key!r} has ended; take another one", key=self.key
        )

    @property
    def open(self) -> bool:
        """Whether it may still be written."""
        return self._window is not None

    def seal(self) -> ShmArray:
        """End the right to write; the array as everybody reads it. Idempotent, O(1).

        Raises OSError in the one case that the kernel refuses to detach a view that somebody
        kept; the lease is open then.
        """
        with self._lock:
            window = self._window
            if window is not None:
                if window.viewed:
                    self._detach(window)
                self._window = None
        return self.sealed

    def _detach(self, window: Window) -> None:
        """Somebody still has a view: it stays readable and loses the right to write."""
        detach_range(window.segment.name, window.address, window.origin, window.size)
        if self._renew is not None:
            self._renew()
        for given in self._given:
            array = given()
            if array is not None:
                array.flags.writeable = False

    def __repr__(self) -> str:
        array = self.sealed
        state = "open" if self.open else "sealed"
        return f"<WriteLease of {self.key!r} {array.dtype}{array.shape}, {state}>"


def lease_of(array: object) -> WriteLease | None:
    """The lease that `array` is written through, whole or in part; None for others."""
    pinned = pinned_of(array) if isinstance(array, np.ndarray) else None
    return None if pinned is None else pinned.lease


def leases_under(arrays: Iterable[object]) -> list[WriteLease]:
    """The open leases that these arrays are written or read through."""
    found = []
    for array in arrays:
        pinned = pinned_of(array) if isinstance(array, np.ndarray) else None
        if pinned is not None:
            writing = pinned.lease or (pinned.writer and pinned.writer())
            if writing is not None and writing.open:
                found.append(writing)
    return found


def published(value: object) -> object:
    """What everybody may read of `value`: itself, or the same part of what its lease seals.

    The lease of an array that is written or read here has ended afterwards.
    """
    pinned = pinned_of(value) if isinstance(value, np.ndarray) else None
    if pinned is None or not isinstance(value, np.ndarray):
        return value
    lease: WriteLease | None = pinned.lease
    if lease is None:
        writing = None if pinned.writer is None else pinned.writer()
        if writing is not None:
            writing.seal()
        return value
    reading = pinned_of(lease.seal())
    if reading is None:
        return value
    offset = value.__array_interface__["data"][0] - pinned.window.address
    return array_over(reading, value.shape, value.dtype, offset, value.strides)
