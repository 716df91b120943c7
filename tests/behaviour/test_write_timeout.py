"""Promise: a commit later than its limit raises and changes nothing.

Every limit is either surely over (a wait for it is part of the test) or far away.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from theus import OutboxMsg, TheusEngine, process
from theus.errors import WriteTimeoutError

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
