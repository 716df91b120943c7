"""Promise: a process called inside another joins its transaction; tasks spawned inside do not."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import OutboxMsg, StateUpdate, TheusEngine, process
from theus.context.updates import FunctionResult

START = {"domain": {"n": 0, "log": []}}
LIMITS: dict[str, Any] = {
    "inputs": ["domain.n", "domain.log"],
    "outputs": ["domain.n", "domain.log"],
    "errors": ["ValueError"],
}


@process(**LIMITS)
def inner(ctx: Any, fail: bool = False) -> None:
    ctx.domain.n += 1
    ctx.domain.log.append("inner")
    ctx.outbox.add(OutboxMsg("inner", ctx.domain.n))
    if fail:
        raise ValueError("inner")


@process(**LIMITS)
async def inner_async(ctx: Any, fail: bool = False) -> None:
    ctx.domain.n += 1
    await asyncio.sleep(0)
    ctx.domain.log.append("inner")
    ctx.outbox.add(OutboxMsg("inner", ctx.domain.n))
    if fail:
        raise ValueError("inner")


def _outer(engine: TheusEngine, inner_fails: bool, outer_fails: bool) -> Any:
    @process(**LIMITS)
    def outer(ctx: Any) -> None:
        ctx.domain.n = 10
        ctx.domain.log.append("outer")
        try:
            engine.run(inner, fail=inner_fails)
        except ValueError:
            if not inner_fails:
                raise
        seen: int = ctx.domain.n
        assert engine.state.domain.n == 0
        if outer_fails:
            raise ValueError("outer")
        ctx.domain.log.append(seen)

    return outer


def _outer_async(engine: TheusEngine, inner_fails: bool, outer_fails: bool) -> Any:
    @process(**LIMITS)
    async def outer(ctx: Any) -> None:
        ctx.domain.n = 10
        ctx.domain.log.append("outer")
        try:
            await engine.execute(inner_async, fail=inner_fails)
        except ValueError:
            if not inner_fails:
                raise
        seen = ctx.domain.n
        assert engine.state.domain.n == 0
        if outer_fails:
            raise ValueError("outer")
        ctx.domain.log.append(seen)

    return outer


def _call(engine: TheusEngine, kind: str, inner_fails: bool, outer_fails: bool) -> None:
    make = _outer if kind == "sync" else _outer_async
    engine.run(make(engine, inner_fails, outer_fails))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_inner_call_sees_pending_writes_and_commits_with_the_outer(kind: str) -> None:
    with TheusEngine(START) as engine:
        _call(engine, kind, inner_fails=False, outer_fails=False)
        assert engine.state.domain.to_dict() == {"n": 11, "log": ["outer", "inner", 11]}
        assert engine.state.version == 2
        assert [message.payload for message in engine.outbox] == [11]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_inner_failure_undoes_only_the_inner_writes(kind: str) -> None:
    with TheusEngine(START) as engine:
        _call(engine, kind, inner_fails=True, outer_fails=False)
        assert engine.state.domain.to_dict() == {"n": 10, "log": ["outer", 10]}
        assert engine.state.version == 2
        assert len(engine.outbox) == 0


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("inner_fails", [False, True])
def test_an_outer_failure_undoes_everything(kind: str, inner_fails: bool) -> None:
    with TheusEngine(START) as engine:
        before = engine.state
        with pytest.raises(ValueError, match="outer"):
            _call(engine, kind, inner_fails=inner_fails, outer_fails=True)
        assert engine.state is before
        assert len(engine.outbox) == 0


def test_a_sync_process_joins_from_an_async_one() -> None:
    with TheusEngine(START) as engine:

        @process(**LIMITS)
        async def outer(ctx: Any) -> None:
            ctx.domain.n = 10
            await engine.execute(inner)
            ctx.domain.log.append(ctx.domain.n)

        engine.run(outer)
        assert engine.state.domain.to_dict() == {"n": 11, "log": ["inner", 11]}
        assert engine.state.version == 2


def test_a_task_spawned_inside_has_its_own_transaction() -> None:
    with TheusEngine(START) as engine:

        @process(outputs=["domain.log"])
        async def outer(ctx: Any) -> None:
            ctx.append("domain.log", "outer")
            await asyncio.create_task(_spawned(engine))
            assert engine.state.version == 2
            assert list(engine.state.domain.log) == ["inner"]

        engine.run(outer)
        assert engine.state.domain.n == 1
        assert list(engine.state.domain.log) == ["inner", "outer"]
        assert engine.state.version == 3


async def _spawned(engine: TheusEngine) -> None:
    await engine.execute(inner_async)


def test_the_inner_call_is_held_to_its_own_contract() -> None:
    @process(inputs=["domain.log"], outputs=["domain.log"])
    def narrow(ctx: Any) -> None:
        ctx.domain.n = 5

    with TheusEngine(START) as engine:
        before = engine.state

        @process(**LIMITS)
        def outer(ctx: Any) -> None:
            ctx.domain.n = 10
            engine.run(narrow)

        with pytest.raises(PermissionError):
            engine.run(outer)
        assert engine.state is before


def test_an_async_process_joins_from_a_sync_one() -> None:
    with TheusEngine(START) as engine:

        @process(**LIMITS)
        async def middle(ctx: Any, fail: bool) -> None:
            ctx.domain.n += 1
            await asyncio.create_task(_committed(engine, 1))
            await engine.execute(inner)
            await engine.execute(inner_async)
            if fail:
                raise ValueError("middle")

        @process(**LIMITS)
        def outer(ctx: Any, fail: bool) -> None:
            ctx.domain.n = 10
            engine.run(inner_async)
            with pytest.raises(ValueError, match="middle"):
                engine.run(middle, fail=True)
            assert ctx.domain.n == 11
            engine.run(middle, fail=False)
            if fail:
                raise ValueError("outer")

        before = engine.state
        with pytest.raises(ValueError, match="outer"):
            engine.run(outer, fail=True)
        assert engine.state is before
        engine.run(outer, fail=False)
        assert engine.state.domain.to_dict() == {"n": 14, "log": ["inner"] * 3}
        assert engine.state.version == 2


async def _committed(engine: TheusEngine, version: int) -> None:
    assert engine.state.version == version


def test_a_task_of_an_async_process_below_a_sync_one_has_its_own_transaction() -> None:
    with TheusEngine(START) as engine:

        @process(outputs=["domain.log"])
        async def middle(ctx: Any) -> None:
            await asyncio.create_task(_spawned(engine))
            assert engine.state.version == 2

        @process(outputs=["domain.log"])
        def outer(ctx: Any) -> None:
            ctx.append("domain.log", "outer")
            engine.run(middle)

        engine.run(outer)
        assert list(engine.state.domain.log) == ["inner", "outer"]
        assert engine.state.version == 3


def test_a_cancelled_inner_call_has_ended_and_is_undone_before_the_outer_goes_on() -> None:
    begun, let = threading.Event(), threading.Event()
    after: list[int] = []

    @process(**LIMITS)
    def slow(ctx: Any) -> None:
        ctx.domain.n = 1000
        begun.set()
        assert let.wait(60)
        ctx.domain.n = 2000
        after.append(ctx.domain.n)

    with TheusEngine(START) as engine:

        @process(**LIMITS)
        async def outer(ctx: Any) -> None:
            ctx.domain.n = 7
            task = asyncio.current_task()
            assert task is not None
            canceller = asyncio.create_task(_cancel(task, begun, let))
            with pytest.raises(asyncio.CancelledError):
                await engine.execute(slow)
            assert after == [2000]
            assert ctx.domain.n == 7
            ctx.domain.log.append("outer")
            await canceller

        engine.run(outer)
        assert engine.state.domain.to_dict() == {"n": 7, "log": ["outer"]}


async def _cancel(task: asyncio.Task[Any], begun: threading.Event, let: threading.Event) -> None:
    assert await asyncio.to_thread(begun.wait, 60)
    task.cancel("enough")
    await asyncio.sleep(0)
    task.cancel("enough")
    await asyncio.sleep(0)
    let.set()


@process(inputs=["domain.log"], outputs=["domain.n"])
def with_update(ctx: Any) -> FunctionResult:
    return FunctionResult(5, StateUpdate(signal={"done": 1}))


@process(inputs=["domain.log"])
def container(ctx: Any) -> Any:
    return ctx.domain.log


def test_an_inner_call_gives_what_the_call_by_itself_gives() -> None:
    with TheusEngine({"domain": {"n": 0, "log": ["a"]}}) as engine:

        @process(**LIMITS)
        def outer(ctx: Any) -> None:
            assert engine.run(with_update) == 5
            assert ctx.domain.n == 5
            log = engine.run(container)
            assert type(log) is list
            log.append("not in the state")

        assert engine.run(with_update) == 5
        assert type(engine.run(container)) is list
        before = engine.state
        assert before.signals == {"done": 1}
        with engine.transaction() as tx:
            tx.domain.n = 0
        engine.run(outer)
        assert engine.state.domain.to_dict() == {"n": 5, "log": ["a"]}
        assert engine.state.signals == {"done": 1}
