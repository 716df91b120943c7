"""What a pool backend is, and how one is chosen by name.

A backend is a module in `theus/parallel/backends` (or an entry point of the group
``theus.pools``) whose ``BACKEND`` is a `BackendEntry`; adding one is adding a file.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, Protocol, runtime_checkable

from theus._shelf import Shelf
from theus.errors import ParallelError, SettingsError
from theus.parallel.parcel import Parcel

__all__ = [
    "BackendEntry",
    "Capabilities",
    "PoolBackend",
    "PoolStats",
    "available_backends",
    "make_pool",
    "usable_backend",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do.

    Parameters
    ----------
    name:
        The name it is chosen by.
    concurrent:
        Whether tasks run beside the caller.
    isolated:
        Whether tasks run in memory of their own: functions are imported there, arguments and
        results are copied and must be picklable.
    stops_tasks:
        Whether a task over its limit is stopped. Where it is not, its caller gets the same
        error at the limit, and what the task still does is dropped.
    survives_crashes:
        Whether a task that brings its process down leaves the pool and the caller alive.
    """

    name: str
    concurrent: bool
    isolated: bool
    stops_tasks: bool
    survives_crashes: bool


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Counts of a pool, taken at one moment without stopping it.

    ``size`` wanted workers, ``ready`` of them warmed up, ``busy`` with a task; ``pending``
    unfinished tasks, at most ``max_pending``; and since the start: ``submitted``,
    ``finished`` (with or without an error), ``failed``, ``retried``, ``deaths`` of workers,
    ``timeouts``, ``lost_logs`` (records that the program's own filters failed on),
    ``lost_stderr`` (bytes that workers left behind while nobody read our standard error),
    ``recycled`` (workers that were replaced for what they had done or taken).
    """

    size: int
    ready: int
    busy: int
    pending: int
    max_pending: int
    submitted: int
    finished: int
    failed: int
    retried: int = 0
    deaths: int = 0
    timeouts: int = 0
    lost_logs: int = 0
    lost_stderr: int = 0
    recycled: int = 0


@runtime_checkable
class PoolBackend(Protocol):
    """A pool of whatever runs tasks. All methods may be called from any thread."""

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        ...

    def start(self, wait: bool = False, timeout: float | None = None) -> None:
        """Start the workers; with ``wait``, return when they are ready.

        Done by the first `submit` too. Raises PoolClosedError after `shutdown`, ParallelError
        when workers cannot be started, TaskTimeoutError after ``timeout`` seconds of waiting.
        """
        ...

    def submit(
        self,
        task: Parcel | Callable[..., Any],
        /,
        *args: Any,
        timeout: float | None = None,
        retry: bool = True,
        wait: bool = True,
        **kwargs: Any,
    ) -> Future[Any]:
        """Run ``task`` and return a future.

        Parameters
        ----------
        task:
            A function, called with the arguments; the future gives what it returns. Or a
            `Parcel`, which brings its own; the future gives an `Outcome`.
        timeout:
            Longest time in seconds that the task may run (waiting for a worker is not
            counted). Over it, the future raises TaskTimeoutError.
        retry:
            Whether a task whose worker died is tried once more. False for a task that must
            not be begun twice.
        wait:
            What to do when as many tasks are unfinished as the pool may hold: wait for a
            place, or raise PoolFullError.

        The future raises what the task raised. Raises NotTransferableError where something
        cannot travel, PoolFullError, PoolClosedError, and ParallelError when the pool is
        broken.
        """
        ...

    def when_free(self) -> Future[None]:
        """A future that is done when `submit` would probably not have to wait."""
        ...

    def stop(self, future: Future[Any]) -> bool:
        """Cancel a task of this pool; also one that runs, where the backend stops tasks.

        False when it is done, or goes on. The future of one that was stopped while it ran
        raises `concurrent.futures.CancelledError`.
        """
        ...

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Take no more tasks and end the workers. May be called again, from any thread.

        With ``wait``, tasks that were submitted are finished first, for at most ``timeout``
        seconds. Then, or at once without ``wait``, waiting tasks are cancelled and running
        ones stopped, as far as the backend can. When this returns nothing is left of it.
        """
        ...

    def stats(self) -> PoolStats:
        """Counts of this pool."""
        ...


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """A backend on the shelf.

    Parameters
    ----------
    make:
        Makes a pool from keyword options; all backends take ``size`` and ``max_pending``.
    problem:
        Returns why it cannot be used here, or None.
    shares_memory:
        Whether `make` takes the option ``heap``: where large arrays of tasks are put.
    """

    make: Callable[..., PoolBackend]
    problem: Callable[[], str | None] = lambda: None
    shares_memory: bool = False


_shelf: Shelf[BackendEntry] = Shelf(
    "theus.parallel.backends", "BACKEND", kind=BackendEntry, group="theus.pools"
)


def usable_backend(name: str) -> BackendEntry:
    """The entry of a backend. Raises UnknownEntryError, or ParallelError as `make_pool` does."""
    entry = _shelf[name]
    problem = entry.problem()
    if problem is not None:
        raise ParallelError(f"Cannot use the pool backend {name!r}: {problem}", backend=name)
    return entry


def make_pool(
    name: str = "processes", *, heap: Callable[[], Any] | None = None, **options: Any
) -> PoolBackend:
    """A new pool of the backend called ``name``; it starts with its first task.

    ``heap`` returns the allocator for large arrays; backends that have no use for it do without.

    Raises
    ------
    UnknownEntryError
        There is no backend of that name.
    ParallelError
        It cannot be used here; the message says why.
    SettingsError
        An option has a wrong value.
    """
    entry = usable_backend(name)
    if entry.shares_memory:
        options["heap"] = heap
    _check_options(name, entry.make, options)
    return entry.make(**options)


def _check_options(name: str, make: Callable[..., PoolBackend], options: dict[str, Any]) -> None:
    known = signature(make).parameters
    open_end = any(one.kind is Parameter.VAR_KEYWORD for one in known.values())
    for option, value in options.items():
        if option not in known and not open_end:
            raise SettingsError(
                f"the pool backend {name!r} has no option {option!r}; it has {', '.join(known)}",
                option=option,
                value=value,
            )


def available_backends() -> dict[str, str | None]:
    """Every backend by name, with None, or the reason why it cannot be used here."""
    return {name: entry.problem() for name, entry in _shelf.items()}
