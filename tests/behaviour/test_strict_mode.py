"""Promise: strict mode enforces contracts; research mode does not, and keeps everything else."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from theus import ContractViolationError, StateUpdate, TheusEngine, process
from theus.engine import SecurityViolationError
from theus.errors import ConflictError, TheusError, UndeclaredError

START = {
    "domain": {"a": 1, "b": 2, "deep": {"x": 1, "y": [1]}, "_hidden": 1},
    "global": {"limit": 5},
    "plans": {"one": 1},
}


def _engine(**options: Any) -> TheusEngine:
    return TheusEngine(START, **options)


def _declared(body: Callable[[Any], Any], **contract: Any) -> Any:
    return process(**{"inputs": ["domain.a"], "outputs": ["domain.out"], **contract}, name="probe")(
        body
    )


def test_it_is_on_unless_said_otherwise() -> None:
    with _engine() as engine, pytest.raises(ContractViolationError):
        engine.run(_declared(lambda ctx: ctx.domain.b))


def test_a_violation_says_who_where_and_what_is_allowed() -> None:
    with _engine() as engine, pytest.raises(SecurityViolationError) as caught:
        engine.run(_declared(lambda ctx: ctx.domain.b, inputs=["domain.a", "global.*"]))
    error = caught.value
    assert isinstance(error, (TheusError, PermissionError))
    assert (error.process, error.path, error.action) == ("probe", "domain.b", "read")
    assert set(error.allowed) >= {"domain.a", "global.*"}
    text = str(error)
    assert all(part in text for part in ("probe", "domain.b", "permission", "domain.a"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path) == (text, "domain.b")


def test_a_write_says_the_same() -> None:
    with (
        _engine() as engine,
        pytest.raises(ContractViolationError, match="Illegal Write") as caught,
    ):
        engine.run(_declared(lambda ctx: setattr(ctx.domain, "a", 5)))
    assert (caught.value.path, caught.value.action) == ("domain.a", "write")


ALLOWED: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "an input": ({}, lambda ctx: ctx.domain.a),
    "an output that is read": ({"outputs": ["domain.b"]}, lambda ctx: ctx.domain.b),
    "an output that is written": ({}, lambda ctx: setattr(ctx.domain, "out", 1)),
    "below an input": ({"inputs": ["domain.deep"]}, lambda ctx: ctx.domain.deep.y[0]),
    "below an output": ({"outputs": ["domain.deep"]}, lambda ctx: ctx.domain.deep.y.append(1)),
    "below a star": ({"inputs": ["domain.*"]}, lambda ctx: ctx.domain.deep.y[0]),
    "another area": ({"inputs": ["plans"]}, lambda ctx: ctx.plans.one),
    "the global zone": ({"inputs": ["global.*"]}, lambda ctx: ctx.global_.limit),
    "heavy": ({"inputs": ["heavy.*"]}, lambda ctx: ctx.heavy.get("nothing")),
    "a glob": ({"inputs": ["domain.[ab]"]}, lambda ctx: ctx.domain.a + ctx.domain.b),
}
REFUSED: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "another field": ({}, lambda ctx: ctx.domain.b),
    "another zone": ({}, lambda ctx: ctx.global_.limit),
    "another area": ({}, lambda ctx: ctx.plans.one),
    "beside a deep input": ({"inputs": ["domain.deep.x"]}, lambda ctx: ctx.domain.deep.y),
    "a write to an input": ({}, lambda ctx: setattr(ctx.domain, "a", 1)),
    "a write beside a deep output": (
        {"outputs": ["domain.deep.x"]},
        lambda ctx: setattr(ctx.domain.deep, "y", 1),
    ),
    "a write above an output": (
        {"outputs": ["domain.deep.x"]},
        lambda ctx: setattr(ctx.domain, "deep", {}),
    ),
    "a heavy key": ({}, lambda ctx: ctx.heavy["thing"]),
    "beside a glob": ({"inputs": ["domain.[xy]"]}, lambda ctx: ctx.domain.a),
    "a private name": ({"inputs": ["domain.*"]}, lambda ctx: ctx.domain["_hidden"]),
    "a private write": ({"outputs": ["domain.*"]}, lambda ctx: setattr(ctx.domain, "_new", 1)),
    "a whole area": ({}, lambda ctx: ctx.domain.to_dict()),
    "all fields": ({}, lambda ctx: list(ctx.domain.values())),
    "an update beside the outputs": ({}, lambda ctx: StateUpdate(key="domain.b", val=1)),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_declared_is_allowed(what: str) -> None:
    contract, use = ALLOWED[what]
    with _engine() as engine:
        engine.run(_declared(lambda ctx: (use(ctx), None)[1], **contract))


@pytest.mark.parametrize("what", REFUSED)
def test_everything_else_is_refused(what: str) -> None:
    contract, use = REFUSED[what]
    with _engine() as engine:
        before = engine.state
        with pytest.raises(ContractViolationError):
            engine.run(_declared(use, **contract))
        assert engine.state is before


@pytest.mark.parametrize("what", [what for what in REFUSED if what != "a heavy key"])
def test_research_mode_allows_it(what: str) -> None:
    contract, use = REFUSED[what]
    with _engine(strict_mode=False) as engine:
        engine.run(_declared(lambda ctx: (use(ctx), None)[1], **contract))


def test_a_process_without_a_contract_is_limited_in_nothing_but_private_names() -> None:
    @process
    def free(ctx: Any) -> None:
        ctx.domain.a = ctx.global_.limit + ctx.plans.one
        ctx.plans.one = 7

    @process
    def private(ctx: Any) -> Any:
        return ctx.domain._hidden

    with _engine() as engine:
        engine.run(free)
        assert (engine.state.domain.a, engine.state.data["plans"]["one"]) == (6, 7)
        with pytest.raises(ContractViolationError, match="private"):
            engine.run(private)


@pytest.mark.parametrize("strict", [True, False])
def test_an_undeclared_error_is_wrapped_in_strict_mode_only(strict: bool) -> None:
    def body(ctx: Any) -> None:
        raise KeyError("other")

    with _engine(strict_mode=strict) as engine:
        with pytest.raises(UndeclaredError if strict else KeyError) as caught:
            engine.run(_declared(body, errors=["ValueError"]))
        if strict:
            assert isinstance(caught.value.__cause__, KeyError)
            assert "KeyError" in str(caught.value)
            assert "ValueError" in str(caught.value)


# --- what stays in research mode --------------------------------------------------------------


def test_transactions_stay() -> None:
    def body(ctx: Any) -> None:
        ctx.domain.a = 9
        ctx.domain.deep.y.append(9)
        raise ValueError("no")

    with _engine(strict_mode=False) as engine:
        before = engine.state
        with pytest.raises(ValueError, match="no"):
            engine.run(_declared(body))
        assert engine.state is before
        assert engine.state.to_dict() == START


def test_conflicts_and_swaps_stay() -> None:
    async def increment(ctx: Any) -> None:
        seen = ctx.domain.a
        await asyncio.sleep(0)
        ctx.domain.a = seen + 1

    async def main(engine: TheusEngine, body: Any) -> None:
        await asyncio.gather(*(engine.execute(body) for _ in range(16)))

    with _engine(strict_mode=False) as engine:
        asyncio.run(main(engine, engine.register(_declared(increment))))
        assert engine.state.domain.a == 1 + 16
        with pytest.raises(ConflictError, match="CAS Version Mismatch"):
            engine.compare_and_swap(1, data={"domain": {"a": 0}})


def test_committed_state_stays_immutable() -> None:
    with _engine(strict_mode=False) as engine:
        with pytest.raises(TheusError, match="Immutable"):
            engine.state.domain.a = 9
        kept = engine.run(_declared(lambda ctx: ctx.domain.deep, outputs=()))
        assert kept == START["domain"]["deep"]
        kept["x"] = 99
        assert engine.state.to_dict() == START


def test_the_mapping_of_return_values_stays() -> None:
    with _engine(strict_mode=False) as engine:
        engine.run(_declared(lambda ctx: (1, 2), outputs=["domain.a", "domain.b"]))
        assert (engine.state.domain.a, engine.state.domain.b) == (1, 2)
        with pytest.raises(ContractViolationError, match="tuple or list"):
            engine.run(
                process(outputs=["domain.a", "domain.b"], name="scalar")(lambda ctx: "scalar")
            )
