"""Promise: conflicts are retried with back-off, then with priority, and never for ever."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import StateUpdate, TheusEngine, process
from theus._core import ConflictManager, RetryDecision
from theus.errors import ConflictError, RetryLimitError, SystemBusyError

START = {"domain": {"n": 0, "other": 0}}


# --- the policy on its own --------------------------------------------------------------------


def test_a_decision_says_whether_and_when() -> None:
    decision = ConflictManager().report_conflict("a")
    assert type(decision) is RetryDecision
    assert decision.should_retry is True
    assert decision.wait_ms > 0
    assert "wait_ms" in repr(decision)
    with pytest.raises(AttributeError):
        decision.wait_ms = 0
    assert {RetryDecision(True, 1.0)} == {RetryDecision(True, 1.0)}
    assert RetryDecision(True, 1.0) != RetryDecision(False, 1.0)


def test_the_defaults_are_five_failures_and_two_milliseconds() -> None:
    manager = ConflictManager()
    assert (manager.max_retries, manager.base_backoff_ms) == (5, 2.0)


@pytest.mark.parametrize("base", [0.5, 2, 20])
def test_waits_are_the_base_doubled_per_failure_times_jitter(base: float) -> None:
    seen: dict[int, set[float]] = {}
    for number in range(200):
        manager = ConflictManager(max_retries=5, base_backoff_ms=base)
        for failure in range(1, 5):
            wait = manager.report_conflict(number).wait_ms
            expected = base * 2 ** (failure - 1)
            assert 0.8 * expected <= wait <= 1.2 * expected
            seen.setdefault(failure, set()).add(wait / expected)
    for ratios in seen.values():
        assert len(ratios) > 100
        assert min(ratios) < 0.95
        assert max(ratios) > 1.05


def test_the_fifth_failure_makes_a_holder_and_the_others_wait() -> None:
    manager = ConflictManager()
    for _ in range(4):
        manager.report_conflict("a")
        assert manager.vip_holder is None
        assert not manager.is_blocked("b")
    assert manager.report_conflict("a") == RetryDecision(True, 1.0)
    assert manager.vip_holder == "a"
    assert [manager.is_blocked(key) for key in ("a", "b", "c")] == [False, True, True]
    assert manager.report_conflict("b") == RetryDecision(True, 50.0)
    assert manager.report_conflict("a") == RetryDecision(True, 1.0)


def test_success_of_the_holder_clears_its_count_and_its_place() -> None:
    manager = ConflictManager(max_retries=2)
    manager.report_conflict("a")
    manager.report_conflict("a")
    manager.report_conflict("b")
    manager.report_success("a")
    assert (manager.vip_holder, manager.get_failure_count("a")) == (None, 0)
    assert manager.get_failure_count("b") == 1
    assert not manager.is_blocked("b")
    assert manager.report_conflict("a").wait_ms < 50.0


def test_there_is_one_holder_at_a_time() -> None:
    manager = ConflictManager(max_retries=1)
    for key in ("a", "b", "c"):
        manager.report_conflict(key)
    assert manager.vip_holder == "a"
    manager.report_success("a")
    assert manager.vip_holder is None
    assert manager.report_conflict("b").wait_ms == 1.0
    assert manager.vip_holder == "b"


def test_keys_that_were_never_reported() -> None:
    manager = ConflictManager()
    manager.report_success("a")
    manager.release("a")
    assert manager.get_failure_count("a") == 0
    assert not manager.is_blocked("a")


def test_one_of_many_threads_becomes_the_holder() -> None:
    manager, decisions = ConflictManager(max_retries=1), {}
    ready = threading.Barrier(8)

    def report(key: int) -> None:
        ready.wait()
        decisions[key] = manager.report_conflict(key)

    threads = [threading.Thread(target=report, args=(key,)) for key in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [key for key, decision in decisions.items() if decision.wait_ms == 1.0]
    assert winners == [manager.vip_holder]
    assert sorted(decision.wait_ms for decision in decisions.values()) == [1.0, *[50.0] * 7]


# --- requesters of an engine ------------------------------------------------------------------


def test_requesters_are_counted_per_engine() -> None:
    with TheusEngine(START, max_retries=2) as engine, TheusEngine(START, max_retries=2) as other:
        assert engine.report_conflict("a").wait_ms < 50.0
        assert engine.report_conflict("a") == RetryDecision(True, 1.0)
        assert engine.report_conflict("b") == RetryDecision(True, 50.0)
        assert other.report_conflict("b").wait_ms < 50.0
        engine.report_success("a")
        assert engine.report_conflict("c").wait_ms < 50.0


@pytest.mark.parametrize("requester", [None, "b"])
def test_swaps_of_others_are_refused_while_there_is_a_holder(requester: str | None) -> None:
    with TheusEngine(START, max_retries=1) as engine:
        engine.report_conflict("a")
        before = engine.state
        with pytest.raises(SystemBusyError, match=r"System Busy.*'a'") as caught:
            engine.compare_and_swap(1, data={"domain": {"n": 1}}, requester=requester)
        assert caught.value.holder == "a"
        assert engine.state is before
        engine.report_success("a")
        assert engine.compare_and_swap(1, data={"domain": {"n": 1}}, requester=requester) is None


# --- retries of processes ---------------------------------------------------------------------


def _loser(engine: TheusEngine, times: int, kept: list[Any]) -> Any:
    """A process that is overtaken in its first attempts."""

    @process(inputs=["domain.n"], outputs=["domain.n"])
    def loser(ctx: Any) -> int:
        seen = ctx.domain.n
        kept.append(seen)
        if len(kept) <= times:
            with engine.transaction() as tx:
                tx.domain.n += 1
        return seen + 1000

    return loser


@pytest.mark.parametrize("times", [0, 1, 4])
def test_a_lost_attempt_is_run_again_on_the_new_state(times: int) -> None:
    with TheusEngine(START) as engine:
        kept: list[int] = []
        assert engine.run(_loser(engine, times, kept)) == times + 1000
        assert kept == list(range(times + 1))
        assert engine.state.domain.n == times + 1000
        stats = engine.stats()
        assert (stats["attempts"], stats["conflicts"]) == (times + 1, times)
        assert (stats["tickets"], stats["failures"]) == (0, 0)


def test_after_five_failures_it_has_priority_and_commits() -> None:
    with TheusEngine(START) as engine:
        kept: list[int] = []
        assert engine.run(_loser(engine, 5, kept)) == 1005
        assert kept == [0, 1, 2, 3, 4, 5]
        stats = engine.stats()
        assert (stats["tickets"], stats["waiting"]) == (1, 0)


def test_while_one_has_priority_others_wait_for_what_it_uses_and_for_nothing_else() -> None:
    order: list[str] = []

    @process(inputs=["domain.n"], outputs=["domain.n"])
    async def increment(ctx: Any) -> None:
        ctx.domain.n += 1

    @process(inputs=["domain.other"], outputs=["domain.other"])
    async def elsewhere(ctx: Any) -> None:
        ctx.domain.other += 1

    async def call(engine: TheusEngine, body: Any) -> None:
        await engine.execute(body)
        order.append(body.__name__)

    async def main(engine: TheusEngine) -> None:
        waiting: list[asyncio.Task[None]] = []

        @process(inputs=["domain.n"], outputs=["domain.n"])
        async def patient(ctx: Any) -> None:
            seen = ctx.domain.n
            if engine.stats()["tickets"] == 0:
                await asyncio.create_task(call(engine, increment))
            else:
                waiting.append(asyncio.create_task(call(engine, increment)))
                await asyncio.create_task(call(engine, elsewhere))
                for _ in range(50):
                    await asyncio.sleep(0)
                assert not waiting[0].done()
                assert engine.state.domain.n == 2
            ctx.domain.n = seen + 1000

        await call(engine, patient)
        await asyncio.gather(*waiting)

    with TheusEngine(START, max_retries=2, lease_ms=60_000) as engine:
        asyncio.run(main(engine))
        assert order == ["increment", "increment", "elsewhere", "patient", "increment"]
        assert engine.state.domain == {"n": 1003, "other": 1}
        stats = engine.stats()
        assert (stats["tickets"], stats["waiting"]) == (1, 0)
        assert stats["waits"]["priority"] >= 1


@pytest.mark.parametrize("lane", ["run", "execute", "attempts"])
def test_it_does_not_try_for_ever_and_says_how_often_and_on_what(lane: str) -> None:
    tried: list[int] = []

    @process(outputs=["domain.n"])
    def stale(ctx: Any) -> StateUpdate:
        tried.append(ctx.version)
        return StateUpdate(key="domain.n", val=9, assert_version=1)

    async def execute(engine: TheusEngine) -> None:
        await engine.execute(stale)

    def attempts(engine: TheusEngine) -> None:
        for attempt in engine.attempts(label="stale"):
            with attempt as tx:
                tried.append(tx.version)
                tx.assert_version(1)
                tx.domain.n = 9

    with TheusEngine(START, base_backoff_ms=0.01) as engine:
        engine.compare_and_swap(1, data={"domain": {"n": 1}})
        before = engine.state
        with pytest.raises(RetryLimitError) as caught:
            if lane == "run":
                engine.run(stale)
            elif lane == "execute":
                asyncio.run(execute(engine))
            else:
                attempts(engine)
        error = caught.value
        assert isinstance(error, ConflictError)
        assert isinstance(error.__cause__, ConflictError)
        assert error.attempts == len(tried) > 1
        assert error.paths == ("domain.n",)
        assert error.process == "stale"
        assert all(part in str(error) for part in (str(len(tried)), "domain.n", "stale"))
        assert engine.state is before
        assert engine.stats()["waiting"] == 0
        engine.run(process(outputs=["domain.n"], name="next")(lambda ctx: 2))
        assert engine.state.domain.n == 2
