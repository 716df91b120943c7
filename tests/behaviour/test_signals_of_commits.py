"""Signals of commits through the engine: what they say, who waits for whom, the latch."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from theus import OutboxMsg, StateUpdate, TheusEngine, process
from theus.errors import (
    ConflictError,
    ContextError,
    ImmutableError,
    SignalClosedError,
    SignalFullError,
    SignalLaggedError,
)
from theus.signals import Signal

JOIN = 30
START = {"domain": {"n": 0, "items": [1, 2], "box": {"a": 1}}}


@process(inputs=["domain.n"], outputs=["domain.n"])
def count(ctx: Any) -> int:
    ctx.signal["n"] = ctx.domain.n + 1
    return int(ctx.domain.n + 1)


@process(inputs=["domain.n"], outputs=["domain.n"])
async def count_async(ctx: Any) -> int:
    ctx.signal["n"] = ctx.domain.n + 1
    return int(ctx.domain.n + 1)


@pytest.fixture
def engine() -> Any:
    with TheusEngine(START) as engine:
        yield engine


# --- what a signal says -------------------------------------------------------------------


def test_a_typed_receiver_gets_topic_payload_version_and_process(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe(typed=True)
    engine.run(count)
    with engine.transaction() as tx:
        tx.domain.n = 7
        tx.update(signal={"orders.new": {"id": 1}, "stop": None})
    version = engine.state.version
    assert receiver.drain() == [
        Signal("n", 1, version - 1, "count"),
        Signal("orders.new", {"id": 1}, version),
        Signal("stop", None, version),
    ]


def test_topics_are_chosen_by_pattern(engine: TheusEngine) -> None:
    new, orders = engine.signal.subscribe("*.new"), engine.signal.subscribe("orders.**")
    engine.compare_and_swap(
        1, signal={"orders.new": 1, "orders.old": 2, "orders.new.eu": 3, "users.new": 4}
    )
    assert new.drain() == ["orders.new:1", "users.new:4"]
    assert orders.drain() == ["orders.new:1", "orders.old:2", "orders.new.eu:3"]


def test_nothing_committed_can_be_changed_through_a_payload(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe(typed=True)
    mine = {"xs": [1]}

    @process(inputs=["domain"], outputs=["domain.n"])
    def tell(ctx: Any) -> None:
        ctx.signal.items = ctx.domain["items"]
        ctx.signal.box = {"inner": ctx.domain.box}
        ctx.signal.mine = mine
        mine["xs"].append(2)

    engine.run(tell)
    items, box, sent = (signal.payload for signal in receiver.drain())
    assert (items, box, sent) == ([1, 2], {"inner": {"a": 1}}, {"xs": [1]})
    for change in (
        lambda: items.append(3),
        lambda: box.inner.update(a=2),
        lambda: box["inner"].pop("a"),
        lambda: sent["xs"].clear(),
    ):
        with pytest.raises(ImmutableError):
            change()
    assert engine.state.domain.to_dict() == START["domain"]


def test_a_signal_outlives_the_state_it_tells_of(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe(typed=True)
    with engine.transaction() as tx:
        tx.queue_signal("box", tx.domain.box)
    with engine.transaction() as tx:
        tx.domain.box = {"b": 2}
    gc.collect()
    assert receiver.recv().payload == {"a": 1}


def test_one_signal_per_topic_the_last_one_in_the_place_of_the_first(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe()
    with engine.transaction() as tx:
        tx.queue_signal("a", 1)
        tx.queue_signal("b", 1)
        tx.queue_signal("a", 2)
    assert receiver.drain() == ["a:2", "b:1"]


@pytest.mark.parametrize("topic", ["", 7, None])
def test_a_topic_that_is_none_is_refused_where_it_is_written(
    engine: TheusEngine, topic: Any
) -> None:
    with pytest.raises(ContextError, match="topic"), engine.transaction() as tx:
        tx.update(signal={topic: 1})
    assert engine.state.version == 1


def test_an_exception_as_payload_is_sent_as_its_text(engine: TheusEngine) -> None:
    receiver = engine.signal.subscribe()
    engine.compare_and_swap(1, signal={"failed": ValueError("no paper")})
    assert receiver.drain() == ["failed:no paper"]


# --- order and truth ----------------------------------------------------------------------


def test_a_process_that_only_tells_is_run_again_when_what_it_read_has_changed(
    engine: TheusEngine,
) -> None:
    receiver = engine.signal.subscribe(typed=True)
    overtaken = iter([True])

    @process(inputs=["domain.n"])
    def tell(ctx: Any) -> None:
        ctx.signal.n = ctx.domain.n
        if next(overtaken, False):
            with engine.transaction() as tx:
                tx.domain.n = 5

    engine.run(tell)
    assert receiver.drain() == [Signal("n", 5, engine.state.version, "tell")]


def test_threads_tell_in_the_order_of_their_commits() -> None:
    threads, each = 6, 200
    with TheusEngine({"domain": {"n": 0}}, base_backoff_ms=0) as engine:
        receiver = engine.signal.subscribe(capacity=threads * each, typed=True)
        running = [
            threading.Thread(target=lambda: [engine.run(count) for _ in range(each)])
            for _ in range(threads)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(JOIN)
        signals = receiver.drain()
        assert [signal.payload for signal in signals] == list(range(1, threads * each + 1))
        assert [signal.version for signal in signals] == list(range(2, threads * each + 2))


def test_who_has_committed_finds_its_own_signals_sent() -> None:
    """Even if another thread hands them out."""
    with TheusEngine({"domain": {"n": 0}}, base_backoff_ms=0) as engine:
        missing: list[int] = []

        def run() -> None:
            receiver = engine.signal.subscribe(capacity=100_000)
            for _ in range(150):
                number = engine.run(count)
                if f"n:{number}" not in receiver.drain():
                    missing.append(number)

        running = [threading.Thread(target=run) for _ in range(4)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(JOIN)
        assert missing == []


def test_a_commit_made_while_signals_are_handed_out_follows_them(engine: TheusEngine) -> None:
    class Last:
        def __del__(self) -> None:
            engine.run(count)

    small = engine.signal.subscribe(capacity=1, policy="coalesce")
    receiver = engine.signal.subscribe("*")
    engine.signal.publish(Last())
    engine.compare_and_swap(1, signal={"a": 1, "b": 2})
    assert receiver.drain() == ["a:1", "b:2", "n:1"]
    small.close()


def test_an_interrupt_while_signals_are_handed_out_loses_and_doubles_nothing(
    engine: TheusEngine,
) -> None:
    first, second = engine.signal.subscribe("n"), engine.signal.subscribe("*")
    woken: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    @process(inputs=["domain.n"], outputs=["domain.n"])
    def tell(ctx: Any) -> int:
        ctx.outbox.add(OutboxMsg("n", ctx.domain.n + 1))
        ctx.signal["n"] = ctx.domain.n + 1
        return int(ctx.domain.n + 1)

    first.enlist(interrupt)
    second.enlist(lambda: woken.append("second"))
    with pytest.raises(KeyboardInterrupt):
        engine.run(tell)
    assert (engine.state.domain.n, engine.stats()["failures"]) == (1, 0)
    assert woken == ["second"]
    engine.run(tell)
    for receiver in (first, second):
        assert receiver.drain() == ["n:1", "n:2"]
    assert [message.payload for message in engine.outbox] == [1, 2]


# --- policies -----------------------------------------------------------------------------


def in_a_process(engine: TheusEngine) -> None:
    engine.run(count)


def on_a_loop(engine: TheusEngine) -> None:
    asyncio.run(engine.execute(count_async))


def in_a_block(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.domain.n += 1
        tx.queue_signal("n", tx.domain.n)


def in_attempts(engine: TheusEngine) -> None:
    for attempt in engine.attempts():
        with attempt as tx:
            tx.domain.n += 1
            tx.queue_signal("n", tx.domain.n)


def in_awaited_attempts(engine: TheusEngine) -> None:
    async def main() -> None:
        async for attempt in engine.attempts():
            with attempt as tx:
                tx.domain.n += 1
                tx.queue_signal("n", tx.domain.n)

    asyncio.run(main())


def by_swap(engine: TheusEngine) -> None:
    number = engine.state.domain.n + 1
    engine.compare_and_swap(
        engine.state.version, data={"domain": {"n": number}}, signal={"n": number}
    )


WAYS = [in_a_process, on_a_loop, in_a_block, in_attempts, in_awaited_attempts, by_swap]


@pytest.mark.parametrize("way", WAYS)
def test_a_full_receiver_with_policy_error_is_told_and_the_commit_stays(
    engine: TheusEngine, way: Callable[[TheusEngine], None]
) -> None:
    full, other = engine.signal.subscribe(policy="error", capacity=1), engine.signal.subscribe()
    way(engine)
    with pytest.raises(SignalFullError, match="do not run it again") as caught:
        way(engine)
    assert (caught.value.topics, caught.value.version) == (("n",), engine.state.version)
    assert engine.state.domain.n == 2
    assert engine.state.signals == {"n": 2}
    assert other.drain() == ["n:1", "n:2"]
    assert (full.drain(), full.refused) == (["n:1"], 1)
    assert engine.stats()["failures"] == 0
    way(engine)
    assert full.drain() == ["n:3"]


def test_only_who_sent_it_is_told_of_a_refusal() -> None:
    with TheusEngine({"domain": {"n": 0}}, base_backoff_ms=0) as engine:
        full = engine.signal.subscribe("loud", policy="error", capacity=1)
        engine.signal.publish("loud:0")
        told: dict[str, int] = {"loud": 0, "quiet": 0}

        def send(topic: str) -> None:
            for _ in range(200):
                try:
                    engine.compare_and_swap(0, signal={topic: 1})
                except SignalFullError as error:
                    assert error.topics == (topic,)
                    told[topic] += 1

        running = [threading.Thread(target=send, args=(topic,)) for topic in told for _ in "ab"]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(JOIN)
        assert told == {"loud": 400, "quiet": 0}
        assert full.refused == 400


@pytest.mark.parametrize("way", WAYS)
def test_a_committer_waits_for_a_receiver_with_policy_block(
    engine: TheusEngine, way: Callable[[TheusEngine], None]
) -> None:
    slow = engine.signal.subscribe(policy="block", capacity=1, timeout=None)
    other = engine.signal.subscribe()
    way(engine)
    thread = threading.Thread(target=way, args=(engine,))
    thread.start()
    assert [other.recv(JOIN), other.recv(JOIN)] == ["n:1", "n:2"]
    assert engine.state.domain.n == 2  # committed and visible, although the committer waits
    engine.compare_and_swap(0, data={"domain": {"box": {}}})  # others go on
    assert thread.is_alive()
    assert [slow.recv(JOIN), slow.recv(JOIN)] == ["n:1", "n:2"]
    thread.join(JOIN)
    assert not thread.is_alive()
    assert slow.missed == 0


def test_tasks_wait_for_a_receiver_on_their_own_loop() -> None:
    async def main() -> list[str]:
        with TheusEngine({"domain": {"n": 0}}, base_backoff_ms=0) as engine:
            slow = engine.signal.subscribe(policy="block", capacity=2, timeout=None)

            async def work() -> None:
                for _ in range(20):
                    await engine.execute(count_async)

            tasks = [asyncio.create_task(work()) for _ in range(3)]
            received = [await slow.recv_async() for _ in range(60)]
            await asyncio.gather(*tasks)
            assert slow.missed == 0
            return received

    assert asyncio.run(main()) == [f"n:{number}" for number in range(1, 61)]


def test_sync_code_on_a_loop_does_not_wait_but_the_receiver_learns_what_it_lost(
    engine: TheusEngine,
) -> None:
    async def main() -> list[str]:
        slow = engine.signal.subscribe(policy="block", capacity=2, timeout=None)
        for _ in range(5):
            in_a_block(engine)
        with pytest.raises(SignalLaggedError, match="missed 3"):
            slow.recv()
        return list(slow.drain())

    assert asyncio.run(main()) == ["n:4", "n:5"]


def test_a_cancelled_wait_for_room_leaves_the_commit_done(engine: TheusEngine) -> None:
    async def main() -> list[str]:
        slow = engine.signal.subscribe(policy="block", capacity=1, timeout=None)
        await engine.execute(count_async)
        task = asyncio.create_task(engine.execute(count_async))
        while engine.state.domain.n < 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return list(slow.drain())

    assert asyncio.run(main()) == ["n:1", "n:2"]
    assert (engine.state.domain.n, engine.stats()["failures"]) == (2, 0)


def test_coalescing_gives_the_latest_of_each_key(engine: TheusEngine) -> None:
    latest = engine.signal.subscribe("order", policy="coalesce", key="id", typed=True)
    for number, state in ((1, "new"), (2, "new"), (1, "paid")):
        engine.compare_and_swap(0, signal={"order": {"id": number, "state": state}})
    assert [(s.payload.id, s.payload.state) for s in latest.drain()] == [(1, "paid"), (2, "new")]


# --- the latch ----------------------------------------------------------------------------


def test_the_latch_holds_the_signals_of_the_last_commit(engine: TheusEngine) -> None:
    before = engine.state
    assert before.signals == {}
    engine.run(
        process(outputs=["domain.n"])(lambda ctx: StateUpdate("domain.n", 1, signal={"a": 1}))
    )
    told = engine.state
    assert told.signals == {"a": 1}
    engine.compare_and_swap(2, data={"domain": {"n": 2}})
    assert engine.state.signals == {}
    assert (before.signals, told.signals) == ({}, {"a": 1})


def test_a_commit_of_signals_alone_is_latched_at_the_same_version(engine: TheusEngine) -> None:
    before = engine.state
    engine.compare_and_swap(1, signal={"a": 1})
    told = engine.state
    assert (told.version, told.signals, before.signals) == (1, {"a": 1}, {})
    assert engine.state is told
    engine.compare_and_swap(1, signal={"b": {"xs": [1]}})
    assert engine.state.signals == {"b": {"xs": [1]}}
    assert engine.state is not told


def test_the_latch_is_read_only(engine: TheusEngine) -> None:
    engine.compare_and_swap(1, signal={"a": {"xs": [1]}})
    for change in (
        lambda: engine.state.signals.update(a=2),
        lambda: engine.state.signals["a"]["xs"].append(2),
    ):
        with pytest.raises(ImmutableError):
            change()
    assert engine.state.signals == {"a": {"xs": [1]}}


def test_a_failed_commit_latches_nothing(engine: TheusEngine) -> None:
    engine.compare_and_swap(1, signal={"kept": 1})
    loser = engine.begin()
    loser.domain.n += 1
    loser.queue_signal("lost", 1)
    with engine.transaction() as winner:
        winner.domain.n = 5
        winner.queue_signal("won", 1)
    with pytest.raises(ConflictError):
        loser.commit()
    assert engine.state.signals == {"won": 1}


def test_a_process_reads_the_latch_of_its_snapshot(engine: TheusEngine) -> None:
    engine.compare_and_swap(1, data={"domain": {"n": 1}}, signal={"cmd": "go"})

    seen = []

    @process(outputs=["domain.n"])
    def look_twice(ctx: Any) -> None:
        seen.append(ctx.signal.get("cmd"))
        with engine.transaction() as tx:
            tx.domain.box = {}
        seen.append(ctx.signal.get("cmd"))

    engine.run(look_twice)
    assert seen == ["go", "go"]


FLOW = """
steps:
  - process: tell
  - flux: if
    condition: {condition}
    then:
      - process: heard
