"""Promise: what a process receives: one snapshot with its own writes, scratch space, ways out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from theus import ContractViolationError, OutboxMsg, SemanticType, TheusEngine, process
from theus.errors import ContextError, TransactionStateError
from theus.structures import ProcessContext, State

START = {"domain": {"n": 1, "xs": [1]}, "global": {"limit": 5}}


@pytest.fixture
def engine() -> Any:
    with TheusEngine(START) as made:
        yield made


def _run(engine: TheusEngine, body: Any, **kwargs: Any) -> Any:
    """The body as a process without limits; what it returns."""
    return engine.run(process(name="body")(body), **kwargs)


def test_a_process_receives_a_process_context(engine: TheusEngine) -> None:
    assert _run(engine, lambda ctx: type(ctx)) is ProcessContext


def test_every_spelling_of_an_area_leads_to_the_same_guard(engine: TheusEngine) -> None:
    def look(ctx: Any) -> bool:
        assert ctx.domain is ctx.domain_ctx is ctx.data["domain"]
        assert ctx.global_ is ctx.global_ctx is getattr(ctx, "global")
        assert ctx.domain is ctx.domain
        return (ctx.domain.n, ctx.global_.limit, ctx.data.domain.n) == (1, 5, 1)

    assert _run(engine, look)


def test_paths_of_a_contract_take_every_spelling(engine: TheusEngine) -> None:
    for area in ("domain", "domain_ctx"):
        for other in ("global", "global_", "global_ctx"):
            body = process(inputs=[f"{area}.n", f"{other}.limit"], outputs=[f"{other}.limit"])(
                lambda ctx: ctx.domain.n + ctx.global_.limit
            )
            engine.run(body)
    assert engine.state.global_.limit == 5 + 6


def test_one_snapshot_for_all_reads_of_an_attempt(engine: TheusEngine) -> None:
    seen: list[Any] = []

    @process(inputs=["domain.*"], outputs=["domain.total"])
    async def reads(ctx: Any) -> int:
        first = ctx.domain.n
        if not seen:
            engine.compare_and_swap(1, data={"domain": {"n": 50, "xs": [50]}})
        again, other = ctx.domain.n, ctx.domain.xs[0]
        seen.append((first, again, other, ctx.state.domain.n, ctx.version))
        return again + other

    asyncio.run(_execute(engine, reads))
    assert seen == [(1, 1, 1, 1, 1), (50, 50, 50, 50, 2)]
    assert engine.state.domain.total == 100


async def _execute(engine: TheusEngine, body: Any, **kwargs: Any) -> Any:
    return await engine.execute(body, **kwargs)


def test_own_writes_are_seen_and_the_state_of_the_snapshot_is_not_changed(
    engine: TheusEngine,
) -> None:
    def write(ctx: Any) -> None:
        ctx.domain.n = 7
        ctx.domain.xs.append(8)
        assert (ctx.domain.n, list(ctx.domain.xs), ctx.peek("domain.n")) == (7, [1, 8], 7)
        assert type(ctx.state) is State
        assert ctx.state == engine.state
        assert (ctx.state.domain.n, list(ctx.state.domain.xs)) == (1, [1])
        assert ctx.version == 1

    _run(engine, write)
    assert engine.state.domain == {"n": 7, "xs": [1, 8]}


def test_nobody_else_sees_a_write_before_the_commit(engine: TheusEngine) -> None:
    def write(ctx: Any) -> None:
        ctx.domain.n = 7
        ctx.domain.xs.append(8)
        assert engine.state.to_dict() == START
        assert engine.begin().domain.n == 1

    _run(engine, write)
    assert engine.state.domain.n == 7


def test_scratch_values_die_with_the_call(engine: TheusEngine) -> None:
    def use(ctx: Any) -> dict[str, Any]:
        assert ctx.local == {}
        assert type(ctx.local) is dict
        ctx.local["anything"] = object()
        assert ctx.local is ctx.local
        return {"keys": len(ctx.local)}

    before = engine.state
    assert [_run(engine, use) for _ in range(2)] == [{"keys": 1}] * 2
    assert engine.state is before


def test_scratch_values_of_a_failed_attempt_are_gone(engine: TheusEngine) -> None:
    found: list[dict[str, Any]] = []

    @process(inputs=["domain.n"], outputs=["domain.n"])
    def use(ctx: Any) -> int:
        found.append(dict(ctx.local))
        ctx.local["mine"] = 1
        if len(found) == 1:
            with engine.transaction() as other:
                other.domain.n = 10
        return ctx.domain.n + 1

    engine.run(use)
    assert found == [{}, {}]
    assert engine.state.domain.n == 11


def test_the_logger_knows_the_process(
    engine: TheusEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def tell(ctx: Any) -> str:
        ctx.log.warning("seen %d", ctx.domain.n)
        return ctx.process

    with caplog.at_level(logging.WARNING):
        assert _run(engine, tell) == "body"
    [record] = caplog.records
    assert "body" in record.name
    assert record.getMessage() == "seen 1"


def test_messages_and_signals_leave_after_the_commit(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe()

    def tell(ctx: Any) -> None:
        ctx.outbox.add(OutboxMsg("topic", 1))
        ctx.signal.by_name = 1
        ctx.signal["by key"] = 2
        assert (ctx.signal.by_name, ctx.signal["by key"], ctx.signal.get("none")) == (1, 2, None)
        assert "by_name" in ctx.signal
        assert len(engine.outbox) == 0
        assert receiver.try_recv() is None

    _run(engine, tell)
    assert [message.topic for message in engine.outbox] == ["topic"]
    assert receiver.drain() == ["by_name:1", "by key:2"]


def test_a_signal_that_is_not_there_is_an_error(engine: TheusEngine) -> None:
    def look(ctx: Any) -> None:
        with pytest.raises(AttributeError, match="nothing"):
            ctx.signal.nothing
        with pytest.raises(KeyError):
            ctx.signal["nothing"]

    _run(engine, look)


def test_the_heavy_zone_is_there(engine: TheusEngine) -> None:
    thing = object()
    engine.compare_and_swap(1, heavy={"thing": thing})
    assert _run(engine, lambda ctx: ctx.heavy["thing"] is thing)


def test_further_areas_are_attributes() -> None:
    with TheusEngine({**START, "plans": {"a": 1}}) as engine:
        assert _run(engine, lambda ctx: ctx.plans.a) == 1


@pytest.mark.parametrize("name", ["nothing", "_private"])
def test_other_names_are_attribute_errors(engine: TheusEngine, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        _run(engine, lambda ctx: getattr(ctx, name))


@pytest.mark.parametrize("name", ["domain", "local", "new"])
def test_the_context_itself_cannot_be_assigned_to(engine: TheusEngine, name: str) -> None:
    with pytest.raises(ContextError, match="Immutable"):
        _run(engine, lambda ctx: setattr(ctx, name, {}))
    assert engine.state.version == 1


def test_a_pure_process_has_inputs_and_no_way_to_signals_or_meta(engine: TheusEngine) -> None:
    @process(inputs=["domain.n"], outputs=["domain.m"], semantic=SemanticType.PURE)
    def pure(ctx: Any) -> int:
        for name in ("signal", "meta"):
            assert not hasattr(ctx, name)
            assert not hasattr(ctx.state, name)
        return ctx.domain.n + 1

    assert engine.run(pure) == 2
    assert engine.state.domain.m == 2


def test_a_pure_process_reads_its_declared_inputs_only(engine: TheusEngine) -> None:
    @process(inputs=["domain.n"], outputs=["domain.xs"], semantic=SemanticType.PURE)
    def pure(ctx: Any) -> Any:
        return ctx.domain.xs

    with pytest.raises(ContractViolationError, match="Illegal Read"):
        engine.run(pure)


def test_a_context_refuses_use_after_its_call(engine: TheusEngine) -> None:
    kept: list[Any] = []

    def keep(ctx: Any) -> None:
        kept.extend((ctx, ctx.domain, ctx.domain.xs))

    _run(engine, keep)
    ctx, domain, xs = kept
    for use in (lambda: ctx.domain.n, lambda: domain.n, lambda: xs.append(9), lambda: xs[0]):
        with pytest.raises(TransactionStateError):
            use()
    assert engine.state.to_dict() == START


def test_nobody_makes_one_by_hand() -> None:
    with pytest.raises(TypeError, match="engine"):
        ProcessContext()


def test_a_process_can_be_called_directly_with_any_object() -> None:
    class Fake:
        class domain:
            n = 4

    @process(inputs=["domain.n"], outputs=["domain.n"])
    def add_one(ctx: Any) -> int:
        return ctx.domain.n + 1

    assert add_one(Fake()) == 5
    assert add_one.contract.inputs == ("domain.n",)
