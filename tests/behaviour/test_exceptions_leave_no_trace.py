"""Promise: whatever raises, wherever, the state stays the very same object and nothing gets out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from theus import OutboxMsg, StateUpdate, TheusEngine, process
from theus.errors import ContractViolationError, SchemaViolationError, TheusError

START = {"domain": {"n": 1, "xs": [1, 2], "map": {"k": [1]}, "tags": {1}}}


class BoomError(Exception):
    """What the tests raise."""


@contextmanager
def unchanged(engine: TheusEngine) -> Iterator[None]:
    """Fails where the block left anything behind."""
    receiver = engine.signal.subscribe()
    before, content, commits = engine.state, engine.state.to_dict(), engine.stats()["commits"]
    yield
    assert engine.state is before
    assert engine.state.version == before.version
    assert engine.state.to_dict() == content
    assert engine.stats()["commits"] == commits
    assert len(engine.outbox) == 0
    assert receiver.try_recv(None) is None
    engine.collect()
    assert engine.stats()["undo_records"] == 0


STEPS: list[Callable[[Any], Any]] = [
    lambda ctx: setattr(ctx.domain, "n", 2),
    lambda ctx: ctx.domain.xs.append(3),
    lambda ctx: ctx.domain.map["k"].insert(0, 9),
    lambda ctx: ctx.domain.tags.add(7),
    lambda ctx: ctx.domain.update({"new": 1}),
    lambda ctx: ctx.domain.pop("n"),
    lambda ctx: ctx.outbox.add(OutboxMsg("topic", 1)),
    lambda ctx: ctx.signal.__setitem__("topic", 1),
    lambda ctx: ctx.append("domain.xs", 4),
]


@pytest.mark.parametrize("point", range(len(STEPS) + 1))
@pytest.mark.parametrize("lane", ["run", "execute sync", "execute async"])
def test_an_exception_at_any_point_of_a_process(point: int, lane: str) -> None:
    def steps(ctx: Any) -> None:
        for step in STEPS[:point]:
            step(ctx)
        raise BoomError

    async def steps_async(ctx: Any) -> None:
        for step in STEPS[:point]:
            step(ctx)
            await asyncio.sleep(0)
        raise BoomError

    declared = process(inputs=["domain.*"], outputs=["domain.*"], errors=["BoomError"])

    async def execute(func: Any) -> None:
        await engine.execute(func)

    with TheusEngine(START) as engine, unchanged(engine), pytest.raises(BoomError):
        if lane == "run":
            engine.run(declared(steps))
        else:
            body = steps if lane == "execute sync" else steps_async
            asyncio.run(execute(declared(body)))


@pytest.mark.parametrize("point", range(len(STEPS) + 1))
def test_an_exception_at_any_point_of_a_block(point: int) -> None:
    with TheusEngine(START) as engine, unchanged(engine), pytest.raises(BoomError):
        with engine.transaction() as tx:
            for step in STEPS[:point]:
                if step is not STEPS[7]:
                    step(tx)
            tx.update(data={"domain": {"n": 5}}, heavy={"h": [1]}, signal={"topic": 1})
            raise BoomError


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exceptions_that_are_no_errors(kind: type[BaseException]) -> None:
    def steps(ctx: Any) -> None:
        ctx.domain.n = 2
        raise kind

    with TheusEngine(START) as engine, unchanged(engine), pytest.raises(kind):
        engine.run(process(inputs=["domain.*"], outputs=["domain.*"])(steps))


def test_a_contract_violation_that_the_body_swallows_or_not() -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    def steps(ctx: Any) -> None:
        ctx.domain.n = 2
        ctx.domain.xs = []

    with TheusEngine(START) as engine, unchanged(engine), pytest.raises(ContractViolationError):
        engine.run(steps)


@pytest.mark.parametrize(
    "returned",
    [
        (1, 2, 3),
        5,
        {"unknown": 1},
        StateUpdate(key="domain.xs", val=[]),
        (1, object()),
    ],
)
def test_a_return_value_that_cannot_be_taken(returned: Any) -> None:
    @process(inputs=["domain.n"], outputs=["domain.n", "domain.new"])
    def steps(ctx: Any) -> Any:
        ctx.domain.n = 2
        ctx.outbox.add(OutboxMsg("topic", 1))
        ctx.signal.topic = 1
        return returned

    with TheusEngine(START, max_retries=1) as engine, unchanged(engine), pytest.raises(TheusError):
        engine.run(steps)


@dataclasses.dataclass
class Domain:
    n: int
    xs: list[int]
    map: dict[str, list[int]]
    tags: Any


@dataclasses.dataclass
class Schema:
    domain: Domain


def test_a_schema_that_refuses_the_result() -> None:
    @process(inputs=["domain.*"], outputs=["domain.*"])
    def steps(ctx: Any) -> None:
        ctx.domain.n = "no number"
        ctx.signal.topic = 1

    with TheusEngine(START, schema=Schema) as engine, unchanged(engine):
        with pytest.raises(SchemaViolationError, match="Schema Violation"):
            engine.run(steps)
        with pytest.raises(SchemaViolationError), engine.transaction() as tx:
            tx.update(data={"domain": {"n": "no number"}}, signal={"topic": 1})
        with pytest.raises(SchemaViolationError):
            engine.compare_and_swap(1, data={"domain": {"n": "no number"}})


def test_a_commit_that_changes_nothing_is_no_commit() -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    def look(ctx: Any) -> None:
        assert ctx.domain.n == 1

    with TheusEngine(START) as engine, unchanged(engine):
        engine.run(look)
        with engine.transaction():
            engine.state.to_dict()
