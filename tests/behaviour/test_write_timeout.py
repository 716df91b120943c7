"""Promise: a commit later than its limit raises and changes nothing.

Every limit is either surely over (a wait for it is part of the test) or far away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from theus import OutboxMsg, TheusEngine, process
from theus.errors import TransactionError, WriteTimeoutError
from theus.structures import Transaction

FAR = 600_000


def _wait_over(milliseconds: float) -> None:
    end = time.monotonic() + milliseconds / 1000.0
    while time.monotonic() <= end:
        time.sleep(0.001)


def test_a_block_that_took_too_long() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        before = engine.state
        with pytest.raises(WriteTimeoutError), engine.transaction(write_timeout_ms=1) as tx:
            tx.domain.n = 1
            tx.outbox.add(OutboxMsg("t", 1))
            _wait_over(10)
        assert engine.state is before
        assert len(engine.outbox) == 0


def test_a_block_in_time() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        with engine.transaction(write_timeout_ms=FAR) as tx:
            tx.domain.n = 1
        assert engine.state.domain.n == 1


@pytest.mark.parametrize("place", ["engine", "process"])
def test_a_process_that_took_too_long(place: str) -> None:
    limit = 1 if place == "process" else None

    @process(inputs=["domain.n"], outputs=["domain.n"], write_timeout_ms=limit)
    def slow(ctx: Any) -> int:
        _wait_over(10)
        return 1

    options = {"write_timeout_ms": 1} if place == "engine" else {}
    with TheusEngine({"domain": {"n": 0}}, **options) as engine:
        before = engine.state
        with pytest.raises(WriteTimeoutError, match="slow"):
            engine.run(slow)
        assert engine.state is before


def test_the_limit_of_the_process_comes_before_that_of_the_engine() -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"], write_timeout_ms=FAR)
    def slow(ctx: Any) -> int:
        _wait_over(10)
        return 1

    with TheusEngine({"domain": {"n": 0}}, write_timeout_ms=1) as engine:
        engine.run(slow)
        assert engine.state.domain.n == 1


def test_without_a_limit() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        tx = engine.begin()
        tx.domain.n = 1
        _wait_over(10)
        tx.commit()
        assert engine.state.domain.n == 1


WRITES: dict[str, Callable[[Any], Any]] = {
    "update of data": lambda tx: tx.update(data={"domain": {"n": 2}}),
    "update of heavy": lambda tx: tx.update(heavy={"thing": 1}),
    "in place": lambda tx: setattr(tx.domain, "n", 2),
    "in a list": lambda tx: tx.domain.xs.append(2),
    "commuting": lambda tx: tx.incr("domain.n"),
    "deletion": lambda tx: tx.delete("domain.n"),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_after_the_limit_changes_nothing(write: str) -> None:
    with TheusEngine({"domain": {"n": 0, "xs": [1]}}) as engine:
        before = engine.state
        with pytest.raises(WriteTimeoutError), engine.transaction(write_timeout_ms=1) as tx:
            _wait_over(10)
            WRITES[write](tx)
        assert tx.status_name in ("failed", "rolled back")
        assert engine.state is before
        assert engine.state.to_dict() == {"domain": {"n": 0, "xs": [1]}, "global": {}}


def test_an_async_process_that_took_too_long() -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"], write_timeout_ms=1)
    async def slow(ctx: Any) -> None:
        ctx.domain.n = 1
        ctx.signal.late = 1
        await asyncio.sleep(0.01)
        _wait_over(1)

    async def main(engine: TheusEngine) -> None:
        await engine.execute(slow)

    with TheusEngine({"domain": {"n": 0}}) as engine:
        before, receiver = engine.state, engine.signal.subscribe()
        with pytest.raises(WriteTimeoutError):
            asyncio.run(main(engine))
        assert engine.state is before
        assert receiver.try_recv() is None
        assert engine.stats()["attempts"] == 1


def test_the_error_is_a_time_out_and_says_how_long() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        with pytest.raises(TimeoutError, match="longer than the 1 ms") as caught:
            with engine.transaction(write_timeout_ms=1) as tx:
                tx.domain.n = 1
                _wait_over(10)
        assert isinstance(caught.value, TransactionError)


def test_blocks_have_a_limit_of_five_seconds_unless_said_otherwise() -> None:
    with TheusEngine() as engine:
        assert engine.transaction().limit_ms == 5000
        assert engine.transaction(write_timeout_ms=None).limit_ms == 0
        assert Transaction(engine).limit_ms == 5000
