"""The engine's surface as a type checker sees it; checked, never run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, assert_type

from theus import (
    BaseDomainContext,
    BaseGlobalContext,
    BaseSystemContext,
    OutboxMsg,
    SignalHub,
    StateUpdate,
    TheusEngine,
    process,
)
from theus._core import State


@dataclass
class Domain(BaseDomainContext):
    count: int = 0
    names: list[str] = field(default_factory=list[str])


@dataclass
class Global(BaseGlobalContext):
    limit: int = 10


@dataclass
class System(BaseSystemContext):
    domain: Domain = field(default_factory=Domain)
    global_ctx: Global = field(default_factory=Global)


@process(inputs=["domain.count"], outputs=["domain.count"])
def bump(ctx: Any, by: int = 1) -> int:
    ctx.outbox.add(OutboxMsg("bumped", {"by": by}))
    return int(ctx.domain.count) + by


@process(outputs=["domain.names"])
async def rename(ctx: Any) -> StateUpdate:
    return StateUpdate(key="domain.names", val=["a"])


def engines_are_made_from_contexts_and_mappings() -> None:
    TheusEngine()
    TheusEngine({"domain": {"count": 0}}, strict_mode=False)
    TheusEngine(System(domain=Domain(), global_ctx=Global()), strict_cas=True)
    TheusEngine(strict_mode="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_program(engine: TheusEngine) -> None:
    with engine:
        engine.register(bump)
        engine.run(bump, by=2)
        engine.run("bump")
        with engine.transaction() as tx:
            tx.update(data={"domain": {"count": 1}})
            tx.outbox.add(OutboxMsg("topic", {}))
        engine.compare_and_swap(engine.state.version, data={"domain": {"count": 3}})
        engine.attach_worker(print)
        engine.process_outbox()


async def an_async_program(engine: TheusEngine) -> None:
    async with engine:
        await engine.execute(rename)
        await engine.execute("bump", by=3)


def states_are_versioned(engine: TheusEngine) -> None:
    assert_type(engine.state, State)
    assert_type(engine.state.version, int)
    assert_type(engine.state.signal, SignalHub)
    assert_type(engine.state.update(data={"domain": {"count": 3}}), State)
    engine.state.version = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
