"""Promise: what was read is validated, so two that each read what the other writes cannot both win.

The constraint of every test: at least one of two people stays on call.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import ConflictError

ON_CALL = {"domain": {"ann": True, "bob": True}}


def _leave(me: str, other: str, isolation: str | None, ensured: bool) -> Any:
    @process(
        inputs=["domain.ann", "domain.bob"],
        outputs=[f"domain.{me}"],
        isolation=isolation,
        name=f"leave_{me}",
    )
    async def leave(ctx: Any, meet: Any) -> None:
        other_on_call = ctx.ensure(f"domain.{other}") if ensured else ctx.domain[other]
        await meet()
        if other_on_call:
            ctx.domain[me] = False

    return leave


def _both_leave(
    engine: TheusEngine, isolation: str | None = None, ensured: bool = False
) -> dict[str, bool]:
    async def main() -> None:
        both = asyncio.Event()
        arrived = 0

        async def meet() -> None:
            nonlocal arrived
            arrived += 1
            if arrived == 2:
                both.set()
            await both.wait()

        await asyncio.gather(
            engine.execute(_registered(engine, "ann", "bob"), meet=meet),
            engine.execute(_registered(engine, "bob", "ann"), meet=meet),
        )

    def _registered(engine: TheusEngine, me: str, other: str) -> Any:
        return engine.register(_leave(me, other, isolation, ensured))

    asyncio.run(main())
    return dict(engine.state.domain)


def test_it_is_prevented_by_default() -> None:
    with TheusEngine(ON_CALL) as engine:
        after = _both_leave(engine)
        assert sorted(after.values()) == [False, True]
        assert engine.stats()["conflicts"] == 1


def test_it_happens_under_snapshot_isolation_of_the_engine() -> None:
    with TheusEngine(ON_CALL, isolation="snapshot") as engine:
        assert _both_leave(engine) == {"ann": False, "bob": False}


def test_it_happens_under_snapshot_isolation_of_the_process() -> None:
    with TheusEngine(ON_CALL) as engine:
        assert _both_leave(engine, isolation="snapshot") == {"ann": False, "bob": False}


def test_ensure_prevents_it_under_snapshot_isolation() -> None:
    with TheusEngine(ON_CALL, isolation="snapshot") as engine:
        after = _both_leave(engine, ensured=True)
        assert sorted(after.values()) == [False, True]


def test_serializable_processes_of_a_snapshot_engine_are_safe() -> None:
    with TheusEngine(ON_CALL, isolation="snapshot") as engine:
        after = _both_leave(engine, isolation="serializable")
        assert sorted(after.values()) == [False, True]


def test_two_transactions_by_hand() -> None:
    with TheusEngine(ON_CALL) as engine:
        first, second = engine.begin(), engine.begin()
        if first.domain.bob:
            first.domain.ann = False
        if second.domain.ann:
            second.domain.bob = False
        first.commit()
        with pytest.raises(ConflictError) as caught:
            second.commit()
        assert "domain.ann" in str(caught.value)
        assert dict(engine.state.domain) == {"ann": False, "bob": True}


@pytest.mark.parametrize("look", ["iterate", "length", "contains", "get"])
def test_a_key_that_appeared_counts_as_changed(look: str) -> None:
    looks = {
        "iterate": lambda people: list(people),
        "length": len,
        "contains": lambda people: "cid" in people,
        "get": lambda people: people.get("cid"),
    }
    with TheusEngine({"domain": {"people": {"ann": 1}, "heads": 0}}) as engine:
        reader = engine.begin()
        looks[look](reader.domain.people)
        reader.domain.heads = 1
        with engine.transaction() as writer:
            writer.domain.people["cid"] = 2
        with pytest.raises(ConflictError):
            reader.commit()
        assert engine.state.domain.heads == 0


def test_a_peek_does_not_count_as_a_read() -> None:
    with TheusEngine(ON_CALL) as engine:
        reader = engine.begin()
        assert reader.peek("domain.bob") is True
        reader.domain.ann = False
        with engine.transaction() as writer:
            writer.domain.bob = False
        reader.commit()
        assert dict(engine.state.domain) == {"ann": False, "bob": False}