"""


@pytest.mark.parametrize(
    ("payload", "condition", "holds"),
    [
        ("go", "signal.cmd == 'go'", True),
        ("go", "cmd.cmd == 'go'", True),
        ("go", "signal['cmd'] == 'stop'", False),
        ({"level": 3}, "signal.cmd.level > 2", True),
        ([1, 2], "2 in cmd.cmd", True),
        ("go", "'other' in signal", False),
    ],
)
@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_workflow_conditions_see_the_signals_of_the_last_commit(
    engine: TheusEngine, payload: Any, condition: str, holds: bool, awaited: bool
) -> None:
    @process(outputs=["domain.n"])
    def tell(ctx: Any) -> None:
        ctx.signal.cmd = payload

    @process(outputs=["domain.n"])
    def heard(ctx: Any) -> int:
        return 1

    engine.register(tell)
    engine.register(heard)
    text = FLOW.format(condition=f'"{condition}"')
    if awaited:
        ran = asyncio.run(engine.execute_workflow_async(text))
    else:
        ran = engine.execute_workflow(text)
    assert ran == (["tell", "heard"] if holds else ["tell"])


def test_a_later_commit_without_signals_clears_what_conditions_see(engine: TheusEngine) -> None:
    @process(outputs=["domain.n"])
    def tell(ctx: Any) -> None:
        ctx.signal.stop = True

    @process(outputs=["domain.n"])
    def work(ctx: Any) -> int:
        return 1

    engine.register(tell)
    engine.register(work)
    text = """
