"""Promise: in strict mode a process reads and writes what it declared and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from theus import ContractViolationError, SemanticType, TheusEngine, process

START = {"domain": {"a": 1, "b": 2, "deep": {"x": 1, "y": [1]}, "_hidden": 1}}

READS: list[Callable[[Any], Any]] = [
    lambda ctx: ctx.domain.b,
    lambda ctx: ctx.domain["b"],
    lambda ctx: ctx.domain.get("b"),
    lambda ctx: ctx.domain.deep.x,
    lambda ctx: ctx.peek("domain.b"),
    lambda ctx: ctx.ensure("domain.b"),
]
WRITES: list[Callable[[Any], Any]] = [
    lambda ctx: setattr(ctx.domain, "a", 5),
    lambda ctx: ctx.domain.__setitem__("a", 5),
    lambda ctx: ctx.domain.__delitem__("a"),
    lambda ctx: ctx.domain.update({"a": 5}),
    lambda ctx: ctx.incr("domain.a"),
    lambda ctx: setattr(ctx.domain, "new", 5),
]


@pytest.mark.parametrize("read", READS)
def test_an_undeclared_read(read: Callable[[Any], Any]) -> None:
    with TheusEngine(START) as engine:
        body = process(inputs=["domain.a"], outputs=["domain.out"], name="reader")(
            lambda ctx: read(ctx)
        )
        with pytest.raises(ContractViolationError, match="Illegal Read") as caught:
            engine.run(body)
        assert isinstance(caught.value, PermissionError)
        assert "permission" in str(caught.value).lower()
        assert "reader" in str(caught.value)
        assert engine.state.version == 1


@pytest.mark.parametrize("write", WRITES)
def test_an_undeclared_write(write: Callable[[Any], Any]) -> None:
    with TheusEngine(START) as engine:
        body = process(inputs=["domain.a"], outputs=["domain.out"])(lambda ctx: write(ctx))
        with pytest.raises(ContractViolationError, match="Illegal Write"):
            engine.run(body)
        assert engine.state.version == 1


@pytest.mark.parametrize("access", [*READS, *WRITES])
def test_research_mode_enforces_nothing(access: Callable[[Any], Any]) -> None:
    with TheusEngine(START, strict_mode=False) as engine:
        body = process(inputs=["domain.a"], outputs=["domain.out"])(
            lambda ctx: (access(ctx), None)[1]
        )
        engine.run(body)


@pytest.mark.parametrize("write", WRITES)
def test_a_pure_process_cannot_write_in_place(write: Callable[[Any], Any]) -> None:
    with TheusEngine(START) as engine:
        body = process(inputs=["domain.a"], outputs=["domain.a"], semantic=SemanticType.PURE)(
            lambda ctx: write(ctx)
        )
        with pytest.raises(ContractViolationError):
            engine.run(body)
        assert engine.state.version == 1


@pytest.mark.parametrize("name", ["signal", "meta"])
def test_a_pure_process_has_no_signals_and_no_meta(name: str) -> None:
    with TheusEngine(START) as engine:
        look = process(inputs=["domain.a"], semantic=SemanticType.PURE)(
            lambda ctx: getattr(ctx, name)
        )
        with pytest.raises(AttributeError):
            engine.run(look)
        wants = process(inputs=[name], semantic=SemanticType.PURE, name="wants")(lambda ctx: None)
        with pytest.raises(ContractViolationError, match="Pure process cannot take inputs"):
            engine.register(wants)


def test_a_pure_process_returns_what_it_computed() -> None:
    with TheusEngine(START) as engine:
        engine.run(
            process(inputs=["domain.a"], outputs=["domain.b"], semantic=SemanticType.PURE)(
                lambda ctx: ctx.domain.a + 10
            )
        )
        assert engine.state.domain.b == 11


def test_private_names_are_refused() -> None:
    with TheusEngine(START) as engine, pytest.raises(ContractViolationError):
        engine.run(process(inputs=["domain.*"])(lambda ctx: ctx.domain["_hidden"]))


def test_patterns_cover_what_is_below() -> None:
    @process(inputs=["domain.deep.*"], outputs=["domain.deep"])
    def below(ctx: Any) -> None:
        ctx.domain.deep.y.append(ctx.domain.deep.x)

    with TheusEngine(START) as engine:
        engine.run(below)
        assert list(engine.state.domain.deep.y) == [1, 1]


def test_an_undeclared_exception_is_wrapped_and_keeps_its_cause() -> None:
    @process(errors=["ValueError"])
    def body(ctx: Any, error: BaseException) -> None:
        raise error

    with TheusEngine(START) as engine:
        declared, other = ValueError("declared"), KeyError("other")
        with pytest.raises(ValueError, match="declared") as first:
            engine.run(body, error=declared)
        assert first.value is declared
        with pytest.raises(ContractViolationError) as second:
            engine.run(body, error=other)
        assert second.value.__cause__ is other


def test_who_declared_nothing_is_not_limited() -> None:
    @process
    def free(ctx: Any) -> None:
        ctx.domain.a = ctx.domain.b + 1

    with TheusEngine(START) as engine:
        engine.run(free)
        assert engine.state.domain.a == 3
