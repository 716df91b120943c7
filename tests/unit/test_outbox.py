"""The outbox: collecting, order, delivery once, failures, the relay."""

from __future__ import annotations

import dataclasses
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus.errors import (
    OutboxError,
    ReentryError,
    SettingsError,
    TransactionStateError,
    UnsupportedValueError,
)
from theus.outbox import Outbox, OutboxCollector, OutboxMsg

JOIN = 30


def messages(*payloads):
    return [OutboxMsg("topic", payload) for payload in payloads]


def payloads(items):
    return [message.payload for message in items]


# --- messages -----------------------------------------------------------------------------


def test_a_message_has_topic_payload_and_an_id_of_its_own():
    first, second = OutboxMsg("mail", {"to": "x"}), OutboxMsg("mail", {"to": "x"})
    assert (first.topic, first.payload, first.key) == ("mail", {"to": "x"}, None)
    assert first.id != second.id
    assert first != second
    assert len({OutboxMsg("t", 0).id for _ in range(1000)}) == 1000


def test_the_id_stays_when_a_message_travels():
    message = OutboxMsg("mail", [1, 2], key="customer 7")
    copy = pickle.loads(pickle.dumps(message))
    assert copy == message
    assert (copy.topic, copy.payload, copy.key, copy.id) == (
        message.topic,
        message.payload,
        "customer 7",
        message.id,
    )
    assert dataclasses.replace(message, payload=[]).id == message.id
    assert hash(copy) == hash(message)


def test_a_message_cannot_be_changed():
    message = OutboxMsg("mail", 1)
    for name in ("topic", "payload", "id", "key"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(message, name, "other")


@pytest.mark.parametrize("topic", ["", None, 5, b"x"])
def test_a_topic_must_be_a_text(topic):
    with pytest.raises(UnsupportedValueError, match="topic") as caught:
        OutboxMsg(topic, 1)
    assert isinstance(caught.value, TypeError)


def test_an_id_must_be_a_text():
    with pytest.raises(UnsupportedValueError, match="id"):
        OutboxMsg("t", 1, id="")


# --- collecting ---------------------------------------------------------------------------


def test_the_collector_keeps_order_and_can_be_cut():
    collector = OutboxCollector()
    sent = messages(1, 2, 3)
    for message in sent:
        collector.add(message)
    assert (len(collector), list(collector)) == (3, sent)
    collector._truncate(5)
    assert list(collector) == sent
    collector._truncate(1)
    assert list(collector) == sent[:1]
    collector.add(sent[2])
    assert payloads(collector._close("committed")) == [1, 3]


def test_a_length_cannot_be_negative():
    with pytest.raises(ValueError, match="negative"):
        OutboxCollector()._truncate(-1)


@pytest.mark.parametrize("wrong", [None, "text", ("topic", 1), {"topic": "t"}])
def test_only_messages_can_be_queued(wrong):
    with pytest.raises(UnsupportedValueError, match="OutboxMsg"):
        OutboxCollector().add(wrong)


def test_after_the_end_nothing_can_be_queued_and_nothing_is_given_twice():
    collector = OutboxCollector()
    collector.add(OutboxMsg("t", 1))
    assert len(collector._close("rolled back")) == 1
    assert (collector._close("again"), len(collector)) == ((), 0)
    collector._close("rolled back")
    with pytest.raises(TransactionStateError, match="rolled back") as caught:
        collector.add(OutboxMsg("t", 2))
    assert caught.value.status == "rolled back"


def test_payloads_are_detached_when_they_are_queued():
    collector = OutboxCollector(detach=list)
    payload = [1]
    message = OutboxMsg("t", payload, key="k")
    collector.add(message)
    payload.append(2)
    [queued] = collector
    assert (queued.payload, queued.id, queued.key) == ([1], message.id, "k")


def test_a_payload_that_cannot_be_detached_is_not_queued():
    def refuse(payload):
        raise UnsupportedValueError("no", path="outbox")

    collector = OutboxCollector(detach=refuse)
    with pytest.raises(UnsupportedValueError):
        collector.add(OutboxMsg("t", 1))
    assert len(collector) == 0


def test_threads_that_add_while_it_ends_lose_nothing_silently():
    collector = OutboxCollector()
    started = threading.Barrier(5)

    def add(who):
        accepted = []
        started.wait(JOIN)
        for number in range(2000):
            try:
                collector.add(OutboxMsg("t", (who, number)))
            except TransactionStateError:
                break
            accepted.append((who, number))
        return accepted

    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(add, who) for who in range(4)]
        started.wait(JOIN)
        while len(collector) < 100:
            pass
        taken = collector._close("committed")
    accepted = [one for future in adding for one in future.result()]
    assert sorted(payloads(taken)) == sorted(accepted)


# --- delivering ---------------------------------------------------------------------------


