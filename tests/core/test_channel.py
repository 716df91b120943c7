"""The compiled broadcast: one ring, a cursor per receiver, no message missed or doubled."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from theus._core.channel import LARGEST, Hub
from theus._core.receiver import Receiver
from theus.errors import (
    SettingsError,
    SignalClosedError,
    SignalLaggedError,
    SignalTimeoutError,
)

JOIN = 30


def test_every_receiver_gets_every_message_in_order():
    hub = Hub()
    first, second = Receiver(hub), Receiver(hub)
    assert [hub.publish(number) for number in range(3)] == [2, 2, 2]
    assert first.drain() == [0, 1, 2]
    assert [second.recv(), second.recv(), second.try_recv()] == [0, 1, 2]


def test_publishing_to_nobody_keeps_nothing():
    hub = Hub()
    assert hub.publish("lost") == 0
    assert Receiver(hub).drain() == []


def test_a_receiver_hears_what_comes_after_it_joined():
    hub = Hub()
    early = Receiver(hub)
    hub.publish("a")
    late = Receiver(hub)
    hub.publish("b")
    assert (early.drain(), late.drain()) == (["a", "b"], ["b"])


def test_publish_many_is_in_order_and_wakes_once():
    hub = Hub()
    receiver = Receiver(hub)
    woken = []
    receiver.enlist(lambda: woken.append(receiver.pending))
    assert hub.publish_many(iter("abc")) == 1
    assert receiver.drain() == ["a", "b", "c"]
    assert woken == [3]


def test_try_recv_gives_the_default_when_there_is_nothing():
    receiver = Receiver(Hub())
    assert receiver.try_recv() is None
    assert receiver.try_recv("nothing") == "nothing"


def test_none_is_a_message_like_any_other():
    hub = Hub()
    receiver = Receiver(hub)
    hub.publish(None)
    assert receiver.try_recv("nothing") is None
    assert receiver.try_recv("nothing") == "nothing"


def test_who_falls_behind_learns_how_many_were_missed_and_goes_on():
    hub = Hub(3)
    receiver = Receiver(hub)
    for number in range(8):
        hub.publish(number)
    assert receiver.pending == 3
    with pytest.raises(SignalLaggedError, match="missed 5") as caught:
        receiver.recv()
    assert isinstance(caught.value, RuntimeError)
    assert (caught.value.missed, receiver.missed) == (5, 5)
    assert [receiver.recv() for _ in range(3)] == [5, 6, 7]


@pytest.mark.parametrize("receive", ["recv", "try_recv", "drain", "recv_batch", "__next__"])
def test_every_form_reports_the_loss_once(receive):
    hub = Hub(2)
    receiver = Receiver(hub)
    hub.publish_many(range(5))
    with pytest.raises(SignalLaggedError):
        getattr(receiver, receive)()
    assert receiver.drain() == [3, 4]


def test_exactly_its_capacity_behind_is_not_too_far():
    hub = Hub(3)
    receiver = Receiver(hub)
    hub.publish_many(range(3))
    assert receiver.drain() == [0, 1, 2]


def test_a_receiver_may_have_its_own_capacity():
    hub = Hub(2)
    small, large = Receiver(hub), Receiver(hub, 10)
    hub.publish_many(range(10))
    assert large.drain() == list(range(10))
    with pytest.raises(SignalLaggedError, match="missed 8"):
        small.drain()
    assert small.drain() == [8, 9]


def test_a_larger_receiver_leaves_what_others_wait_for():
    hub = Hub(4)
    first = Receiver(hub)
    hub.publish_many(range(100, 107))
    Receiver(hub, 50)
    with pytest.raises(SignalLaggedError, match="missed 3"):
        first.drain()
    assert first.drain() == [103, 104, 105, 106]


def test_recv_batch_takes_what_is_there_up_to_the_limit():
    hub = Hub()
    receiver = Receiver(hub)
    hub.publish_many(range(5))
    assert receiver.recv_batch(2) == [0, 1]
    assert receiver.recv_batch() == [2, 3, 4]
    with pytest.raises(SignalTimeoutError):
        receiver.recv_batch(timeout=0)


def test_drain_stops_at_its_limit():
    hub = Hub()
    receiver = Receiver(hub)
    hub.publish_many(range(5))
    assert receiver.drain(3) == [0, 1, 2]
    assert receiver.drain(3) == [3, 4]
    assert receiver.drain(3) == []


def test_recv_gives_up_after_its_timeout():
    receiver = Receiver(Hub())
    for timeout in (0, 0.01):
        with pytest.raises(SignalTimeoutError) as caught:
            receiver.recv(timeout)
        assert isinstance(caught.value, TimeoutError)


def test_a_message_that_is_there_needs_no_time():
    hub = Hub()
    receiver = Receiver(hub)
    hub.publish("x")
    assert receiver.recv(timeout=0) == "x"


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1"])
def test_a_timeout_that_makes_no_sense_is_refused(timeout):
    with pytest.raises(SettingsError, match="timeout"):
        Receiver(Hub()).recv(timeout)


@pytest.mark.parametrize("capacity", [0, -3, 1.0, "9", True, LARGEST + 1])
def test_a_capacity_that_makes_no_sense_is_refused(capacity):
    with pytest.raises(SettingsError, match="capacity"):
        Hub(capacity)
    hub = Hub()
    with pytest.raises(SettingsError, match="capacity"):
        Receiver(hub, capacity)
    assert hub.subscribers == 0


@pytest.mark.parametrize("limit", [0, -1, "2"])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(SettingsError, match="limit"):
        Receiver(Hub()).drain(limit)


# --- leaving and closing ------------------------------------------------------------------


def test_closing_the_hub_lets_receivers_finish():
    hub = Hub()
    receiver = Receiver(hub)
    hub.publish_many("ab")
    hub.close()
    assert hub.publish("too late") == 0
    assert not receiver.closed
    assert list(receiver) == ["a", "b"]
    assert receiver.closed
    for receive in (receiver.recv, receiver.try_recv, receiver.recv_batch):
        with pytest.raises(SignalClosedError):
            receive()
    assert receiver.drain() == []
    with pytest.raises(SignalClosedError, match="closed"):
        Receiver(hub)


def test_a_closed_receiver_has_left():
    hub = Hub()
    with Receiver(hub) as receiver:
        hub.publish("x")
        assert hub.subscribers == 1
    assert hub.subscribers == 0
    assert (receiver.closed, receiver.pending, receiver.drain()) == (True, 0, [])
    with pytest.raises(SignalClosedError):
        receiver.recv()
    receiver.close()
    assert hub.subscribers == 0


def test_a_receiver_that_nobody_holds_has_left():
    hub = Hub()
    receiver = Receiver(hub)
    kept = Receiver(hub)
    del receiver
    assert hub.publish("x") == 1
    assert kept.recv() == "x"


def test_messages_go_with_the_last_receiver():
    class Payload:
        pass

    hub = Hub()
    receiver = Receiver(hub)
    payload = Payload()
    watched = weakref.ref(payload)
    hub.publish(payload)
    del payload
    assert watched() is not None
    receiver.close()
    assert watched() is None


def test_a_cycle_of_hub_message_and_receiver_is_collected():
    gc.collect()
    hub = Hub()
    receiver = Receiver(hub)
    hub.publish([receiver, hub])
    watched = [weakref.ref(hub), weakref.ref(receiver)]
    del hub, receiver
    gc.collect()
    assert [watch() for watch in watched] == [None, None]


def test_a_destructor_may_publish_to_the_hub_that_releases_it():
    class Last:
        def __del__(self):
            hub.publish("last words")

    hub = Hub(2)
    receiver = Receiver(hub)
    hub.publish(Last())
    hub.publish("a")
    hub.publish("b")
    with pytest.raises(SignalLaggedError, match="missed 2"):
        receiver.drain()
    assert receiver.drain() == ["b", "last words"]


def test_a_receiver_cannot_be_made_without_a_hub():
    with pytest.raises(TypeError):
        Receiver(None)


# --- waiting ------------------------------------------------------------------------------


def in_thread(call):
    """Run `call` in a thread; gives the thread and the list its result or error goes to."""
    result = []

    def run():
        try:
            result.append(call())
        except SignalClosedError as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def until_waiting(hub, call):
    """Start `call(receiver)` in a thread; comes back when it has left a waiter with the hub."""
    waiting = threading.Event()

    class Watched(Receiver):
        def enlist(self, wake):
            super().enlist(wake)
            waiting.set()

    watched = Watched(hub)
    thread, result = in_thread(lambda: call(watched))
    assert waiting.wait(JOIN)
    return watched, thread, result


def test_a_waiting_thread_is_woken_by_a_message():
    hub = Hub()
    _, thread, result = until_waiting(hub, lambda receiver: receiver.recv())
    hub.publish("x")
    thread.join(JOIN)
    assert result == ["x"]


def test_a_waiting_thread_is_woken_by_the_end_of_the_hub():
    hub = Hub()
    _, thread, result = until_waiting(hub, lambda receiver: receiver.recv())
    hub.close()
    thread.join(JOIN)
    assert isinstance(result[0], SignalClosedError)


def test_a_waiting_thread_is_woken_when_its_receiver_is_closed():
    hub = Hub()
    receiver, thread, result = until_waiting(hub, lambda receiver: receiver.recv())
    receiver.close()
    thread.join(JOIN)
    assert isinstance(result[0], SignalClosedError)


def test_another_receiver_that_leaves_does_not_end_a_wait():
    hub = Hub()
    other = Receiver(hub)
    _, thread, result = until_waiting(hub, lambda receiver: receiver.recv())
    other.close()
    assert not result
    hub.publish("x")
    thread.join(JOIN)
    assert result == ["x"]


def test_a_waiter_is_called_once_and_not_after_it_was_withdrawn():
    hub = Hub()
    receiver = Receiver(hub)
    calls = []

    def first():
        calls.append("first")

    def second():
        calls.append("second")

    receiver.enlist(first)
    receiver.enlist(second)
    receiver.withdraw(second)
    hub.publish(1)
    hub.publish(2)
    assert calls == ["first"]


def test_a_waiter_that_fails_does_not_keep_the_others_asleep():
    hub = Hub()
    receiver = Receiver(hub)
    calls = []

    def bad():
        raise ZeroDivisionError

    receiver.enlist(bad)
    receiver.enlist(lambda: calls.append("woken"))
    with pytest.raises(ZeroDivisionError):
        hub.publish("x")
    assert calls == ["woken"]
    assert receiver.drain() == ["x"]


def test_timed_out_waits_leave_nothing_with_the_hub():
    hub = Hub()
    receiver = Receiver(hub)
    for _ in range(50):
        with pytest.raises(SignalTimeoutError):
            receiver.recv(0)
    assert len(hub.waiters) == 0


def test_threads_lose_and_double_nothing():
    publishers, receivers, each = 4, 4, 500
    hub = Hub(publishers * each)
    ends = [Receiver(hub) for _ in range(receivers)]
    listening = [in_thread(lambda end=end: list(end)) for end in ends]
    sending = [
        in_thread(lambda who=who: [hub.publish((who, number)) for number in range(each)])
        for who in range(publishers)
    ]
    for thread, _ in sending:
        thread.join(JOIN)
    hub.close()
    for thread, _ in listening:
        thread.join(JOIN)
    results = [result[0] for _, result in listening]
    assert all(result == results[0] for result in results)
    for who in range(publishers):
        assert [n for w, n in results[0] if w == who] == list(range(each))


def test_receivers_shared_by_threads_give_each_message_once():
    hub = Hub(2000)
    shared = Receiver(hub)
    listening = [in_thread(lambda: list(shared)) for _ in range(4)]
    hub.publish_many(range(1000))
    for number in range(1000, 2000):
        hub.publish(number)
    hub.close()
    for thread, _ in listening:
        thread.join(JOIN)
    received = [message for _, result in listening for message in result[0]]
    assert sorted(received) == list(range(2000))


# --- against a model ----------------------------------------------------------------------


class ChannelModel(RuleBasedStateMachine):
    """Every receiver against a deque of its own that keeps the newest of its capacity."""

    def __init__(self):
        super().__init__()
        self.hub = Hub(3)
        self.sent = 0
        self.ends = []

    @precondition(lambda self: len(self.ends) < 5)
    @rule(capacity=st.one_of(st.none(), st.integers(1, 12)))
    def join(self, capacity):
        self.ends.append([Receiver(self.hub, capacity), deque(maxlen=capacity or 3), 0])

    @rule(count=st.integers(1, 9))
    def publish(self, count):
        for _ in range(count):
            self.sent += 1
            assert self.hub.publish(self.sent) == len(self.ends)
            for end in self.ends:
                end[2] += len(end[1]) == end[1].maxlen
                end[1].append(self.sent)

    def lagged(self, end, call):
        if not end[2]:
            return False
        with pytest.raises(SignalLaggedError) as caught:
            call()
        assert caught.value.missed == end[2]
        end[2] = 0
        return True

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def receive_one(self, data):
        end = data.draw(st.sampled_from(self.ends))
        receiver, expected, _ = end
        if not self.lagged(end, receiver.try_recv):
            assert receiver.try_recv("none") == (expected.popleft() if expected else "none")

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), limit=st.one_of(st.none(), st.integers(1, 5)))
    def drain(self, data, limit):
        end = data.draw(st.sampled_from(self.ends))
        receiver, expected, _ = end
        if not self.lagged(end, receiver.drain):
            count = len(expected) if limit is None else min(limit, len(expected))
            assert receiver.drain(limit) == [expected.popleft() for _ in range(count)]

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def leave(self, data):
        end = data.draw(st.sampled_from(self.ends))
        self.ends.remove(end)
        end[0].close()

    @invariant()
    def counts_agree(self):
        assert self.hub.subscribers == len(self.ends)
        assert [end[0].pending for end in self.ends] == [len(end[1]) for end in self.ends]


TestChannelModel = ChannelModel.TestCase


@given(capacity=st.integers(1, 70), sent=st.integers(0, 200))
def test_wrapping_around_keeps_the_newest(capacity, sent):
    hub = Hub(capacity)
    receiver = Receiver(hub)
    hub.publish_many(range(sent))
    if sent > capacity:
        with pytest.raises(SignalLaggedError) as caught:
            receiver.drain()
        assert caught.value.missed == sent - capacity
    assert receiver.drain() == list(range(max(0, sent - capacity), sent))


def test_reprs_say_what_is_going_on():
    hub = Hub(2)
    receiver = Receiver(hub)
    hub.publish("a")
    assert repr(hub) == "<Hub 1 subscribers, 1 sent>"
    assert repr(receiver) == "<Receiver 1 pending, 0 missed>"
    hub.close()
    receiver.close()
    assert (repr(hub), repr(receiver)) == (
        "<Hub 0 subscribers, 1 sent, closed>",
        "<Receiver closed, 0 missed>",
    )