steps:
  - process: tell
  - process: work
  - flux: if
    condition: "'stop' in signal"
    then:
      - process: tell
"""
    assert engine.execute_workflow(text) == ["tell", "work"]


# --- the end ------------------------------------------------------------------------------


def test_the_end_of_the_engine_ends_listening() -> None:
    engine = TheusEngine(START)
    receiver = engine.signal.subscribe()
    heard: list[str] = []
    thread = threading.Thread(target=lambda: heard.extend(receiver))
    thread.start()
    engine.run(count)
    engine.shutdown()
    thread.join(JOIN)
    assert heard == ["n:1"]
    with pytest.raises(SignalClosedError):
        engine.signal.subscribe()


def test_the_end_of_the_engine_does_not_wait_for_receivers() -> None:
    engine = TheusEngine(START)
    slow = engine.signal.subscribe(policy="block", capacity=1, timeout=None)
    other = engine.signal.subscribe()

    @process()
    def body(ctx: Any) -> None:
        for _ in range(2):
            with engine.transaction() as tx:
                tx.queue_signal("s", 1)

    thread = threading.Thread(target=lambda: asyncio.run(engine.execute(body)))
    thread.start()
    assert [other.recv(JOIN), other.recv(JOIN)] == ["s:1", "s:1"]
    engine.shutdown()
    thread.join(JOIN)
    with pytest.raises(SignalLaggedError, match="missed 1"):
        slow.recv()
    assert list(slow) == ["s:1"]


def test_a_snapshot_keeps_the_signals_of_its_version_whatever_is_committed_later() -> None:
    seen: list[Any] = []

    @process(inputs=["domain.n"])
    def reader(ctx: Any) -> None:
        _send(engine, 2)
        seen.append((ctx.signal.get("sent"), dict(ctx.state.signals), ctx.version))

    with TheusEngine({"domain": {"n": 0}}) as engine:
        _send(engine, 1)
        tx = engine.begin()
        engine.run(reader)
        late = tx.state
        assert (late.version, dict(late.signals)) == (2, {"sent": 1})
        tx.rollback()
        assert dict(late.signals) == {"sent": 1}
        assert dict(engine.state.signals) == {"sent": 2}
        with engine.transaction() as quiet:
            quiet.domain["n"] = 9
        tx = engine.begin()
        _send(engine, 3)
        assert dict(tx.state.signals) == {}
        tx.rollback()
    assert seen == [(1, {"sent": 1}, 2)]


def _send(engine: TheusEngine, number: int) -> None:
    with engine.transaction() as tx:
        tx.update(data={"domain": {"n": number}}, signal={"sent": number})