def test_without_a_worker_messages_stay():
    outbox = Outbox()
    outbox.publish(messages(1, 2))
    assert outbox.process_outbox() == 0
    assert payloads(outbox) == [1, 2]
    got = []
    outbox.attach_worker(got.append)
    assert outbox.process_outbox() == 2
    assert payloads(got) == [1, 2]


def test_messages_are_delivered_in_order_and_once():
    outbox, got = Outbox(), []
    outbox.attach_worker(got.append)
    outbox.publish(messages(1, 2))
    outbox.publish([])
    outbox.publish(iter(messages(3)))
    assert (outbox.process_outbox(), outbox.process_outbox()) == (3, 0)
    assert payloads(got) == [1, 2, 3]
    assert (len(outbox), outbox.delivered) == (0, 3)


def test_a_limit_delivers_no_more():
    outbox, got = Outbox(), []
    outbox.attach_worker(got.append)
    outbox.publish(messages(1, 2, 3))
    assert outbox.process_outbox(2) == 2
    assert payloads(outbox) == [3]


def test_a_worker_that_raises_leaves_its_message_first_in_the_queue():
    outbox, got = Outbox(), []
    broken = True

    def worker(message):
        if broken and message.payload == 2:
            raise ConnectionError("no route")
        got.append(message)

    sent = messages(1, 2, 3)
    outbox.attach_worker(worker)
    outbox.publish(sent)
    for delivered in (1, 0):
        with pytest.raises(OutboxError, match="no route") as caught:
            outbox.process_outbox()
        assert isinstance(caught.value.__cause__, ConnectionError)
        assert caught.value.message_id == sent[1].id
        assert (caught.value.topic, caught.value.delivered) == ("topic", delivered)
        assert list(outbox) == sent[1:]
    broken = False
    assert outbox.process_outbox() == 2
    assert got == sent


def test_an_interrupt_passes_through_and_the_message_stays():
    outbox = Outbox()
    outbox.publish(messages(1))

    def worker(message):
        raise KeyboardInterrupt

    outbox.attach_worker(worker)
    with pytest.raises(KeyboardInterrupt):
        outbox.process_outbox()
    assert len(outbox) == 1
    outbox.attach_worker(lambda message: None)
    assert outbox.process_outbox() == 1


@given(
    batches=st.lists(st.lists(st.integers(), max_size=4), max_size=8),
    failing=st.sets(st.integers(0, 20)),
)
def test_whatever_fails_each_message_is_delivered_once_and_in_order(batches, failing):
    outbox, got, calls = Outbox(), [], 0

    def worker(message):
        nonlocal calls
        calls += 1
        if calls in failing:
            raise ValueError(calls)
        got.append(message)

    outbox.attach_worker(worker)
    sent = []
    for batch in batches:
        made = messages(*batch)
        sent += made
        outbox.publish(made)
        before = len(got)
        try:
            count = outbox.process_outbox()
        except OutboxError as error:
            count = error.delivered
        assert count == len(got) - before
    while len(outbox):
        try:
            outbox.process_outbox()
        except OutboxError:
            continue
    assert got == sent


async def deliver_later(message):
    """Would never run if it were only called."""


class AsyncWorker:
    async def __call__(self, message):
        """Would never run if it were only called."""


@pytest.mark.parametrize("worker", ["mail", 5, deliver_later, AsyncWorker()])
def test_what_cannot_deliver_is_refused(worker):
    outbox = Outbox()
    with pytest.raises(SettingsError, match="worker"):
        outbox.attach_worker(worker)
    assert outbox.worker is None


def test_a_worker_that_gives_a_coroutine_has_not_delivered():
    outbox = Outbox()
    outbox.publish(messages(1))
    outbox.attach_worker(lambda message: deliver_later(message))
    with pytest.raises(OutboxError, match="awaitable"):
        outbox.process_outbox()
    assert len(outbox) == 1


def test_a_worker_can_be_taken_away():
    outbox, got = Outbox(), []
    outbox.attach_worker(got.append)
    outbox.attach_worker(None)
    outbox.publish(messages(1))
    assert (outbox.process_outbox(), got) == (0, [])


def test_a_worker_may_queue_but_not_deliver():
    outbox, got = Outbox(), []

    def worker(message):
        got.append(message.payload)
        if message.payload == 1:
            outbox.publish(messages("from the worker"))
            with pytest.raises(ReentryError):
                outbox.process_outbox()

    outbox.attach_worker(worker)
    outbox.publish(messages(1, 2))
    assert outbox.process_outbox() == 2
    assert got == [1, 2]
    assert outbox.process_outbox() == 1
    assert got == [1, 2, "from the worker"]


