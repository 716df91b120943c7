"""Promise: only a call made by the body itself joins its transaction, whatever runs beside it."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from theus import TheusEngine, process

START = {"domain": {"n": 0, "log": []}}

needs_eager_tasks = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python has eager tasks from 3.12 on"
)


@process(outputs=["domain.log"])
async def note(ctx: Any, text: str) -> None:
    ctx.append("domain.log", text)
    await asyncio.sleep(0)


@process(outputs=["domain.log"])
async def note_at_once(ctx: Any, text: str) -> None:
    ctx.append("domain.log", text)


@process(outputs=["domain.log"])
def note_sync(ctx: Any, text: str) -> None:
    ctx.append("domain.log", text)


TURNS = [("a", 5), ("b", 3), ("c", 9)]
NOTES = [note, note_at_once, note_sync]


@pytest.fixture
def engine() -> Iterator[TheusEngine]:
    with TheusEngine(START) as made:
        yield made


def log(engine: TheusEngine) -> list[str]:
    return list(engine.state.domain.log)


def around(engine: TheusEngine, spawn: Callable[[], Awaitable[object]]) -> Any:
    """A process that writes, lets `spawn` commit something of its own, and then joins a call."""

    @process(outputs=["domain.log"])
    async def outer(ctx: Any) -> None:
        ctx.append("domain.log", "before")
        await spawn()
        assert log(engine) == ["spawned"]
        await engine.execute(note, "joined")
        assert log(engine) == ["spawned"]

    return outer


def assert_spawned_on_its_own(engine: TheusEngine) -> None:
    assert log(engine) == ["spawned", "before", "joined"]
    assert engine.state.version == 3


@pytest.mark.parametrize("inner", NOTES)
@pytest.mark.parametrize("way", ["task", "gather", "group", "context", "wait_for", "shield"])
def test_tasks_started_inside_a_body_do_not_join(engine: TheusEngine, inner: Any, way: str) -> None:
    async def spawn() -> None:
        call = engine.execute(inner, "spawned")
        if way == "task":
            await asyncio.create_task(call)
        elif way == "gather":
            await asyncio.gather(call, asyncio.sleep(0))
        elif way == "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(call)
        elif way == "context":
            context = contextvars.copy_context()
            await asyncio.create_task(call, context=context)
        elif way == "wait_for":
            await asyncio.wait_for(asyncio.ensure_future(call), 60)
        else:
            await asyncio.shield(call)

    engine.run(around(engine, spawn))
    assert_spawned_on_its_own(engine)


@needs_eager_tasks
@pytest.mark.parametrize("inner", NOTES)
@pytest.mark.parametrize("way", ["task", "gather", "group"])
def test_eager_tasks_do_not_join(engine: TheusEngine, inner: Any, way: str) -> None:
    async def spawn() -> None:
        if way == "task":
            await asyncio.create_task(engine.execute(inner, "spawned"))
        elif way == "gather":
            await asyncio.gather(engine.execute(inner, "spawned"), asyncio.sleep(0))
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.execute(inner, "spawned"))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - 3.12 on
        await engine.execute(around(engine, spawn))

    asyncio.run(main())
    assert_spawned_on_its_own(engine)


@needs_eager_tasks
def test_an_eager_task_and_the_body_that_started_it_take_turns(engine: TheusEngine) -> None:
    """The task begins on the stack of the body, suspends, and both go on calling processes."""

    async def beside() -> None:
        for number in range(3):
            await engine.execute(note, f"beside {number}")

    @process(outputs=["domain.log"])
    async def outer(ctx: Any) -> None:
        task = asyncio.ensure_future(beside())
        for number in range(3):
            await engine.execute(note, f"inside {number}")
        await task
        assert log(engine) == [f"beside {number}" for number in range(3)]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - 3.12 on
        await engine.execute(outer)

    asyncio.run(main())
    assert log(engine)[3:] == [f"inside {number}" for number in range(3)]
    assert engine.state.version == 5


@pytest.mark.parametrize("inner", NOTES)
def test_threads_started_inside_a_body_do_not_join(engine: TheusEngine, inner: Any) -> None:
    async def to_thread() -> None:
        await asyncio.to_thread(engine.run, inner, "spawned")

    engine.run(around(engine, to_thread))
    assert_spawned_on_its_own(engine)


@pytest.mark.parametrize("inner", NOTES)
def test_a_thread_of_a_sync_body_does_not_join(engine: TheusEngine, inner: Any) -> None:
    @process(outputs=["domain.log"])
    def outer(ctx: Any) -> None:
        ctx.append("domain.log", "before")
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(engine.run, inner, "spawned"))
        thread.start()
        thread.join()
        assert log(engine) == ["spawned"]
        engine.run(inner, "joined")
        assert log(engine) == ["spawned"]

    engine.run(outer)
    assert_spawned_on_its_own(engine)


@pytest.mark.parametrize("inner", NOTES)
def test_a_sync_body_joins_from_any_context(engine: TheusEngine, inner: Any) -> None:
    @process(outputs=["domain.log"])
    def outer(ctx: Any) -> None:
        before = engine.state
        contextvars.copy_context().run(engine.run, inner, "copied")
        contextvars.Context().run(engine.run, inner, "empty")
        assert engine.state is before

    engine.run(outer)
    assert log(engine) == ["copied", "empty"]
    assert engine.state.version == 2

    asyncio.run(_execute(engine, outer))
    assert log(engine) == ["copied", "empty"] * 2
    assert engine.state.version == 3


async def _execute(engine: TheusEngine, body: Any) -> None:
    await engine.execute(body)


def test_bodies_that_suspend_beside_each_other_never_join(engine: TheusEngine) -> None:
    @process(inputs=["domain.n"], outputs=["domain.log"])
    async def chatty(ctx: Any, name: str, turns: int) -> None:
        for turn in range(turns):
            await engine.execute(note, f"{name}{turn}")
            await asyncio.sleep(0)
            ctx.append("domain.log", f"{name}{turn}!")

    async def main() -> None:
        await asyncio.gather(
            *(engine.execute(chatty, name, turns) for name, turns in TURNS),
            *(engine.execute(note_sync, f"s{number}") for number in range(5)),
        )

    asyncio.run(main())
    entries = log(engine)
    for name, turns in TURNS:
        own = [f"{name}{turn}{end}" for turn in range(turns) for end in ("", "!")]
        start = entries.index(own[0])
        assert entries[start : start + len(own)] == own
    assert engine.state.version == 9


def test_a_call_made_inside_but_awaited_by_a_task_afterwards_does_not_join(
    engine: TheusEngine,
) -> None:
    left: list[Awaitable[Any]] = []

    @process(outputs=["domain.log"])
    async def outer(ctx: Any) -> None:
        left.append(engine.execute(note, "left"))
        ctx.append("domain.log", "outer")

    async def main() -> None:
        await engine.execute(outer)
        await left.pop()

    asyncio.run(main())
    assert log(engine) == ["outer", "left"]
    assert engine.state.version == 3


def test_an_async_generator_joins_while_its_body_runs_it(engine: TheusEngine) -> None:
    ended: list[str] = []

    async def notes() -> AsyncIterator[int]:
        try:
            for number in range(5):
                await engine.execute(note, f"step {number}")
                yield number
        finally:
            await engine.execute(note, "final")
            ended.append("final")

    @process(outputs=["domain.log"])
    async def outer(ctx: Any, kept: list[Any]) -> None:
        steps = notes()
        async for number in steps:
            if number == 1:
                break
        kept.append(steps)
        assert not log(engine)

    async def main() -> None:
        kept: list[Any] = []
        await engine.execute(outer, kept)
        assert log(engine) == ["step 0", "step 1"]
        kept.clear()
        while not ended:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert log(engine) == ["step 0", "step 1", "final"]
    assert engine.state.version == 3


def test_a_generator_that_a_body_abandons_ends_on_its_own(engine: TheusEngine) -> None:
    ended: list[str] = []

    async def notes() -> AsyncIterator[int]:
        try:
            yield 0
        finally:
            await engine.execute(note, "final")
            ended.append("final")

    @process(outputs=["domain.log"])
    async def outer(ctx: Any) -> None:
        async for _ in notes():
            break
        while not ended:
            await asyncio.sleep(0)
        assert log(engine) == ["final"]
        ctx.append("domain.log", "outer")

    engine.run(outer)
    assert log(engine) == ["final", "outer"]
    assert engine.state.version == 3


def test_another_engine_is_not_joined(engine: TheusEngine) -> None:
    with TheusEngine(START) as other:

        @process(outputs=["domain.log"])
        async def outer(ctx: Any) -> None:
            ctx.append("domain.log", "outer")
            await other.execute(back)
            assert log(other) == ["there"]

        @process(outputs=["domain.log"])
        async def back(ctx: Any) -> None:
            ctx.append("domain.log", "there")
            await engine.execute(note, "back")
            assert log(engine) == ["back"]

        engine.run(outer)
        assert log(engine) == ["back", "outer"]
        assert log(other) == ["there"]
