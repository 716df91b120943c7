"""ThreadExecutor: the scheduler that runs functions on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar, final

from theus._closing import Closing
from theus.parallel.backends.threads import ThreadPool

__all__ = ["ThreadExecutor"]

T = TypeVar("T")


@final
class ThreadExecutor(Closing):
    """Runs functions on a bounded number of threads; an `IScheduler`.

    The threads are those of a `theus.parallel.ThreadPool`: each function runs with the context
    variables of its submitter, and one that submits to its own executor has that run at once.

    Parameters
    ----------
    workers:
        How many threads; by default as many as the program has processors.
    max_pending:
        How many functions may be unfinished before `submit` waits.
    """

    def __init__(self, workers: int | None = None, *, max_pending: int = 1024) -> None:
        self._pool = ThreadPool(workers, max_pending=max_pending)

    def submit(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``func(*args, **kwargs)`` on a thread; its future.

        Raises PoolClosedError after `shutdown`.
        """
        return self._pool.submit(partial(func, *args, **kwargs))

    def map(self, func: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
        """``func`` of every item, side by side; results in order.

        The first error, in the order of the items, is raised when all have ended.
        """
        futures = [self.submit(func, item) for item in items]
        wait(futures)
        return [future.result() for future in futures]

    def shutdown(self, wait: bool = True) -> None:
        """Take nothing more; with `wait`, return when everything submitted has ended."""
        self._pool.shutdown(wait)

    def _leave(self, error: BaseException | None) -> None:
        self.shutdown()