def test_threads_that_publish_and_deliver_lose_and_double_nothing():
    outbox, got = Outbox(), []
    outbox.attach_worker(lambda message: got.append(message.payload))

    def publish(who):
        for number in range(200):
            outbox.publish(messages((who, number, 0), (who, number, 1)))

    with ThreadPoolExecutor(8) as pool:
        publishing = [pool.submit(publish, who) for who in range(4)]
        delivering = [pool.submit(outbox.process_outbox) for _ in range(50)]
        for future in publishing:
            future.result(JOIN)
        delivered = sum(future.result(JOIN) for future in delivering)
    assert delivered + outbox.process_outbox() == outbox.delivered == len(got) == 1600
    for who in range(4):
        mine = [(number, part) for w, number, part in got if w == who]
        assert mine == [(number, part) for number in range(200) for part in (0, 1)]
    assert all(
        got[at + 1] == (who, number, 1) for at, (who, number, part) in enumerate(got) if not part
    )


# --- the relay ----------------------------------------------------------------------------


@pytest.fixture
def outbox():
    """An outbox whose relay is stopped afterwards."""
    outbox = Outbox()
    yield outbox
    outbox.stop_relay(drain=False)


def test_the_relay_delivers_what_comes(outbox):
    got, enough = [], threading.Event()

    def worker(message):
        got.append(message.payload)
        if len(got) == 4:
            enough.set()

    outbox.publish(messages(1))
    outbox.start_relay()
    outbox.start_relay()
    assert outbox.relay_running
    outbox.attach_worker(worker)
    outbox.publish(messages(2, 3))
    outbox.publish(messages(4))
    assert enough.wait(JOIN)
    assert outbox.stop_relay() == 0
    assert not outbox.relay_running
    assert got == [1, 2, 3, 4]
    assert [t for t in threading.enumerate() if t.name == "theus-outbox"] == []


def test_stopping_drains_first(outbox):
    got = []
    outbox.attach_worker(lambda message: got.append(message.payload))
    outbox.start_relay()
    for number in range(500):
        outbox.publish(messages(number))
    assert outbox.stop_relay() == 0
    assert got == list(range(500))
    outbox.publish(messages("later"))
    assert outbox.stop_relay() == 1


def test_stopping_without_drain_leaves_the_rest(outbox):
    inside, go_on = threading.Event(), threading.Event()

    def worker(message):
        inside.set()
        assert go_on.wait(JOIN)

    outbox.attach_worker(worker)
    outbox.publish(messages(1, 2, 3))
    outbox.start_relay()
    assert inside.wait(JOIN)
    assert outbox.stop_relay(drain=False, timeout=0) == 3
    go_on.set()
    assert outbox.process_outbox(0) == 0
    assert payloads(outbox) == [2, 3]


def test_the_relay_tries_again_and_says_what_failed(outbox, caplog):
    got, done, failures = [], threading.Event(), []

    def worker(message):
        if message.payload == 2 and len(failures) < 3:
            failures.append(outbox.relay_error)
            raise ConnectionError("no route")
        got.append(message.payload)
        if message.payload == 3:
            done.set()

    outbox.attach_worker(worker)
    outbox.publish(messages(1, 2, 3))
    with caplog.at_level(logging.WARNING, "theus.outbox"):
        outbox.start_relay(retry_delay=0.001, longest_delay=0.002)
        assert done.wait(JOIN)
        assert outbox.stop_relay() == 0
    assert got == [1, 2, 3]
    assert failures[0] is None
    assert all(isinstance(error, OutboxError) for error in failures[1:])
    assert [record.name for record in caplog.records] == ["theus.outbox"] * 3
    assert outbox.relay_error is None


def test_a_drain_ends_at_a_failure(outbox, caplog):
    failed = threading.Event()

    def worker(message):
        failed.set()
        raise ConnectionError("no route")

    outbox.attach_worker(worker)
    outbox.publish(messages(1, 2))
    with caplog.at_level(logging.CRITICAL, "theus.outbox"):
        outbox.start_relay(retry_delay=5.0, longest_delay=5.0)
        assert failed.wait(JOIN)
        assert outbox.stop_relay() == 2


def test_the_worker_cannot_stop_the_relay_that_runs_it(outbox):
    seen, done = [], threading.Event()

    def worker(message):
        try:
            outbox.stop_relay()
        except ReentryError as error:
            seen.append(error)
        done.set()

    outbox.attach_worker(worker)
    outbox.publish(messages(1))
    outbox.start_relay()
    assert done.wait(JOIN)
    assert outbox.stop_relay() == 0
    assert len(seen) == 1


@pytest.mark.parametrize("delays", [(0, 1), (-1, 1), (2, 1)])
def test_delays_that_make_no_sense_are_refused(outbox, delays):
    with pytest.raises(SettingsError, match="retry_delay"):
        outbox.start_relay(retry_delay=delays[0], longest_delay=delays[1])
    assert not outbox.relay_running


def test_reprs_say_what_waits():
    outbox = Outbox()
    outbox.publish(messages(1))
    assert repr(outbox) == "<Outbox 1 waiting, 0 delivered, no worker>"
    collector = OutboxCollector()
    collector.add(OutboxMsg("t", 1))
    assert repr(collector) == "<OutboxCollector 1 messages>"
