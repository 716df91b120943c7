"""Promise: what goes wrong in an engine is told in its meta log, which all versions share."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import ContractViolationError, TheusEngine, process
from theus.errors import SchemaViolationError


@process
def fails(ctx: Any, text: str = "no") -> None:
    ctx.domain.n = 5
    raise ValueError(text)


@process
def count(ctx: Any) -> None:
    ctx.domain.n += 1


def entries(engine: TheusEngine) -> list[tuple[str, str]]:
    return [(entry.key, entry.message) for entry in engine.state.meta]


def test_a_process_that_raises_is_told() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        old = engine.state
        with pytest.raises(ValueError, match="no"):
            engine.run(fails)
        assert entries(engine) == [("failure", "process 'fails': ValueError: no")]
        assert old.meta == engine.state.meta
        engine.run(count)
        assert len(engine.state.meta) == 1


def test_conflicts_are_told_with_both_sides() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        attempts = []

        @process
        def disturbed(ctx: Any) -> None:
            ctx.domain.n += 1
            if not attempts:
                attempts.append(1)
                thread = threading.Thread(target=engine.run, args=(count,))
                thread.start()
                thread.join()

        engine.run(disturbed)
        assert entries(engine) == [
            ("conflict", "process 'disturbed' lost domain.n to process 'count'")
        ]
        assert engine.state.domain.n == 2


def test_transactions_by_hand_and_checks_are_told() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        with pytest.raises(KeyError):
            with engine.transaction() as tx:
                tx.domain.n = 1
                raise KeyError("gone")
        assert entries(engine) == []  # the program's own code, which knows

        @process(outputs=["domain.n"])
        def beyond(ctx: Any) -> None:
            ctx.domain.other = 1

        with pytest.raises(ContractViolationError):
            engine.run(beyond)
        assert "Illegal Write" in entries(engine)[-1][1]
        engine.set_schema({"properties": {"domain": {"properties": {"n": {"type": "integer"}}}}})
        with pytest.raises(SchemaViolationError):
            with engine.transaction() as tx:
                tx.domain.n = "text"
        assert "Schema Violation" in entries(engine)[-1][1]


def test_the_log_is_bounded_and_so_are_its_entries() -> None:
    with TheusEngine({"domain": {"n": 0}}, meta_capacity=3) as engine:
        for number in range(5):
            with pytest.raises(ValueError):
                engine.run(fails, text=f"{number} " + "x" * 10_000)
        starts = [f"process 'fails': ValueError: {number} x" for number in (2, 3, 4)]
        assert [message[:31] for _, message in entries(engine)] == [one[:31] for one in starts]
        assert all(len(message) < 600 for _, message in entries(engine))


def test_an_error_without_a_text_is_told_as_well() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @process
    def odd(ctx: Any) -> None:
        raise Odd

    with TheusEngine() as engine:
        with pytest.raises(Odd):
            engine.run(odd)
        assert entries(engine) == [
            ("failure", "process 'odd': Odd, whose text raised RuntimeError")
        ]


def test_on_a_loop_and_cancelled() -> None:
    @process
    async def waits(ctx: Any) -> None:
        await asyncio.sleep(600)

    async def main(engine: TheusEngine) -> None:
        task = asyncio.ensure_future(engine.execute(waits))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with TheusEngine() as engine:
        asyncio.run(main(engine))
        ((key, message),) = entries(engine)
        assert key == "failure"
        assert "CancelledError" in message
