"""Handlers of signals: who is called, in which order, and what errors do."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from theus import SignalHub, TheusEngine, process
from theus.errors import PathError, SignalClosedError
from theus.orchestrator import SignalBus


class Heard(list[Any]):
    """Collects what a handler gets."""

    def __call__(self, signal: Any) -> None:
        self.append((signal.topic, signal.payload))

    @property
    def topics(self) -> list[str]:
        return [topic for topic, _ in self]


def test_handlers_hear_their_topics_in_order() -> None:
    orders, everything, exact = Heard(), Heard(), Heard()
    with SignalBus() as bus:
        assert bus.running
        bus.subscribe("orders.*", orders)
        bus.subscribe("**", everything)
        bus.subscribe("orders", exact)
        for topic in ("orders.new", "stock", "orders", "orders.new.late", "orders.paid"):
            bus.emit(topic, {"n": topic})
    assert orders.topics == ["orders.new", "orders.paid"]
    assert everything.topics == ["orders.new", "stock", "orders", "orders.new.late", "orders.paid"]
    assert exact == [("orders", {"n": "orders"})]
    assert not bus.running


def test_stopping_delivers_what_is_there() -> None:
    heard, gate = Heard(), threading.Event()
    bus = SignalBus()
    bus.subscribe("first", lambda _: gate.wait(30))
    bus.subscribe("n", heard)
    bus.start()
    bus.emit("first")
    for number in range(1000):
        bus.emit("n", number)
    assert bus.stop(timeout=0) is False
    bus.emit("n", "too late")
    gate.set()
    assert bus.stop() is True
    assert [payload for _, payload in heard] == list(range(1000))


def test_a_bus_can_be_started_again() -> None:
    heard = Heard()
    bus = SignalBus()
    bus.subscribe("n", heard)
    assert bus.stop() is True
    bus.emit("n", 0)
    for number in (1, 2):
        bus.start()
        bus.start()
        bus.emit("n", number)
        bus.stop()
    assert [payload for _, payload in heard] == [1, 2]


def test_texts_are_signals_too_and_other_objects_are_not() -> None:
    heard = Heard()
    with SignalBus() as bus:
        bus.subscribe("**", heard)
        for message in ("topic:pay:load", "bare", {"no": "topic"}, 5):
            bus.hub.publish(message)
    assert heard == [("topic", "pay:load"), ("bare", "")]


def test_a_cancelled_handler_is_not_called() -> None:
    heard, other = Heard(), Heard()
    with SignalBus() as bus:
        subscription = bus.subscribe("n", heard)
        bus.subscribe("n", other)
        subscription.cancel()
        subscription.cancel()
        bus.emit("n")
    assert (heard.topics, other.topics) == ([], ["n"])


def test_a_handler_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    failed: list[Any] = []

    def broken(signal: Any) -> None:
        raise ValueError(signal.payload)

    with caplog.at_level(logging.ERROR, logger="theus.orchestrator"):
        bus = SignalBus(on_error=lambda signal, error: failed.append((signal.topic, str(error))))
        with bus:
            bus.subscribe("n", broken)
            bus.subscribe("n", heard)
            bus.emit("n", 1)
            bus.emit("n", 2)
    assert heard == [("n", 1), ("n", 2)]
    assert failed == [("n", "1"), ("n", "2")]
    assert len(caplog.records) == 2


def test_what_on_error_raises_disturbs_nobody_either(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def raising(*_: Any) -> None:
        raise ZeroDivisionError

    with SignalBus(on_error=raising) as bus:
        bus.subscribe("n", raising)
        bus.subscribe("n", heard)
        bus.emit("n", 1)
        bus.emit("n", 2)
    assert heard == [("n", 1), ("n", 2)]
    assert caplog.records


def test_lost_signals_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    heard, gate, entered = Heard(), threading.Event(), threading.Event()

    def first(_: Any) -> None:
        entered.set()
        gate.wait(30)

    with SignalBus(capacity=10) as bus:
        bus.subscribe("first", first)
        bus.subscribe("n", heard)
        bus.emit("first")
        entered.wait(30)
        for number in range(25):
            bus.emit("n", number)
        gate.set()
    assert [payload for _, payload in heard] == list(range(15, 25))
    assert bus.missed == 15
    assert "15 signals were lost" in caplog.text


def test_a_handler_may_stop_the_bus_and_emit() -> None:
    heard = Heard()
    bus = SignalBus()
    bus.subscribe("a", lambda signal: bus.emit("b", signal.payload))
    bus.subscribe("b", lambda _: bus.stop())
    bus.subscribe("b", heard)
    bus.start()
    thread = bus._thread
    bus.emit("a", 1)
    assert thread is not None
    thread.join(30)
    assert not bus.running
    assert heard == [("b", 1)]


def test_it_ends_with_its_hub_and_does_not_start_on_a_closed_one() -> None:
    hub = SignalHub()
    heard = Heard()
    bus = SignalBus(hub)
    bus.subscribe("n", heard)
    bus.start()
    bus.emit("n", 1)
    hub.close()
    assert bus.stop() is True
    assert heard == [("n", 1)]
    with pytest.raises(SignalClosedError):
        bus.start()


def test_a_malformed_topic_is_refused() -> None:
    with pytest.raises(PathError):
        SignalBus().subscribe("a..b", print)


@process(outputs=["domain.n"])
def bump(ctx: Any, n: int) -> int:
    ctx.signal["n.changed"] = n
    return n


def test_it_hears_commits_and_their_state_can_be_read() -> None:
    seen: list[tuple[int, int]] = []
    with TheusEngine({"domain": {"n": 0}}) as engine:
        with SignalBus(engine.signal) as bus:
            bus.subscribe("n.*", lambda signal: seen.append((signal.payload, engine.state.version)))
            for n in (1, 2, 3):
                engine.run(bump, n)
    assert [payload for payload, _ in seen] == [1, 2, 3]
    assert all(version >= payload + 1 for payload, version in seen)


def test_many_emitters_are_all_heard() -> None:
    heard = Heard()
    with SignalBus() as bus:
        bus.subscribe("n.**", heard)

        def work(number: int) -> None:
            for step in range(200):
                bus.emit(f"n.{number}", step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(heard) == 1600
    for number in range(8):
        assert [step for topic, step in heard if topic == f"n.{number}"] == list(range(200))
