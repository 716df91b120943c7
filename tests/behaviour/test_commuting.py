"""Promise: operations that commute are applied at commit, never conflict and lose nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import ConflictError

START = {"domain": {"n": 0, "log": [], "tags": {"old"}, "high": 0, "low": 1000}}


def test_all_at_once_without_a_conflict() -> None:
    @process(outputs=["domain.*"])
    async def everything(ctx: Any, k: int) -> None:
        ctx.incr("domain.n", k)
        ctx.append("domain.log", k)
        await asyncio.sleep(0)
        ctx.extend("domain.log", [k, k])
        ctx.add("domain.tags", k)
        ctx.discard("domain.tags", "old")
        ctx.max("domain.high", k)
        ctx.min("domain.low", k)

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(*(engine.execute(everything, k=k) for k in range(1, 65)))

    with TheusEngine(START) as engine:
        engine.register(everything)
        asyncio.run(main(engine))
        domain = engine.state.domain
        assert domain.n == sum(range(1, 65))
        assert sorted(domain.log) == sorted([*range(1, 65)] * 3)
        assert domain.tags == set(range(1, 65))
        assert (domain.high, domain.low) == (64, 1)
        assert engine.stats()["conflicts"] == 0
        assert engine.stats()["attempts"] == 64


OPERATIONS = [
    ("incr", "domain.n", 5, 7, 12),
    ("append", "domain.log", 1, 2, [1, 2]),
    ("extend", "domain.log", [1, 2], [3], [1, 2, 3]),
    ("add", "domain.tags", 1, 2, {"old", 1, 2}),
    ("discard", "domain.tags", "old", "old", set()),
    ("max", "domain.high", 9, 4, 9),
    ("min", "domain.low", 9, 4, 4),
]


@pytest.mark.parametrize(("name", "path", "first", "second", "result"), OPERATIONS)
def test_two_that_overlap_both_count(
    name: str, path: str, first: Any, second: Any, result: Any
) -> None:
    with TheusEngine(START) as engine:
        one, two = engine.begin(), engine.begin()
        getattr(one, name)(path, first)
        getattr(two, name)(path, second)
        one.commit()
        two.commit()
        assert engine.begin().get(path) == result


@pytest.mark.parametrize(("name", "path", "first", "second", "result"), OPERATIONS)
def test_a_reader_of_the_value_still_conflicts(
    name: str, path: str, first: Any, second: Any, result: Any
) -> None:
    with TheusEngine(START) as engine:
        reader = engine.begin()
        value = reader.get(path)
        reader.set("domain.copy", len(value) if hasattr(value, "__len__") else value)
        with engine.transaction() as writer:
            getattr(writer, name)(path, first)
        with pytest.raises(ConflictError):
            reader.commit()


def test_own_operations_are_seen() -> None:
    with TheusEngine(START) as engine, engine.transaction() as tx:
        tx.incr("domain.n", 2)
        tx.incr("domain.n", 3)
        tx.append("domain.log", "a")
        tx.add("domain.tags", "new")
        assert tx.domain.n == 5
        assert list(tx.domain.log) == ["a"]
        assert "new" in tx.domain.tags


def test_an_operation_with_a_wrong_type_changes_nothing() -> None:
    with TheusEngine(START) as engine:
        before = engine.state
        with pytest.raises(Exception, match=r"domain\.log") as caught, engine.transaction() as tx:
            tx.incr("domain.n")
            tx.incr("domain.log", 1)
        assert isinstance(caught.value, (TypeError, ValueError, RuntimeError))
        assert engine.state is before


def test_a_member_that_went_and_came_back_is_added_whatever_happened_meanwhile() -> None:
    with TheusEngine({"domain": {"s": {1, 2}, "t": set()}}) as engine:
        with engine.transaction() as tx:
            tx.domain["s"].discard(1)
            tx.domain["s"].add(1)
            tx.domain["t"].add(9)
            with engine.transaction() as other:
                other.domain["s"].discard(1)
                other.domain["t"].discard(9)
        assert (set(engine.state.domain["s"]), set(engine.state.domain["t"])) == ({1, 2}, {9})


@pytest.mark.parametrize(
    ("start", "what"),
    [({"a": 1}, "mapping"), ([1], "list"), ({1}, "set"), ("text", "str")],
)
def test_what_cannot_be_added_to_is_named_as_the_program_knows_it(start: Any, what: str) -> None:
    with TheusEngine({"domain": {"x": start}}) as engine:
        with pytest.raises(TypeError, match=rf"cannot combine the {what} at 'domain\.x'"):
            with engine.transaction() as tx:
                tx.incr("domain.x", 1)
