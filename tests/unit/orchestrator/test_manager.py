"""WorkflowManager: signals of commits run processes and workflows of an engine."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import EngineClosedError, PathError, SettingsError
from theus.orchestrator import SignalBus, StateMachine, ThreadExecutor, WorkflowManager

FLOW = """
steps:
  - process: pack
  - flux: if
    condition: domain.packed == 1
    then: [{process: send}]
"""


@process(inputs=["domain.orders"], outputs=["domain.orders"])
def order(ctx: Any, item: str) -> None:
    ctx.domain.orders.append(item)
    ctx.signal["orders.new"] = {"item": item}


@process(inputs=["domain.bills"], outputs=["domain.bills"])
def bill(ctx: Any, payload: Any, topic: str, currency: str = "EUR") -> None:
    ctx.domain.bills.append(f"{topic} {payload['item']} {currency}")


@process(inputs=["domain.packed"], outputs=["domain.packed"])
def pack(ctx: Any) -> int:
    return int(ctx.domain.packed) + 1


@process(inputs=["domain.sent"], outputs=["domain.sent"])
def send(ctx: Any, payload: Any) -> None:
    ctx.domain.sent.append(payload["item"])


@process(outputs=["domain.packed"])
def fail(ctx: Any) -> None:
    raise LookupError("no paper")


def make_engine() -> TheusEngine:
    engine = TheusEngine({"domain": {"orders": [], "bills": [], "sent": [], "packed": 0}})
    for one in (order, bill, pack, send, fail):
        engine.register(one)
    return engine


def test_a_commit_runs_what_was_asked_for() -> None:
    with make_engine() as engine:
        with WorkflowManager(engine) as manager:
            manager.on("orders.*", "bill", currency="USD")
            manager.on_workflow("orders.new", FLOW)
            engine.run("order", "tea")
        assert engine.state.domain.bills == ["orders.new tea USD"]
        assert engine.state.domain.sent == ["tea"]
        assert manager.failures == []
        assert manager.pending == 0


def test_every_signal_is_handled_once_however_many_come() -> None:
    with make_engine() as engine, ThreadExecutor(4) as executor:
        with WorkflowManager(engine, executor) as manager:
            manager.on("orders.new", pack)
            for number in range(50):
                engine.run("order", str(number))
        assert engine.state.domain.packed == 50
        assert len(engine.state.domain.orders) == 50


def test_dispatch_needs_no_signal_and_no_start() -> None:
    with make_engine() as engine:
        manager = WorkflowManager(engine)
        manager.on("orders.*", "bill")
        manager.dispatch("orders.by_hand", {"item": "milk"})
        manager.dispatch("other", {"item": "none"})
        assert manager.join(30)
        assert engine.state.domain.bills == ["orders.by_hand milk EUR"]
        manager.stop()


def test_a_failure_is_kept_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="theus.orchestrator"), make_engine() as engine:
        with WorkflowManager(engine, keep=2) as manager:
            manager.on("**", "fail")
            manager.on("**", "pack")
            for number in range(3):
                manager.dispatch(f"n{number}")
        assert engine.state.domain.packed == 3
    assert len(manager.failures) == 2
    failure = manager.failures[-1]
    assert failure.action == "fail"
    assert isinstance(failure.error, LookupError)
    assert "fail failed for the signal" in caplog.text


def test_a_machine_follows_the_signals_it_knows() -> None:
    table = {"idle": {"orders.new": "busy"}, "busy": {"orders.done": "idle"}}
    with make_engine() as engine:
        machine = StateMachine(table, "idle")
        with WorkflowManager(engine, machine=machine) as manager:
            manager.on_state("busy", "bill")
            for item in ("tea", "cake"):
                manager.dispatch("orders.new", {"item": item})
            manager.dispatch("unknown")
            manager.dispatch("orders.done")
            manager.dispatch("orders.new", {"item": "milk"})
        assert sorted(engine.state.domain.bills) == ["orders.new milk EUR", "orders.new tea EUR"]
        assert [move.new for move in machine.history] == ["busy", "idle", "busy"]


def test_states_of_no_machine_are_refused() -> None:
    with make_engine() as engine, WorkflowManager(engine) as manager:
        with pytest.raises(SettingsError, match="no machine with a state 'busy'"):
            manager.on_state("busy", "bill")
        with pytest.raises(PathError):
            manager.on("a..b", "bill")


def test_the_parts_of_others_are_left_running() -> None:
    with make_engine() as engine, ThreadExecutor(1) as executor, SignalBus(engine.signal) as bus:
        with WorkflowManager(engine, executor, bus) as manager:
            manager.on("n", "pack")
        bus.emit("n")
        assert bus.running
        assert executor.submit(len, "abc").result() == 3
    assert engine.state.domain.packed == 0


def test_after_the_end_nothing_is_taken() -> None:
    with make_engine() as engine:
        manager = WorkflowManager(engine)
        manager.start()
        manager.start()
        manager.stop()
        manager.stop()
        with pytest.raises(EngineClosedError, match="was stopped"):
            manager.dispatch("n")
        with pytest.raises(EngineClosedError):
            manager.start()


def test_stopping_completes_what_runs_and_what_is_there() -> None:
    gate = threading.Event()
    with make_engine() as engine:

        @process(outputs=["domain.packed"])
        def slow(ctx: Any) -> int:
            gate.wait(30)
            return 7

        engine.register(slow)
        manager = WorkflowManager(engine)
        manager.on("orders.new", "slow")
        manager.start()
        engine.run("order", "tea")
        stopper = threading.Thread(target=manager.stop)
        stopper.start()
        assert engine.state.domain.packed == 0
        gate.set()
        stopper.join(30)
        assert engine.state.domain.packed == 7


def test_an_action_may_stop_its_manager() -> None:
    with make_engine() as engine:
        manager = WorkflowManager(engine)

        @process(outputs=["domain.packed"])
        def last(ctx: Any) -> int:
            manager.stop()
            return 9

        engine.register(last)
        manager.on("end", "last")
        manager.start()
        manager.dispatch("end")
        assert manager.join(30)
        assert engine.state.domain.packed == 9
        assert manager.failures == []
        manager.stop()
