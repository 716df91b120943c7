"""Promise: a process called inside another joins its transaction; tasks spawned inside do not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from theus import OutboxMsg, TheusEngine, process

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
