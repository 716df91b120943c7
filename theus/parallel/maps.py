"""`map` of pools: one function over many items, many of them in one message; and `stop`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, Protocol

from theus.errors import SettingsError, WorkerDiedError
from theus.parallel.parcel import Outcome, Parcel
from theus.parallel.reference import reference, resolve, task_name
from theus.parallel.remote import Failure, failure, revive

__all__ = ["Maps"]

_LASTS = 0.002  # seconds that the items of a message should take together
_MOST = 1024
_AHEAD = 3  # messages under way per worker


class _Submits(Protocol):
    """What `map` needs of a pool."""

    def submit(self, task: Parcel, /, **options: Any) -> Future[Any]: ...

    def stats(self) -> Any: ...


class Maps:
    """Adds `map` to a pool that has `submit` and `stats`, and `stop` where no task is stopped."""

    def stop(self, future: Future[Any]) -> bool:
        """Cancel a task that has not begun; False for others, which cannot be stopped here."""
        return future.cancel()

    def map(
        self: _Submits,
        function: Callable[..., Any],
        /,
        *iterables: Iterable[Any],
        chunk: int | None = None,
        timeout: float | None = None,
        retry: bool = True,
    ) -> Iterator[Any]:
        """Call a function for every item, as the builtin `map` does; yields the values in order.

        Items are taken one after the other as there is room, so iterables may be endless, and
        are sent in groups. The first error is raised in its place, and what follows is left out.

        Parameters
        ----------
        chunk:
            How many items go in one message; None: as many as take about two milliseconds, found
            out on the way.
        timeout:
            Longest time of one call in seconds; then each item goes by itself.
        retry:
            Whether what a dead worker had is tried once more; if not, each item goes by itself.

        Raises what `submit` raises, and SettingsError for a chunk that is no positive number.

        >>> import math
        >>> from theus.parallel import ThreadPool
        >>> with ThreadPool(2) as pool:
        ...     list(pool.map(math.pow, [1, 2, 3], [2, 2, 2]))
        [1.0, 4.0, 9.0]
        """
        if chunk is not None and (type(chunk) is not int or chunk < 1):
            raise SettingsError(
                f"`chunk` is a positive whole number (or None), not {chunk!r}", option="chunk"
            )
        if timeout is not None or not retry:
            chunk = 1
        items = zip(*iterables, strict=False)
        return _Map(self, function, chunk, timeout, retry).iterate(items)


class _Map:
    """One run of `map`."""

    def __init__(
        self,
        pool: _Submits,
        function: Callable[..., Any],
        chunk: int | None,
        timeout: float | None,
        retry: bool,
    ) -> None:
        self._pool = pool
        self._name = task_name(function)
        found = reference(function)
        self._function = function if found is function else tuple(found)  # type: ignore[arg-type]
        self._chunk = chunk
        self._size = chunk or 1
        self._options = {"timeout": timeout, "retry": retry}

    def iterate(self, items: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
        """Send groups of items ahead, and give out their values in order."""
        under_way: deque[tuple[list[tuple[Any, ...]], Future[Any]]] = deque()
        most = _AHEAD * self._pool.stats().size
        try:
            while True:
                while len(under_way) < most and (group := list(islice(items, self._size))):
                    under_way.append((group, self._submit(group)))
                if not under_way:
                    return
                group, future = under_way.popleft()
                for values, sent in self._results(group, future):
                    yield from values
                    if sent is not None:
                        raise revive(sent, self._name)
        finally:
            for _, future in under_way:
                future.cancel()

    def _submit(self, group: list[tuple[Any, ...]]) -> Future[Any]:
        parcel = Parcel(call_each, (self._function, group), name=self._name)
        return self._pool.submit(parcel, **self._options)

    def _results(
        self, group: list[tuple[Any, ...]], future: Future[Any]
    ) -> Iterator[tuple[list[Any], Failure | None]]:
        """What a group came to. When its worker died twice, each item is tried by itself."""
        try:
            outcome: Outcome = future.result()
        except WorkerDiedError:
            if len(group) == 1:
                raise
            for item in group:
                yield self._submit([item]).result().value
            return
        if self._chunk is None:
            wanted = len(group) * _LASTS / max(outcome.seconds, 1e-6)
            self._size = max(1, min(_MOST, int(wanted), 8 * len(group)))
        yield outcome.value


def call_each(function: Any, group: list[tuple[Any, ...]]) -> tuple[list[Any], Failure | None]:
    """Call a function for each item, in a worker; its values, and the error that ended it."""
    call = resolve(function) if type(function) is tuple else function
    values: list[Any] = []
    add = values.append
    try:
        for item in group:
            add(call(*item))
    except BaseException as error:  # noqa: BLE001 - raised again by whoever asked for the map
        return values, failure(error, task_name(call))
    return values, None
