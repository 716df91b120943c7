"""Promise: `map` and `gather` make many calls at once, each a transaction of its own."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import ReentryError, SettingsError, TheusError

START = {"domain": {"n": 0, "seen": {}}}


@process
def count(ctx: Any, item: int, step: int = 1) -> int:
    ctx.domain.n += step
    ctx.domain.seen[item] = step
    return item * 10


@process(inputs=["domain.n"], outputs=["domain.n"], parallel=True)
def add(ctx: Any, by: int) -> int:
    return ctx.domain.n + by


@process
def picky(ctx: Any, item: int) -> int:
    if item == 3:
        raise ValueError("not three")
    ctx.incr("domain.n")
    return item


@process
def naps(ctx: Any, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@process
async def waits(ctx: Any, seconds: float) -> float:
    await asyncio.sleep(seconds)
    ctx.incr("domain.n")
    return seconds


@pytest.fixture
def engine() -> Iterator[TheusEngine]:
    with TheusEngine(START, pool="inline") as made:
        yield made


def test_values_come_in_order_and_no_update_is_lost(engine: TheusEngine) -> None:
    assert list(engine.map(count, range(100))) == [number * 10 for number in range(100)]
    assert engine.state.domain.n == 100
    assert set(engine.state.domain.seen) == set(range(100))
    assert list(engine.map(count, [1, 2], [5, 6, 7])) == [10, 20]
    assert list(engine.map("count", [1], kwargs={"step": 3})) == [10]
    assert engine.state.domain.n == 114
    assert list(engine.map(count, [])) == []


@pytest.mark.parametrize("pool", ["inline", "threads", "processes"])
def test_parallel_processes_commit_in_the_parent(pool: str) -> None:
    with TheusEngine(START, pool=pool, pool_size=2) as engine:
        assert sorted(engine.map(add, [1] * 30)) == list(range(1, 31))
        assert engine.state.domain.n == 30


def test_as_they_end(engine: TheusEngine) -> None:
    release = threading.Event()

    @process
    def first_waits(ctx: Any, number: int) -> int:
        if number == 0:
            assert release.wait(60)
        elif number == 3:
            release.set()
        return number

    found = list(engine.map(first_waits, range(4), ordered=False, limit=2))
    assert sorted(found) == [0, 1, 2, 3]
    assert found[0] != 0


def test_an_endless_source_is_taken_as_there_is_room(engine: TheusEngine) -> None:
    taken = itertools.count()
    values = engine.map(count, taken, limit=2)
    assert [next(values) for _ in range(3)] == [0, 10, 20]
    values.close()  # type: ignore[attr-defined]
    assert next(taken) < 30
    assert engine.state.domain.n < 30


def test_the_first_error_ends_it_and_is_raised_in_its_place(engine: TheusEngine) -> None:
    values = engine.map(picky, range(1000), limit=2)
    assert [next(values) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="not three"):
        next(values)
    with pytest.raises(StopIteration):
        next(values)
    assert engine.state.domain.n < 100


def test_errors_may_be_values(engine: TheusEngine) -> None:
    found = list(engine.map(picky, range(5), return_exceptions=True))
    assert isinstance(found[3], ValueError)
    assert found[:3] + found[4:] == [0, 1, 2, 4]
    assert engine.state.domain.n == 4


def test_progress_is_told(engine: TheusEngine) -> None:
    told: list[tuple[int, int | None]] = []
    note = lambda done, total: told.append((done, total))  # noqa: E731
    list(engine.map(count, range(5), progress=note))
    assert told == [(number, 5) for number in range(1, 6)]
    told.clear()
    list(engine.map(count, iter(range(2)), progress=note))
    assert told == [(1, None), (2, None)]


def test_gather_makes_different_calls(engine: TheusEngine) -> None:
    found = engine.gather([(count, 1), partial(count, 2, step=5), ("count", 3), (picky, 7)])
    assert found == [10, 20, 30, 7]
    assert engine.state.domain.n == 8
    assert engine.gather([]) == []
    assert engine.gather([naps], return_exceptions=True)[0].args
    with pytest.raises(TypeError, match="a call is a process"):
        engine.gather([()])


def test_an_async_process_may_be_mapped_without_a_loop(engine: TheusEngine) -> None:
    assert list(engine.map(waits, [0.0, 0.0])) == [0.0, 0.0]
    assert engine.state.domain.n == 2


def test_the_source_may_fail(engine: TheusEngine) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(engine.map(count, source()))
    engine.run(count, 5)


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="none")


def test_context_variables_go_along(engine: TheusEngine) -> None:
    @process
    def look(ctx: Any, item: int) -> str:
        return VARIABLE.get()

    token = VARIABLE.set("mine")
    try:
        assert list(engine.map(look, range(2))) == ["mine", "mine"]
    finally:
        VARIABLE.reset(token)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "2"])
def test_a_wrong_limit_is_said_at_once(engine: TheusEngine, limit: Any) -> None:
    with pytest.raises(SettingsError, match="limit"):
        engine.map(count, [1], limit=limit)


def test_inside_a_process_each_call_is_a_transaction_of_its_own_or_refused(
    engine: TheusEngine,
) -> None:
    @process
    def outer(ctx: Any) -> None:
        list(engine.map(picky, [1, 2]))
        raise ValueError("outer")

    with pytest.raises((ValueError, TheusError)):
        engine.run(outer)
    assert engine.state.domain.n in (0, 2)


# --- on a loop -------------------------------------------------------------------------------


def test_on_a_loop(engine: TheusEngine) -> None:
    async def main() -> None:
        assert [value async for value in engine.map_async(count, range(50))] == [
            number * 10 for number in range(50)
        ]
        assert engine.state.domain.n == 50
        told: list[Any] = []
        delays = [0.05, 0.0, 0.01]
        note = lambda *one: told.append(one)  # noqa: E731
        found = [
            value async for value in engine.map_async(waits, delays, ordered=False, progress=note)
        ]
        assert sorted(found) == sorted(delays)
        assert told[-1] == (3, 3)
        assert await engine.gather_async([(count, 1), partial(waits, 0.0)]) == [10, 0.0]
        errors = await engine.gather_async([(picky, 3), (picky, 4)], return_exceptions=True)
        assert isinstance(errors[0], ValueError)
        assert errors[1] == 4

    asyncio.run(main())


def test_an_error_on_a_loop_cancels_the_rest(engine: TheusEngine) -> None:
    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(ValueError, match="not three"):
            await engine.gather_async([(picky, 3), *[(waits, 600.0)] * 3])
        assert time.monotonic() - began < 300
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert engine.state.domain.n == 0


def test_map_on_a_loop_is_refused(engine: TheusEngine) -> None:
    async def main() -> None:
        with pytest.raises(ReentryError, match="map_async"):
            list(engine.map(count, [1]))
        with pytest.raises(ReentryError, match="gather_async"):
            engine.gather([count])

    asyncio.run(main())
