"""Many calls at once: `map` and `gather`, in order or as they end."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from theus.engine.constrained import Constrained
from theus.engine.lanes import in_event_loop
from theus.errors import ReentryError, SettingsError

__all__ = ["Many"]

Progress = Callable[[int, "int | None"], object]


class Call(NamedTuple):
    """A call of a process: what it is looked up by, and its arguments."""

    process: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Options(NamedTuple):
    """How many calls are made."""

    limit: int
    ordered: bool
    progress: Progress | None
    return_exceptions: bool
    total: int | None


class Many(Constrained):
    """Calls of processes in numbers. Each is a transaction of its own, with its retries.

    Thread-safe; each iterator is for one thread or task.
    """

    def map(
        self,
        process: Any,
        /,
        *iterables: Iterable[Any],
        ordered: bool = True,
        limit: int | None = None,
        progress: Progress | None = None,
        return_exceptions: bool = False,
        kwargs: dict[str, Any] | None = None,
    ) -> Iterator[Any]:
        """Run a process for every item, several at once; yields the values.

        Parameters
        ----------
        process:
            A process or its name. Parallel ones run in workers, others in threads.
        iterables:
            Its arguments after the context, as with the builtin `map`: taken one after the
            other as there is room, so they may be endless.
        ordered:
            Whether values come in the order of the items, or as the calls end.
        limit:
            How many calls are under way at a time; by default two per worker for parallel
            processes, else as many as `concurrent.futures` has threads.
        progress:
            Called with how many calls have ended and how many there are (None where that is not
            known), on the thread that iterates.
        return_exceptions:
            Give what a call raised as its value. Without it the first error is raised in its
            place, calls that have not begun are left out, and those under way end first.
        kwargs:
            Keyword arguments of every call.

        The calls begin with the first value that is asked for. Leaving the iterator early
        leaves out what has not begun.

        Raises
        ------
        ReentryError
            On the thread of a running event loop; use `map_async` there.
        SettingsError
            A limit that is no positive number.
        """
        calls = (Call(process, args, kwargs or {}) for args in zip(*iterables, strict=False))
        options = self._options(process, iterables, ordered, limit, progress, return_exceptions)
        return self._iterate(calls, options)

    def gather(
        self,
        calls: Iterable[Any],
        /,
        *,
        limit: int | None = None,
        progress: Progress | None = None,
        return_exceptions: bool = False,
    ) -> list[Any]:
        """Make different calls at once; the list of their values, in order.

        A call is a process or its name, a tuple of it and its arguments, or a
        `functools.partial` of it. For the rest see `map`.

        For example ``engine.gather([refresh, (load, "a"), partial(load, "b", retries=2)])``.
        """
        made = [_as_call(call) for call in calls]
        first = made[0].process if made else None
        options = self._options(first, (made,), True, limit, progress, return_exceptions)
        return list(self._iterate(iter(made), options))

    def map_async(
        self,
        process: Any,
        /,
        *iterables: Iterable[Any],
        ordered: bool = True,
        limit: int | None = None,
        progress: Progress | None = None,
        return_exceptions: bool = False,
        kwargs: dict[str, Any] | None = None,
    ) -> AsyncIterator[Any]:
        """The same on the running loop: ``async for value in engine.map_async(load, names)``.

        The first error, and leaving the iteration, cancel the calls that are under way.
        """
        calls = (Call(process, args, kwargs or {}) for args in zip(*iterables, strict=False))
        options = self._options(process, iterables, ordered, limit, progress, return_exceptions)
        return self._iterate_async(calls, options)

    async def gather_async(
        self,
        calls: Iterable[Any],
        /,
        *,
        limit: int | None = None,
        progress: Progress | None = None,
        return_exceptions: bool = False,
    ) -> list[Any]:
        """`gather` on the running loop."""
        made = [_as_call(call) for call in calls]
        first = made[0].process if made else None
        options = self._options(first, (made,), True, limit, progress, return_exceptions)
        return [value async for value in self._iterate_async(iter(made), options)]

    def _options(
        self,
        process: Any,
        iterables: tuple[Iterable[Any], ...],
        ordered: bool,
        limit: int | None,
        progress: Progress | None,
        return_exceptions: bool,
    ) -> Options:
        if limit is not None and (type(limit) is not int or limit < 1):
            raise SettingsError(
                f"`limit` is a positive whole number (or None), not {limit!r}", option="limit"
            )
        sized: list[Sized] = [one for one in iterables if isinstance(one, Sized)]
        total = min(map(len, sized)) if sized and len(sized) == len(iterables) else None
        return Options(
            limit or self._usual_limit(process), ordered, progress, return_exceptions, total
        )

    def _usual_limit(self, process: Any) -> int:
        threads = min(32, (os.cpu_count() or 1) + 4)
        from theus.parallel.task import check_size  # only where workers are used

        if process is None or not self._registry.resolve(process).parallel:
            return threads
        return 2 * check_size(self.settings.pool_size)

    def _iterate(self, calls: Iterator[Call], options: Options) -> Iterator[Any]:
        if in_event_loop():
            raise ReentryError(
                "map and gather were called on the thread of a running event loop and would "
                "block it; use `engine.map_async(...)` or `await engine.gather_async(...)` there"
            )
        return _Threads(self.run, options).iterate(calls)

    async def _iterate_async(self, calls: Iterator[Call], options: Options) -> AsyncIterator[Any]:
        window = _Window(options)
        tasks: set[asyncio.Task[Any]] = set()
        try:
            while True:
                while window.room and (call := next(calls, None)) is not None:
                    coroutine = self._await(call)
                    task = asyncio.create_task(coroutine)
                    window.begin(task)
                    tasks.add(task)
                if not tasks:
                    return
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    window.end(task)
                for ended in window.take():
                    yield _value(ended, options)
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            window.forget()

    async def _await(self, call: Call) -> Any:
        return await self.execute(call.process, *call.args, **call.kwargs)


class _Window:
    """Calls that are under way or have ended and were not given out yet."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._order: deque[Any] = deque()
        self._ended: set[Any] = set()
        self._running = 0
        self._count = 0

    @property
    def room(self) -> bool:
        """Whether another call may begin."""
        limit = self._options.limit
        return self._running < limit and len(self._order) < 4 * limit

    def begin(self, future: Any) -> None:
        """A call began."""
        self._order.append(future)
        self._running += 1

    def end(self, future: Any) -> None:
        """A call ended."""
        self._ended.add(future)
        self._running -= 1
        self._count += 1
        if self._options.progress is not None:
            self._options.progress(self._count, self._options.total)

    def take(self) -> Iterator[Any]:
        """What can be given out now, in order or as it ended."""
        if self._options.ordered:
            while self._order and self._order[0] in self._ended:
                future = self._order.popleft()
                self._ended.discard(future)
                yield future
            return
        while self._ended:
            future = self._ended.pop()
            self._order.remove(future)
            yield future

    def forget(self) -> None:
        """What ended and was not given out raises nowhere; that is known."""
        for future in self._order:
            if future.done() and not future.cancelled():
                future.exception()


