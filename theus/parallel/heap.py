"""Heap: the shared memory of a pool, for arrays that its tasks are given and give back."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from theus.errors import HeavyZoneError, TheusError

if TYPE_CHECKING:
    from theus.heavy.allocator import HeavyZoneAllocator
    from theus.heavy.lease import WriteLease

__all__ = ["Heap"]


@final
class Heap:
    """The allocator of a pool, made when the first large array comes along.

    Parameters
    ----------
    given:
        Returns the allocator of whoever made the pool; None: the pool makes its own.
    wait:
        How many seconds whoever submits waits for room.

    Thread-safe.
    """

    def __init__(
        self, given: Callable[[], HeavyZoneAllocator] | None = None, wait: float = 10.0
    ) -> None:
        self._given = given
        self._own: HeavyZoneAllocator | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self.wait = wait

    def _allocator(self) -> HeavyZoneAllocator:
        if self._given is not None:
            return self._given()
        with self._lock:
            if self._own is None:
                from theus.heavy.allocator import HeavyZoneAllocator

                self._own = HeavyZoneAllocator()
            return self._own

    def lease(self, shape: Any, dtype: Any) -> WriteLease:
        """Memory for an argument; waits for room. Raises HeavyZoneFullError."""
        return self._allocator().lease(shape, dtype, timeout=self.wait)

    def lease_at_once(self, shape: Any, dtype: Any) -> WriteLease:
        """The same without waiting."""
        return self._allocator().lease(shape, dtype)

    def lend(self, question: bytes | bytearray) -> tuple[bytes, list[Any]]:
        """Answer a worker that asks for memory: the answer, and the blocks it speaks of.

        Called on the dispatcher's thread; does not wait.
        """
        nbytes, key = pickle.loads(question)  # noqa: S301 - from a worker of ours
        try:
            block = self._allocator().block(nbytes, key)
        except HeavyZoneError as error:
            return pickle.dumps((None, error)), []
        except TheusError as error:  # the engine is being shut down
            return pickle.dumps((None, HeavyZoneError(str(error), key=key))), []
        return pickle.dumps(((block.name, block.origin, block.generation), None)), [block]

    def close(self) -> None:
        """Let go of the allocator, if it is the pool's own; arrays that are alive stay valid."""
        with self._lock:
            own, self._own = self._own, None
        if own is not None:
            own.cleanup()
