"""Parallel processes: the same attempt as any other, whose body is a call to a worker.

The stand-in that replaces the body reads the declared inputs through the transaction (so they
are validated like any read), sends plain values and passports of heavy arrays, and waits. The
value that comes back is mapped to the outputs by the same commit path as everywhere.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from theus._core.context import transaction_of
from theus._core.pattern import pattern_keys
from theus.engine.replay import replay
from theus.errors import EngineClosedError

if TYPE_CHECKING:
    from theus._core.context import ProcessContext
    from theus.contracts.model import ProcessContract
    from theus.engine.settings import Settings
    from theus.engine.tracing import Tracer
    from theus.heavy.allocator import HeavyZoneAllocator
    from theus.heavy.lease import WriteLease
    from theus.parallel import Outcome, PoolBackend

__all__ = ["Dispatcher"]

_MISSING = object()


class Dispatcher:
    """The worker pool of one engine, made on first use, and the way to it.

    Thread-safe: one lock around making and closing the pool.
    """

    def __init__(self, settings: Settings, heap: Callable[[], HeavyZoneAllocator]) -> None:
        self._settings = settings
        self._heap = heap
        self._lock = threading.Lock()
        self._pool: PoolBackend | None = None
        self._closed = False
        self.tracer: Tracer | None = None
        if settings.pool is not None:
            from theus.parallel.backend import usable_backend

            usable_backend(settings.pool_name)

    def pool(self) -> PoolBackend:
        """The pool, started on first use."""
        with self._lock:
            if self._closed:
                raise EngineClosedError("the engine was shut down; make a new one")
            if self._pool is None:
                from theus.parallel import make_pool

                self._pool = make_pool(
                    self._settings.pool_name,
                    heap=self._heap,
                    size=self._settings.pool_size,
                    **self._settings.pool_options,
                )
                self._pool.start()
            return self._pool

    @property
    def started(self) -> PoolBackend | None:
        """The pool, if it was started and not ended."""
        return self._pool

    def _lend(self, shape: Any, dtype: Any, key: str) -> WriteLease:
        return self._heap().lease(shape, dtype, key=key)

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def stand_in(self, func: Callable[..., Any], contract: ProcessContract) -> Callable[..., Any]:
        """The sync body that runs `func` in a worker."""

        @functools.wraps(func)
        def remote(ctx: ProcessContext, *args: Any, **kwargs: Any) -> Any:
            with self._task(ctx) as done:
                limit = self._limit(contract)
                future = self._submit(ctx, func, contract, args, kwargs, limit)
                try:
                    outcome = future.result(limit)
                except BaseException as error:
                    self._give_up(ctx, future, error)
                    raise
                done(outcome)
            return _take(ctx, outcome)

        return remote

    def async_stand_in(
        self, func: Callable[..., Any], contract: ProcessContract
    ) -> Callable[..., Any]:
        """The async body that runs `func` in a worker."""

        @functools.wraps(func)
        async def remote(ctx: ProcessContext, *args: Any, **kwargs: Any) -> Any:
            with self._task(ctx) as done:
                limit = self._limit(contract)
                future = self._submit(ctx, func, contract, args, kwargs, limit)
                try:
                    outcome = await asyncio.wait_for(asyncio.wrap_future(future), limit)
                except BaseException as error:
                    self._give_up(ctx, future, error)
                    raise
                done(outcome)
            return _take(ctx, outcome)

        return remote

    def _limit(self, contract: ProcessContract) -> float | None:
        """How many seconds an attempt may take, so that its body need not take longer."""
        limit = contract.write_timeout_ms or self._settings.write_timeout_ms
        return limit / 1000.0 if limit else None

    def _give_up(self, ctx: ProcessContext, future: Future[Any], error: BaseException) -> None:
        """The attempt is over: stop its work. Raises WriteTimeoutError if its time is over."""
        pool = self._pool
        if pool is not None and not future.done():
            pool.stop(future)
        if isinstance(error, TimeoutError):
            transaction_of(ctx).update()  # type: ignore[union-attr]  # looks at the clock

    def _task(self, ctx: ProcessContext) -> AbstractContextManager[Callable[[Outcome], object]]:
        """The time a body spends on its way, in a worker and back; gives whom to tell the end."""
        tracer = self.tracer
        return nullcontext(_ignore) if tracer is None else tracer.task(ctx.process)

    def _submit(
        self,
        ctx: ProcessContext,
        func: Callable[..., Any],
        contract: ProcessContract,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        limit: float | None,
    ) -> Future[Outcome]:
        from theus.parallel import Parcel

        tracer = self.tracer
        trace = None if tracer is None else tracer.carried()
        context = _context(ctx, contract, self._lend)
        parcel = Parcel(func, args, kwargs, context, ctx.process, trace)
        return self.pool().submit(parcel, timeout=limit)


def _ignore(outcome: Outcome) -> None:
    """Nobody wants to know."""


def _context(ctx: ProcessContext, contract: ProcessContract, lend: Any) -> Any:
    """The picklable context of a worker: plain values of what the contract lets it read."""
    from theus.contracts.model import SemanticType
    from theus.parallel import ParallelContext

    pure = contract.semantic is SemanticType.PURE
    patterns = contract.inputs if pure else (*contract.inputs, *contract.outputs)
    areas: dict[str, dict[str, Any]] = {}
    if contract.limited:
        wanted = (
            *contract.inputs,
            *(path for path in contract.outputs if not pure),
        )
        for pattern in wanted:
            _collect(ctx, _literal(pattern), areas)
    else:
        for name in (*ctx.state.data, "heavy"):
            _collect(ctx, (name,), areas)
    heavy = areas.pop("heavy", {})
    return ParallelContext(
        areas.pop("domain", {}),
        areas.pop("global", {}),
        heavy,
        version=ctx.version,
        process=ctx.process,
        declared=patterns if contract.limited else None,
        outputs=contract.outputs,
        writes=not pure,
        lend=lend,
        signals=not pure,
        areas=areas,
    )


def _literal(pattern: str) -> tuple[Any, ...]:
    """The part of a pattern before its first wildcard."""
    keys: list[Any] = []
    for key in pattern_keys(pattern):
        if any(mark in key for mark in "*?["):
            break
        keys.append(key)
    return tuple(keys)


def _collect(ctx: ProcessContext, path: tuple[Any, ...], areas: dict[str, dict[str, Any]]) -> None:
    if not path or path[0] in ("signal", "meta"):
        return
    tx = transaction_of(ctx)
    value = tx.resulting(path, _MISSING, count=True)  # type: ignore[union-attr]
    if value is _MISSING:
        _collect_parents(tx, path, areas)
        return
    if len(path) == 1:
        areas.setdefault(path[0], {}).update(value)
        return
    target = areas.setdefault(path[0], {})
    for key in path[1:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value


def _collect_parents(tx: Any, path: tuple[Any, ...], areas: dict[str, dict[str, Any]]) -> None:
    """What is not there can be written where the mappings above it are: those go along empty."""
    target: dict[Any, Any] = areas
    for end in range(1, len(path)):
        if not isinstance(tx.resulting(path[:end], None, count=True), Mapping):
            return
        target = target.setdefault(path[end - 1], {})


def _take(ctx: ProcessContext, outcome: Outcome) -> Any:
    """What the worker wrote and queued joins the transaction; the value goes on to the outputs."""
    if outcome.changes is not None:
        replay(ctx, outcome.changes)
    for message in outcome.outbox:
        ctx.outbox.add(message)
    for topic, payload in outcome.signals:
        ctx.signal[topic] = payload
    return outcome.value
