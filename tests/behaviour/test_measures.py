"""`engine.stats()`: what happened is counted once, by cause, whoever and however many count."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import OutboxMsg, StateUpdate, TheusEngine, process
from theus.config import ConfigFactory
from theus.errors import (
    AuditAbortError,
    ConflictError,
    ContractViolationError,
    RetryLimitError,
    SchemaViolationError,
    WriteTimeoutError,
)

START = {"domain": {"n": 0, "other": 0}}
RULES = """
process_recipes:
  guarded:
    outputs:
      - {field: domain.n, max: 3, level: A}
"""


@process(inputs=["domain.n"], outputs=["domain.n"])
def add_one(ctx: Any) -> int:
    return ctx.domain.n + 1


@process(inputs=["domain.n"], outputs=["domain.n"])
def fails(ctx: Any) -> int:
    ctx.domain.n = 5
    raise KeyError("no")


@process(inputs=[], outputs=["domain.n"])
def strays(ctx: Any) -> None:
    ctx.domain.other = 1


@process(inputs=[], outputs=["domain.n"])
async def waits_for_ever(ctx: Any) -> None:
    ctx.domain.n = 1
    await asyncio.get_running_loop().create_future()


@process(inputs=[], outputs=["domain.n"], write_timeout_ms=0.0001)
def slow(ctx: Any) -> None:
    ctx.domain.n = 1


@process(inputs=[], outputs=["domain.n"])
def guarded(ctx: Any) -> int:
    return 4


def aborts(engine: TheusEngine) -> dict[str, int]:
    """The causes that occurred."""
    return {cause: count for cause, count in engine.stats()["aborts"].items() if count}


def conflict(engine: TheusEngine) -> None:
    loser = engine.begin()
    loser.domain.n += 1
    engine.run(add_one)
    with pytest.raises(ConflictError):
        loser.commit()


def swap(engine: TheusEngine) -> None:
    engine.run(add_one)
    with pytest.raises(Exception, match="CAS Version Mismatch"):
        engine.compare_and_swap(1, data={"domain": {"n": 7}})


def cancel(engine: TheusEngine) -> None:
    async def main() -> None:
        task = asyncio.create_task(engine.execute(waits_for_ever))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def raise_in(error: type[BaseException], call: Any) -> Any:
    def act(engine: TheusEngine) -> None:
        with pytest.raises(error):
            engine.run(call)

    return act


def schema(engine: TheusEngine) -> None:
    pytest.importorskip("pydantic")
    from pydantic import BaseModel

    class Domain(BaseModel):
        n: int
        other: int

    class Model(BaseModel):
        domain: Domain

    engine.set_schema(Model)
    with pytest.raises(SchemaViolationError), engine.transaction() as tx:
        tx.domain.n = "text"


def block(engine: TheusEngine) -> None:
    with pytest.raises(ZeroDivisionError), engine.transaction() as tx:
        tx.domain.n = 1 // 0


def by_hand(engine: TheusEngine) -> None:
    tx = engine.begin()
    tx.domain.n = 1
    tx.rollback()
    tx.rollback()


def attempt(engine: TheusEngine) -> None:
    rounds = 0
    for one in engine.attempts():
        with one as tx:
            tx.domain.n += 1
            if not rounds:
                engine.run(add_one)
            rounds += 1
    assert (rounds, engine.state.domain.n) == (2, 2)


CAUSES: dict[str, tuple[str, Any]] = {
    "a lost commit": ("conflict", conflict),
    "a lost swap": ("conflict", swap),
    "a lost attempt": ("conflict", attempt),
    "a broken contract": ("contract", raise_in(ContractViolationError, strays)),
    "a broken rule": ("audit", raise_in(AuditAbortError, guarded)),
    "a broken schema": ("schema", schema),
    "an error of the process": ("exception", raise_in(KeyError, fails)),
    "an error in a block": ("exception", block),
    "a late write": ("timeout", raise_in(WriteTimeoutError, slow)),
    "a cancelled call": ("cancelled", cancel),
    "a rollback": ("rollback", by_hand),
}


@pytest.mark.parametrize("case", CAUSES)
def test_a_transaction_without_effect_counts_once_by_its_cause(case: str) -> None:
    cause, act = CAUSES[case]
    book = ConfigFactory.load_recipe_from_string(RULES) if cause == "audit" else None
    with TheusEngine(START, audit_recipe=book) as engine:
        act(engine)
        assert aborts(engine) == {cause: 1}
        assert engine.stats()["conflicts"] == (cause == "conflict")


def test_what_commits_is_no_abort() -> None:
    with TheusEngine(START) as engine:
        engine.run(add_one)
        with engine.transaction():
            pass
        assert aborts(engine) == {}
        assert engine.stats()["commits"] == 1


def test_a_call_that_gives_up_counts_every_attempt() -> None:
    @process(inputs=["domain.n"], outputs=["domain.other"])
    def unlucky(ctx: Any) -> StateUpdate:
        return StateUpdate(key="domain.other", val=1, assert_version=10**6)

    with TheusEngine(START, max_retries=2, base_backoff_ms=0.1) as engine:
        with pytest.raises(RetryLimitError):
            engine.run(unlucky)
        stats = engine.stats()
        assert stats["aborts"]["conflict"] == stats["attempts"] == stats["retries"] >= 3
        assert stats["waits"]["backoff"] >= 1
        assert stats["wait_seconds"]["backoff"] > 0
        assert stats["tickets"] == 1


@pytest.mark.parametrize("lane", ["run", "execute"])
def test_eight_threads_count_exactly(lane: str) -> None:
    rounds = 200

    def work(engine: TheusEngine) -> None:
        for number in range(rounds):
            chosen = fails if number % 4 == 0 else add_one
            try:
                if lane == "run":
                    engine.run(chosen)
                else:
                    asyncio.run(engine.execute(chosen))
            except KeyError:
                continue

    with TheusEngine(START) as engine:
        threads = [threading.Thread(target=work, args=(engine,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = engine.stats()
        failed = 8 * rounds // 4
        assert stats["commits"] == engine.state.domain.n == 8 * rounds - failed
        assert (stats["aborts"]["exception"], stats["failures"]) == (failed, failed)
        assert stats["attempts"] == stats["commits"] + sum(stats["aborts"].values())
        assert stats["retries"] == stats["conflicts"] == stats["aborts"]["conflict"]


def test_the_lag_is_that_of_the_oldest_reader() -> None:
    with TheusEngine(START) as engine:
        assert engine.stats()["snapshot_lag"] == 0
        oldest = engine.state
        for _ in range(3):
            engine.run(add_one)
        assert engine.stats()["snapshot_lag"] == 3
        del oldest
        assert engine.stats()["snapshot_lag"] == 0


def test_versions_kept_for_time_travel_are_no_lag() -> None:
    with TheusEngine(START, time_travel=True) as engine:
        for _ in range(3):
            engine.run(add_one)
        assert engine.stats()["snapshot_lag"] == 0
        kept = engine.state_at(2)
        assert engine.stats()["snapshot_lag"] == 2
        assert kept.domain.n == 1


def test_the_outbox_counts_what_waits_and_what_went() -> None:
    with TheusEngine(START) as engine:
        for _ in range(3):
            with engine.transaction() as tx:
                tx.outbox.add(OutboxMsg("topic", {}))
        seen: list[Any] = []
        assert engine.stats()["outbox_pending"] == 3
        engine.attach_worker(seen.append)
        engine.process_outbox()
        stats = engine.stats()
        assert (stats["outbox_pending"], stats["outbox_delivered"]) == (0, 3)


def test_signals_are_counted_where_nobody_listens_and_where_somebody_is_slow() -> None:
    with TheusEngine(START) as engine:
        send(engine, 5)
        plain = engine.signal.subscribe(capacity=4)
        chosen = engine.signal.subscribe("news", capacity=4)
        strict = engine.signal.subscribe(capacity=9, policy="error")
        send(engine, 10, refuses=1)
        stats = engine.stats()
        assert stats["signals_published"] == 15
        assert (stats["signals_refused"], stats["receivers"]) == (1, 3)
        assert stats["signals_dropped"] == 6  # of the receiver with topics; the other was not told
        with pytest.raises(RuntimeError, match="missed 6"):
            plain.recv()
        chosen.close()
        assert engine.stats()["signals_dropped"] == 12
        strict.close()


def send(engine: TheusEngine, count: int, refuses: int = 0) -> None:
    for number in range(count):
        tx = engine.begin()
        tx.update(signal={"news": number})
        if number >= count - refuses:
            with pytest.raises(RuntimeError, match="refused"):
                tx.commit()
        else:
            tx.commit()


def test_a_receiver_that_closes_before_it_was_told_is_counted() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe(capacity=2)
        send(engine, 5)
        assert engine.stats()["signals_dropped"] == 0
        receiver.close()
        assert (engine.stats()["signals_dropped"], receiver.missed) == (3, 3)


def test_a_publisher_that_waits_for_a_receiver_is_counted() -> None:
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe(capacity=1, policy="block", timeout=0.001)
        send(engine, 2)
        stats = engine.stats()
        assert stats["waits"]["receivers"] == 1
        assert stats["wait_seconds"]["receivers"] > 0
        assert receiver.pending == 1


def test_heavy_arrays_and_workers_are_there_once_they_are_used() -> None:
    with TheusEngine(START, pool="inline") as engine:
        before = engine.stats()
        assert (before["heavy"], before["pool"]) == (None, None)
        engine.heavy.alloc("a", (1024,), "float64")
        engine.execute_parallel(add_one)
        stats = engine.stats()
        assert (stats["heavy"]["arrays"], stats["pool"]["submitted"]) == (1, 1)
        assert stats["heavy"]["used"] >= 8192


def test_two_engines_count_apart() -> None:
    with TheusEngine(START) as one, TheusEngine(START) as other:
        one.run(add_one)
        by_hand(one)
        assert other.stats()["commits"] == other.stats()["aborts"]["rollback"] == 0


def test_the_snapshot_is_a_copy() -> None:
    with TheusEngine(START) as engine:
        engine.stats()["aborts"]["conflict"] = 99
        assert engine.stats()["aborts"]["conflict"] == 0
