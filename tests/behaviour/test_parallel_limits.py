"""Promise: a cancelled or late attempt stops the work of its worker; pools take options."""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import SettingsError, WriteTimeoutError

START = {"domain": {"n": 3, "out": None}}
USER = contextvars.ContextVar("USER", default="nobody")
WAIT = 60


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True)
def linger(ctx: Any, mark: str) -> int:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(WAIT)
    return 1


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True, write_timeout_ms=300)
def linger_with_limit(ctx: Any, mark: str) -> int:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(WAIT)
    return 1


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True, write_timeout_ms=50_000)
def time_left(ctx: Any) -> float:
    return float(ctx.deadline - time.monotonic())


@process(inputs=["domain.n"], outputs=["domain.out"], parallel=True)
def who(ctx: Any) -> tuple[str, int]:
    return USER.get(), os.getpid()


@process(
    inputs=["domain.n"], outputs=["domain.out"], parallel=True, errors=["TimeoutError"],
    write_timeout_ms=50_000,
)  # fmt: skip
def raises_timeout(ctx: Any) -> int:
    raise TimeoutError("of its own")


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def gone(mark: Path) -> bool:
    return not Path(f"/proc/{mark.read_text()}").exists()


def engine(**options: Any) -> TheusEngine:
    return TheusEngine(START, pool="processes", pool_size=1, **options)


def test_a_cancelled_call_stops_its_worker(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def cancel(made: TheusEngine) -> None:
        task = asyncio.ensure_future(made.execute(linger, str(mark)))
        while not (mark.exists() and mark.read_text()):
            await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with engine() as made:
        before = made.state
        asyncio.run(cancel(made))
        until(lambda: gone(mark))
        until(lambda: made.get_pool().stats().pending == 0)
        assert made.state is before
        assert made.run(who)[0] == "nobody"


@pytest.mark.parametrize("in_loop", [False, True])
def test_a_late_attempt_stops_its_worker(tmp_path: Path, in_loop: bool) -> None:
    mark = tmp_path / "mark"

    async def execute(made: TheusEngine) -> Any:
        return await made.execute(linger_with_limit, str(mark))

    with engine() as made:
        made.get_pool().start(wait=True)
        made.run(who)
        before = made.state
        with pytest.raises(WriteTimeoutError, match="300 ms allowed"):
            asyncio.run(execute(made)) if in_loop else made.run(linger_with_limit, str(mark))
        until(lambda: not mark.exists() or gone(mark))
        assert made.state is before
        assert made.run(who)[0] == "nobody"


@pytest.mark.parametrize("pool", ["processes", "threads", "inline"])
def test_workers_know_when_the_attempt_has_to_be_done(pool: str) -> None:
    with TheusEngine(START, pool=pool, pool_size=1) as made:
        assert 0 < made.run(time_left) <= 50
        with pytest.raises(TimeoutError, match="of its own") as caught:
            made.run(raises_timeout)
        assert not isinstance(caught.value, WriteTimeoutError)


def test_options_of_the_pool_are_options_of_the_engine() -> None:
    place = f"{__name__}:USER"
    with engine(pool_options={"carry": [place], "max_tasks": 1, "spare": 0}) as made:
        token = USER.set("ann")
        try:
            first, second = made.run(who), made.run(who)
        finally:
            USER.reset(token)
        assert (first[0], second[0]) == ("ann", "ann")
        until(lambda: made.get_pool().stats().recycled)
        assert made.run(who) != first


@pytest.mark.parametrize("pool", ["processes", "threads", "inline"])
def test_options_that_a_pool_has_not_are_refused(pool: str) -> None:
    with TheusEngine(START, pool=pool, pool_options={"colour": 1}) as made:
        with pytest.raises(SettingsError, match=f"{pool}.* has no option 'colour'; it has size"):
            made.run(who)


@pytest.mark.parametrize("options", [{"size": 1}, {"heap": None}, [], "spare", {1: 2}])
def test_options_are_a_mapping_without_what_has_a_place_of_its_own(options: Any) -> None:
    with pytest.raises(SettingsError, match="pool_options"):
        TheusEngine(START, pool_options=options)


def test_two_engines_have_their_own_workers() -> None:
    with engine() as one, engine() as other:
        pids = {one.run(who)[1], other.run(who)[1]}
        assert len(pids) == 2
        one.shutdown()
        assert other.run(who)[1] in pids