class _Threads:
    """Calls in threads of their own."""

    def __init__(self, run: Callable[..., Any], options: Options) -> None:
        self._run = run
        self._options = options

    def iterate(self, calls: Iterator[Call]) -> Iterator[Any]:
        """Make the calls as there is room, and give out their values."""
        options, ended = self._options, SimpleQueue[Future[Any]]()
        window = _Window(options)
        running = 0
        threads = ThreadPoolExecutor(options.limit, thread_name_prefix="theus-map")
        try:
            while True:
                while window.room and (call := next(calls, None)) is not None:
                    future = threads.submit(self._bound(call))
                    window.begin(future)
                    running += 1
                    future.add_done_callback(ended.put)
                if not running:
                    return
                window.end(ended.get())
                running -= 1
                for one in window.take():
                    yield _value(one, options)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def _bound(self, call: Call) -> Callable[[], Any]:
        """The call, with the context variables of who iterates."""
        body = partial(self._run, call.process, *call.args, **call.kwargs)
        return partial(copy_context().run, body)


def _value(future: Any, options: Options) -> Any:
    if options.return_exceptions:
        error = future.exception()
        if error is not None:
            return error
    return future.result()


def _as_call(call: Any) -> Call:
    if isinstance(call, partial):
        return Call(call.func, call.args, call.keywords)
    if isinstance(call, tuple):
        if not call:
            raise TypeError("a call is a process, or a tuple of a process and its arguments")
        return Call(call[0], call[1:], {})
    return Call(call, (), {})
