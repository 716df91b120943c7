"""AutoPool: each task in a sub-interpreter where it can run there, else in a worker process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import fields
from typing import TYPE_CHECKING, Any, final

from theus._closing import Closing
from theus._logs import logger
from theus.errors import NotTransferableError
from theus.parallel.backend import BackendEntry, Capabilities, PoolBackend, PoolStats
from theus.parallel.backends.interpreters import InterpreterPool
from theus.parallel.backends.processes import ProcessPool
from theus.parallel.options import texts
from theus.parallel.parcel import Parcel
from theus.parallel.probe import interpreters_supported
from theus.parallel.reference import task_name

if TYPE_CHECKING:
    from theus.heavy.allocator import HeavyZoneAllocator

__all__ = ["BACKEND", "AutoPool"]

_log = logger("parallel")
_CAPABILITIES = Capabilities(
    "auto", concurrent=True, isolated=True, stops_tasks=False, survives_crashes=False
)
_OF_ALL = ("size", "max_pending")


@final
class AutoPool(Closing):
    """Interpreters for what loads there, and worker processes, once needed, for the rest.

    Parameters
    ----------
    size:
        How many interpreters, and how many processes; by default as many as there are processors.
    max_pending:
        How many tasks may be unfinished in each before `submit` waits.
    carry:
        Context variables whose values go along with each task, as ``"module:NAME"``.
    heap:
        Returns the allocator for large arrays, which go to processes.

    Where a task goes is decided before it begins, and the reason why one goes to a process is
    logged once per function. Any method may be called from any thread. One lock guards the making
    of the pool of processes.
    """

    def __init__(
        self,
        size: int | None = None,
        *,
        max_pending: int = 1024,
        carry: Iterable[str] = (),
        heap: Callable[[], HeavyZoneAllocator] | None = None,
    ) -> None:
        places = texts("carry", carry)
        self._interpreters = InterpreterPool(size, max_pending=max_pending, carry=places)
        self._processes = ProcessPool(size, max_pending=max_pending, carry=places, heap=heap)
        self._lock = threading.Lock()
        self._told: set[str] = set()

    @property
    def capabilities(self) -> Capabilities:
        """What tasks can count on wherever they run."""
        return _CAPABILITIES

    def start(self, wait: bool = False, timeout: float | None = None) -> None:
        """Make the interpreters; processes start with the first task that needs one."""
        self._interpreters.start(wait, timeout)

    def submit(
        self,
        task: Parcel | Callable[..., Any],
        /,
        *args: Any,
        **options: Any,
    ) -> Future[Any]:
        """Run ``task``; see `PoolBackend.submit`."""
        try:
            return self._interpreters.submit(task, *args, **options)
        except NotTransferableError as refused:
            self._tell(task.title if isinstance(task, Parcel) else task_name(task), refused)
        return self._processes.submit(task, *args, **options)

    def map(
        self, function: Callable[..., Any], /, *iterables: Iterable[Any], **options: Any
    ) -> Iterator[Any]:
        """Call a function for every item, all of them in one kind of worker; see `Maps.map`."""
        try:
            return self._interpreters.map(function, *iterables, **options)
        except NotTransferableError as refused:
            self._tell(task_name(function), refused)
        return self._processes.map(function, *iterables, **options)

    def when_free(self) -> Future[None]:
        """A future that is done when an interpreter would take a task."""
        return self._interpreters.when_free()

    def stop(self, future: Future[Any]) -> bool:
        """Cancel a task that has not begun, or stop one in a process; see `PoolBackend.stop`."""
        return self._processes.stop(future)

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """End both pools; see `PoolBackend.shutdown`."""
        self._interpreters.shutdown(wait, timeout)
        self._processes.shutdown(wait, timeout)

    def stats(self) -> PoolStats:
        """Counts of both pools together; ``size`` and ``max_pending`` of each."""
        one, other = self._interpreters.stats(), self._processes.stats()
        names = [field.name for field in fields(PoolStats)]
        return PoolStats(
            **{
                name: getattr(one, name) + (0 if name in _OF_ALL else getattr(other, name))
                for name in names
            }
        )

    def _leave(self, error: BaseException | None) -> None:
        self.shutdown(wait=error is None)

    def __repr__(self) -> str:
        return f"<AutoPool of {self._interpreters!r} and {self._processes!r}>"

    def _tell(self, title: str, refused: NotTransferableError) -> None:
        with self._lock:
            if title in self._told:
                return
            self._told.add(title)
        _log.info("task %s goes to a worker process: %s", title, refused)


def _make(
    size: int | None = None,
    *,
    max_pending: int = 1024,
    carry: Iterable[str] = (),
    heap: Callable[[], HeavyZoneAllocator] | None = None,
) -> PoolBackend:
    """Worker processes alone where there are no interpreters; the reason is logged."""
    kind = AutoPool if interpreters_supported() else ProcessPool
    return kind(size, max_pending=max_pending, carry=carry, heap=heap)


BACKEND = BackendEntry(_make, shares_memory=True)
