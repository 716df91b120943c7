"""Promise: a container that is replaced acts as in plain Python: what was held stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from theus import TheusEngine, process

START = {"domain": {"n": 1, "a": {"x": 1, "in": {"y": [1]}}, "b": 2}, "global": {"g": 0}}
WHOLE: dict[str, Any] = {"inputs": ["domain"], "outputs": ["domain"]}
OUTER: dict[str, Any] = {"inputs": ["domain", "global"], "outputs": ["domain", "global"]}


@pytest.fixture
def engine() -> Iterator[TheusEngine]:
    with TheusEngine(START) as made:
        yield made


def start() -> dict[str, Any]:
    return {"n": 1, "a": {"x": 1, "in": {"y": [1]}}, "b": 2}


def test_a_process_sees_its_own_replacement_of_a_zone(engine: TheusEngine) -> None:
    @process(**WHOLE)
    def body(ctx: Any) -> None:
        before = ctx.domain
        assert before is ctx.domain is ctx.data["domain"]
        ctx.data["domain"] = {"n": before["n"] + 1, "a": {"x": 5}}
        after = ctx.domain
        assert after is ctx.data["domain"] is ctx.domain_ctx
        assert after is not before
        assert after == {"n": 2, "a": {"x": 5}}
        after["n"] += 1
        after["a"]["z"] = [0]
        assert ctx.domain == {"n": 3, "a": {"x": 5, "z": [0]}}
        assert before == start()

    engine.run(body)
    assert engine.state.domain.to_dict() == {"n": 3, "a": {"x": 5, "z": [0]}}


def test_the_first_look_at_a_zone_after_its_replacement(engine: TheusEngine) -> None:
    @process(**WHOLE)
    def body(ctx: Any) -> None:
        ctx.data["domain"] = {"n": 7}
        assert ctx.domain == {"n": 7}
        assert "b" not in ctx.domain

    engine.run(body)
    assert engine.state.domain.to_dict() == {"n": 7}


def test_a_zone_beside_the_replaced_one_stays(engine: TheusEngine) -> None:
    @process(**OUTER)
    def body(ctx: Any) -> None:
        beside = ctx.global_
        ctx.domain["n"] = 50
        ctx.data["domain"] = {"n": 2}
        assert ctx.global_ is beside
        beside["g"] += 1
        assert ctx.domain["n"] == 2

    engine.run(body)
    assert engine.state.to_dict() == {"domain": {"n": 2}, "global": {"g": 1}}


def test_writes_through_a_guard_of_what_was_replaced_change_nothing(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        held, inside, deep = tx.domain["a"], tx.domain["a"]["in"], tx.domain["a"]["in"]["y"]
        inside["early"] = 1
        tx.set("domain.a", {"x": 100, "in": {"y": [7]}})
        held["x"] = 55
        inside["late"] = 1
        deep.append(2)
        assert held == {"x": 55, "in": {"y": [1, 2], "early": 1, "late": 1}}
        assert tx.domain["a"] == {"x": 100, "in": {"y": [7]}}
        tx.domain["a"]["x"] += 1
        tx.set("domain.a.more", {"k": 1})
        assert held["x"] == 55
        assert "more" not in held
    assert engine.state.domain["a"].to_dict() == {"x": 101, "in": {"y": [7]}, "more": {"k": 1}}


def test_a_replaced_container_can_be_put_back(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        held = tx.domain["a"]
        tx.set("domain.a", {"other": 1})
        held["x"] = 9
        tx.domain["a"] = held
        held["x"] += 1
        assert tx.domain["a"] == {"x": 10, "in": {"y": [1]}}
    assert engine.state.domain["a"].to_dict() == {"x": 10, "in": {"y": [1]}}


def test_a_savepoint_brings_the_replaced_zone_back(engine: TheusEngine) -> None:
    @process(**WHOLE)
    def body(ctx: Any) -> None:
        before = ctx.domain
        before["n"] = 4
        point = ctx.savepoint()
        ctx.data["domain"] = {"n": 0}
        assert ctx.domain == {"n": 0}
        point.rollback()
        assert ctx.domain == {**start(), "n": 4}
        ctx.domain["n"] += 1
        assert before["n"] == 5

    engine.run(body)
    assert engine.state.domain.to_dict() == {**start(), "n": 5}


def test_replacing_a_zone_twice(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.set("domain", {"n": 1})
        tx.set("domain.n", 2)
        tx.set("domain", {"m": 1})
        assert tx.domain == {"m": 1}
        tx.set("domain.deep", {"er": []})
        tx.domain["deep"]["er"].append(1)
    assert engine.state.domain.to_dict() == {"m": 1, "deep": {"er": [1]}}


def test_a_zone_is_replaced_while_another_transaction_changes_it(engine: TheusEngine) -> None:
    tries: list[int] = []

    @process(**WHOLE)
    def body(ctx: Any) -> None:
        tries.append(ctx.domain["n"])
        if len(tries) == 1:
            with engine.transaction() as tx:
                tx.domain["n"] = 40
        ctx.data["domain"] = {"n": ctx.domain["n"] + 1}

    engine.run(body)
    assert tries == [1, 40]
    assert engine.state.domain.to_dict() == {"n": 41}


@pytest.mark.parametrize("fails", [False, True])
def test_a_nested_call_replaces_a_zone(engine: TheusEngine, fails: bool) -> None:
    @process(**WHOLE, errors=["ValueError"])
    def inner(ctx: Any) -> None:
        assert ctx.domain["n"] == 10
        ctx.data["domain"] = {"n": 20}
        assert ctx.domain["n"] == 20
        if fails:
            raise ValueError("inner")

    @process(**WHOLE)
    def outer(ctx: Any) -> None:
        held = ctx.domain
        held["n"] = 10
        try:
            engine.run(inner)
        except ValueError:
            assert ctx.domain == {**start(), "n": 10}
        else:
            assert ctx.domain == {"n": 20}
        assert held == {**start(), "n": 10}
        ctx.domain["n"] += 1

    engine.run(outer)
    assert engine.state.domain.to_dict() == ({**start(), "n": 11} if fails else {"n": 21})
