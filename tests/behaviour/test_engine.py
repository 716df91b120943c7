"""Promise: the engine takes any context, runs processes by every spelling, wires its parts."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from theus import (
    BaseDomainContext,
    BaseGlobalContext,
    BaseSystemContext,
    OutboxMsg,
    SignalHub,
    TheusEngine,
    process,
)
from theus.audit import AuditLevel, AuditRecipe, AuditSystem
from theus.errors import EngineClosedError, RegistrationError, SettingsError
from theus.outbox import Outbox


@dataclasses.dataclass
class Shop(BaseDomainContext):
    n: int = 1
    xs: list[int] = dataclasses.field(default_factory=lambda: [1])


@dataclasses.dataclass
class Limits(BaseGlobalContext):
    limit: int = 5


@dataclasses.dataclass
class Spelled(BaseSystemContext):
    domain: Shop = dataclasses.field(default_factory=Shop)
    global_ctx: Limits = dataclasses.field(default_factory=Limits)


@dataclasses.dataclass
class Otherwise(BaseSystemContext):
    domain_ctx: Shop = dataclasses.field(default_factory=Shop)
    global_: Limits = dataclasses.field(default_factory=Limits)


class Model(pydantic.BaseModel):
    domain: dict[str, Any] = {"n": 1, "xs": [1]}
    global_: dict[str, Any] = {"limit": 5}


class WithToDict:
    def to_dict(self) -> dict[str, Any]:
        return CONTENT


CONTENT = {"domain": {"n": 1, "xs": [1]}, "global": {"limit": 5}}
OTHER = {"domain_ctx": CONTENT["domain"], "global_ctx": CONTENT["global"]}


@pytest.mark.parametrize(
    "context",
    [Spelled(), Otherwise(), WithToDict(), CONTENT, OTHER, Model()],
    ids=["dataclass", "other names", "to_dict", "mapping", "other keys", "pydantic"],
)
def test_every_kind_of_context(context: Any) -> None:
    with TheusEngine(context) as engine:
        assert engine.state.version == 1
        assert engine.state.to_dict() == CONTENT
        assert engine.context is context
        with engine.transaction() as tx:
            tx.set("domain_ctx.n", tx.get("domain.n") + tx.get("global_.limit"))
            tx.set("global_ctx.limit", tx.get("global.limit") + 1)
        assert engine.state.to_dict() == {"domain": {"n": 6, "xs": [1]}, "global": {"limit": 6}}


def test_without_a_context_both_zones_are_there_and_empty() -> None:
    with TheusEngine() as engine:
        assert engine.state.to_dict() == {"domain": {}, "global": {}}


def test_the_context_that_was_passed_in_is_detached() -> None:
    context = Spelled()
    with TheusEngine(context) as engine:
        context.domain.n = 9
        context.domain.xs.append(9)
        assert engine.state.to_dict() == CONTENT


@process(inputs=["domain.n"], outputs=["domain.n"])
def add(ctx: Any, by: int, times: int = 1) -> int:
    return ctx.domain.n + by * times


@process(inputs=["domain.n"], outputs=["domain.n"])
async def add_async(ctx: Any, by: int, times: int = 1) -> int:
    await asyncio.sleep(0)
    return ctx.domain.n + by * times


@pytest.mark.parametrize("body", [add, add_async])
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("lane", ["run", "execute"])
def test_every_spelling_of_a_call(body: Any, by_name: bool, lane: str) -> None:
    async def execute(key: Any) -> list[Any]:
        calls = [engine.execute(key, 1), engine.execute(key, 1, 2), engine.execute(key, by=3)]
        return [await call for call in calls]

    with TheusEngine(CONTENT) as engine:
        engine.register(body)
        key = body.__name__ if by_name else body
        if lane == "run":
            values = [engine.run(key, 1), engine.run(key, 1, 2), engine.run(key, by=3)]
        else:
            values = asyncio.run(execute(key))
        assert values == [2, 4, 7]
        assert engine.state.domain.n == 7
        assert engine.state.version == 4


def test_keyword_arguments_are_all_given_to_one_that_takes_them_all() -> None:
    @process
    def takes(ctx: Any, a: int, **others: Any) -> dict[str, Any]:
        return {"a": a, **others}

    with TheusEngine() as engine:
        assert engine.run(takes, a=1, b=2) == {"a": 1, "b": 2}


def test_a_return_value_without_outputs_only_comes_back() -> None:
    with TheusEngine(CONTENT) as engine:
        before = engine.state
        assert engine.run(process(inputs=["domain.n"], name="look")(lambda ctx: ctx.domain.n)) == 1
        assert engine.state is before


@pytest.mark.parametrize("lane", ["run", "execute"])
def test_an_unknown_name(lane: str) -> None:
    async def execute() -> None:
        await engine.execute("nobody")

    with TheusEngine() as engine:
        with pytest.raises(RegistrationError, match="nobody"):
            asyncio.run(execute()) if lane == "execute" else engine.run("nobody")


@pytest.mark.parametrize("spelling", ["strict_mode", "strict_guards"])
def test_both_spellings_of_strict_mode(spelling: str) -> None:
    with TheusEngine(**{spelling: False}) as engine:
        assert engine.settings.strict_mode is False
    assert TheusEngine().settings.strict_mode is True


def test_positional_arguments_in_the_order_of_the_documents() -> None:
    engine = TheusEngine(CONTENT, False, True, AuditRecipe(level=AuditLevel.Count))
    assert (engine.settings.strict_mode, engine.settings.strict_cas) == (False, True)
    assert isinstance(engine.audit, AuditSystem)
    engine.shutdown()


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(SettingsError, match="stric_mode"):
        TheusEngine(stric_mode=True)


# --- parts ------------------------------------------------------------------------------------


def test_success_and_failure_of_every_process_go_to_the_audit() -> None:
    @process(name="fails", errors=["ValueError"])
    def fails(ctx: Any) -> None:
        raise ValueError("no")

    recipe = AuditRecipe(level=AuditLevel.Count, reset_on_success=False)
    with TheusEngine(CONTENT, audit_recipe=recipe) as engine:
        for count in (1, 2):
            with pytest.raises(ValueError, match="no"):
                engine.run(fails)
            assert engine.audit.get_count("fails") == count
        engine.run(add, 1)
        assert engine.audit.get_count("add") == 0
        assert {entry.key for entry in engine.audit.get_logs()} >= {"fails", "add"}
    assert TheusEngine().audit is None


def test_parts_are_there_and_stay_the_same() -> None:
    with TheusEngine() as engine:
        assert isinstance(engine.signal, SignalHub)
        assert isinstance(engine.outbox, Outbox)
        assert engine.signal is engine.signal
        assert engine.outbox is engine.outbox
        assert engine.heavy is engine.heavy


def test_messages_go_to_the_worker_that_is_attached() -> None:
    delivered: list[Any] = []
    with TheusEngine() as engine:
        with engine.transaction() as tx:
            tx.outbox.add(OutboxMsg("topic", {"k": 1}))
        assert len(engine.outbox) == 1
        engine.attach_worker(delivered.append)
        assert engine.process_outbox() == 1
        assert [(message.topic, message.payload) for message in delivered] == [("topic", {"k": 1})]


def test_counters_tell_what_happened() -> None:
    with TheusEngine(CONTENT) as engine:
        engine.run(add, 1)
        loser = engine.begin()
        loser.domain.n += 1
        engine.run(add, 1)
        with pytest.raises(Exception, match=r"domain\.n"):
            loser.commit()
        stats = engine.stats()
        assert (stats["version"], stats["commits"], stats["conflicts"]) == (3, 2, 1)


def test_two_engines_share_nothing() -> None:
    context = Spelled()
    with TheusEngine(context) as one, TheusEngine(context) as two:
        one.register(add)
        one.run(add, 1)
        one.report_conflict("key")
        assert (one.state.domain.n, two.state.domain.n) == (2, 1)
        assert two.registry == {}
        assert two.signal is not one.signal


# --- the end ----------------------------------------------------------------------------------

CALLS: dict[str, Callable[[TheusEngine], Any]] = {
    "run": lambda engine: engine.run(add, 1),
    "transaction": lambda engine: engine.transaction(),
    "begin": lambda engine: engine.begin(),
    "swap": lambda engine: engine.compare_and_swap(1, data={"domain": {"n": 2}}),
    "heavy": lambda engine: engine.heavy,
    "pool": lambda engine: engine.get_pool(),
    "with": lambda engine: engine.__enter__(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("used_before", [False, True])
def test_after_the_end_it_refuses_and_can_still_be_read(call: str, used_before: bool) -> None:
    with TheusEngine(CONTENT) as engine:
        if used_before:
            engine.run(add, 0)
    with pytest.raises(EngineClosedError):
        CALLS[call](engine)
    engine.shutdown()
    assert engine.state.to_dict() == CONTENT


def test_both_kinds_of_context_manager_end_what_was_started() -> None:
    before = set(threading.enumerate())

    async def main() -> TheusEngine:
        async with TheusEngine(CONTENT) as engine:
            await engine.execute(add, 1)
        return engine

    engines = [asyncio.run(main())]
    with TheusEngine(CONTENT) as engine:
        engine.attach_worker(lambda message: None)
        engines.append(engine)
    assert set(threading.enumerate()) <= before
    for engine in engines:
        with pytest.raises(EngineClosedError):
            engine.run(add, 1)


def test_an_exception_passes_through_the_block_of_an_engine() -> None:
    with pytest.raises(ZeroDivisionError), TheusEngine(CONTENT) as engine:
        raise ZeroDivisionError
    with pytest.raises(EngineClosedError):
        engine.transaction()
