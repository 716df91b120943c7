"""Outbox messages and signals: after the commit, in order, once; none of a failed attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from theus import OutboxMsg, StateUpdate, TheusEngine, process
from theus.errors import ConflictError, OutboxError

START = {"domain": {"n": 0}}


@process(inputs=["domain.n"], outputs=["domain.n"])
async def numbered(ctx: Any) -> None:
    seen = ctx.domain.n
    ctx.outbox.add(OutboxMsg("before", seen + 1))
    ctx.signal.number = seen + 1
    await asyncio.sleep(0)
    ctx.domain.n = seen + 1
    ctx.outbox.add(OutboxMsg("after", seen + 1))


def test_once_and_in_order_although_attempts_were_repeated() -> None:
    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(*(engine.execute(numbered) for _ in range(32)))

    delivered: list[tuple[str, int]] = []
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        asyncio.run(main(engine))
        assert engine.stats()["conflicts"] > 0
        assert len(engine.outbox) == 64
        engine.attach_worker(lambda message: delivered.append((message.topic, message.payload)))
        assert engine.process_outbox() == 64
        expected = [(topic, k) for k in range(1, 33) for topic in ("before", "after")]
        assert delivered == expected
        assert receiver.drain() == [f"number:{k}" for k in range(1, 33)]
        assert engine.process_outbox() == 0


def test_nothing_before_the_commit() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        with engine.transaction() as tx:
            tx.outbox.add(OutboxMsg("t", 1))
            tx.update(data={"domain": {"n": 1}}, signal={"s": 1})
            assert len(engine.outbox) == 0
            assert receiver.try_recv(None) is None
        assert [message.topic for message in engine.outbox] == ["t"]
        assert receiver.try_recv(None) == "s:1"


def test_a_listener_sees_the_state_that_its_signal_tells_of() -> None:
    seen: list[int] = []
    with TheusEngine(START) as engine:
        engine.attach_worker(lambda message: seen.append(engine.state.domain.n))
        with engine.transaction() as tx:
            tx.domain.n = 7
            tx.outbox.add(OutboxMsg("t", None))
        engine.process_outbox()
    assert seen == [7]


def test_a_conflict_sends_nothing() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        loser = engine.begin()
        loser.domain.n += 1
        loser.outbox.add(OutboxMsg("t", 1))
        loser.queue_signal("s", 1)
        with engine.transaction() as winner:
            winner.domain.n = 5
        with pytest.raises(ConflictError):
            loser.commit()
        assert len(engine.outbox) == 0
        assert receiver.try_recv(None) is None


def test_messages_without_a_change_of_state_go_out_too() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()

        @process(outputs=["domain.n"])
        def tell(ctx: Any) -> None:
            ctx.signal.s = 1
            ctx.outbox.add(OutboxMsg("t", 1))

        engine.run(tell)
        assert len(engine.outbox) == 1
        assert receiver.drain() == ["s:1"]
        assert engine.state.domain.n == 0


def test_signals_of_a_state_update() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        update = StateUpdate(key="domain.n", val=3, signal={"one": 1, "two": 2})
        engine.run(process(outputs=["domain.n"])(lambda ctx: update))
        assert receiver.drain() == ["one:1", "two:2"]
        assert engine.state.signals == {"one": 1, "two": 2}


def test_a_payload_is_detached_from_the_caller() -> None:
    payload = {"xs": [1]}
    with TheusEngine(START) as engine:
        with engine.transaction() as tx:
            tx.outbox.add(OutboxMsg("t", payload))
            payload["xs"].append(2)
        assert [message.payload for message in engine.outbox] == [{"xs": [1]}]


def test_a_worker_that_raises_keeps_the_message() -> None:
    delivered: list[int] = []
    broken = True

    def worker(message: OutboxMsg) -> None:
        if broken and message.payload == 2:
            raise OSError("no network")
        delivered.append(message.payload)

    with TheusEngine(START) as engine:
        with engine.transaction() as tx:
            for k in (1, 2, 3):
                tx.outbox.add(OutboxMsg("t", k))
        engine.attach_worker(worker)
        with pytest.raises(OutboxError):
            engine.process_outbox()
        assert delivered == [1]
        broken = False
        assert engine.process_outbox() == 2
        assert delivered == [1, 2, 3]


def test_a_savepoint_takes_its_messages_back() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        with engine.transaction() as tx:
            tx.outbox.add(OutboxMsg("kept", 1))
            savepoint = tx.savepoint()
            tx.domain.n = 9
            tx.outbox.add(OutboxMsg("dropped", 1))
            tx.queue_signal("dropped", 1)
            savepoint.rollback()
        assert [message.topic for message in engine.outbox] == ["kept"]
        assert receiver.drain() == []
        assert engine.state.domain.n == 0
