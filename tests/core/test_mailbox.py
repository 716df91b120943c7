"""Receivers that choose topics and policies: what they get, lose, replace, refuse or hold up."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from theus._core.channel import Hub
from theus._core.receiver import Receiver
from theus._core.signal import Signal
from theus.errors import (
    PathError,
    SettingsError,
    SignalClosedError,
    SignalFullError,
    SignalLaggedError,
    SignalTimeoutError,
)

JOIN = 30


def reached(pattern, topic):
    hub = Hub()
    receiver = Receiver(hub, topics=(pattern,))
    count = hub.publish(Signal(topic, 1))
    assert receiver.pending == count
    return bool(count)


# --- topics -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "hears", "ignores"),
    [
        ("stop", ["stop"], ["stop.soon", "Stop", "stopped", "go"]),
        ("orders.new", ["orders.new"], ["orders", "orders.new.eu", "orders.old"]),
        ("orders.*", ["orders.new", "orders.0"], ["orders", "orders.new.eu", "order.new"]),
        ("orders.**", ["orders", "orders.new", "orders.new.eu"], ["order", "x.orders"]),
        ("**", ["a", "a.b", "a.b.c"], []),
        ("*", ["a", "a b"], ["a.b"]),
        ("**.error", ["error", "a.error", "a.b.error"], ["a.error.b", "errors"]),
        ("ord*.n?w", ["orders.new", "ord.now"], ["orders.newer", "rd.new"]),
        ("[ab]_done", ["a_done", "b_done"], ["c_done"]),
        ("global_.x", ["global_.x"], ["global.x"]),
        ("domain_ctx", ["domain_ctx"], ["domain"]),
        ("rows[0]", ["rows.0"], ["rows.1", "rows"]),
        ("job done", ["job done"], ["job"]),
        ('a["*"]', ["a.*"], ["a.b"]),
    ],
)
def test_patterns_of_topics(pattern, hears, ignores):
    assert [topic for topic in hears if not reached(pattern, topic)] == []
    assert [topic for topic in ignores if reached(pattern, topic)] == []


@pytest.mark.parametrize("pattern", ["", "a..b", "a.", ".a", "a.*[", 1, None])
def test_a_malformed_pattern_is_refused(pattern):
    hub = Hub()
    with pytest.raises(PathError):
        Receiver(hub, topics=(pattern,))
    assert hub.subscribers == 0


def test_a_receiver_of_several_topics_gets_each_message_once_and_in_order():
    hub = Hub()
    receiver = Receiver(hub, topics=("a", "b.*", "b.c"))
    for topic in ("a", "b.c", "c", "b.d", "a"):
        hub.publish(f"{topic}:{topic}")
    assert receiver.drain() == ["a:a", "b.c:b.c", "b.d:b.d", "a:a"]


def test_the_topic_of_a_text_stands_before_its_first_colon():
    hub = Hub()
    receiver = Receiver(hub, topics=("a",))
    counts = [hub.publish(text) for text in ("a", "a:b", "a:b:c", "b:a", "", ":a")]
    assert counts == [1, 1, 1, 0, 0, 0]
    assert receiver.drain() == ["a", "a:b", "a:b:c"]


def test_objects_without_a_topic_are_for_those_who_did_not_choose():
    hub = Hub()
    chosen = Receiver(hub, topics=("**",))
    all_of_them = Receiver(hub, policy="coalesce")
    assert hub.publish(7) == 1
    assert (chosen.drain(), all_of_them.drain()) == ([], [7])


def test_publish_says_how_many_get_it():
    hub = Hub()
    receivers = [Receiver(hub), Receiver(hub, topics=("a",)), Receiver(hub, topics=("b",))]
    assert [hub.publish(text) for text in ("a:1", "b:1", "c:1")] == [2, 2, 1]
    assert hub.publish_many(["a:1", "b:1"]) == 3
    del receivers[1]
    assert hub.publish("a:1") == 1


def test_a_message_wakes_only_those_who_want_it():
    hub = Hub()
    receiver = Receiver(hub, topics=("a",))
    woken = []
    receiver.enlist(lambda: woken.append(receiver.pending))
    hub.publish("b:1")
    assert woken == []
    hub.publish_many(["b:2", "a:1", "a:2"])
    assert woken == [2]


# --- forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"topics": ("**",)}], ids=["ring", "mailbox"])
def test_signals_come_as_texts_or_as_objects(options):
    hub = Hub()
    texts, objects = Receiver(hub, **options), Receiver(hub, typed=True, **options)
    sent = Signal("a", [1], 3, "p")
    hub.publish(sent)
    hub.publish("b:x:y")
    assert texts.drain() == ["a:[1]", "b:x:y"]
    assert objects.recv() is sent
    assert objects.recv_batch() == [Signal("b", "x:y")]


def test_an_object_by_hand_is_a_signal_without_topic():
    hub = Hub()
    receiver, thing = Receiver(hub, typed=True), object()
    hub.publish(thing)
    signal = receiver.try_recv()
    assert (signal.topic, signal.payload) == ("", thing)


# --- policies -----------------------------------------------------------------------------


def test_drop_oldest_counts_only_what_it_wanted():
    hub = Hub()
    receiver = Receiver(hub, 2, topics=("a",))
    for number in range(5):
        hub.publish(f"a:{number}")
        hub.publish(f"b:{number}")
    with pytest.raises(SignalLaggedError, match="missed 3") as caught:
        receiver.recv()
    assert (caught.value.missed, receiver.missed) == (3, 3)
    assert receiver.drain() == ["a:3", "a:4"]


@pytest.mark.parametrize("receive", ["recv", "try_recv", "drain", "recv_batch", "__next__"])
def test_every_form_tells_of_the_loss_once(receive):
    hub = Hub()
    receiver = Receiver(hub, 1, topics=("*",))
    hub.publish_many(["a", "b"])
    with pytest.raises(SignalLaggedError):
        getattr(receiver, receive)()
    assert receiver.drain() == ["b"]


def test_coalesce_keeps_the_latest_in_the_place_of_the_first():
    hub = Hub()
    receiver = Receiver(hub, policy="coalesce")
    for text in ("a:1", "b:1", "a:2", "c:1", "b:2", "a:3"):
        assert hub.publish(text) == 1
    assert receiver.coalesced == 3
    assert receiver.drain() == ["a:3", "b:2", "c:1"]
    hub.publish("a:4")
    assert receiver.recv() == "a:4"


@dataclass
class Order:
    id: int
    state: str


@pytest.mark.parametrize("make", [lambda **fields: fields, Order], ids=["dict", "record"])
def test_coalesce_by_a_key_in_the_payload(make):
    hub = Hub()
    receiver = Receiver(hub, policy="coalesce", key="id", typed=True)
    for number, state in ((1, "new"), (2, "new"), (1, "paid"), (1, "sent")):
        hub.publish(Signal("orders", make(id=number, state=state)))
    assert [(s.payload.id, s.payload.state) for s in receiver.drain()] == [(1, "sent"), (2, "new")]


def test_coalesce_by_a_key_further_down_and_where_there_is_none():
    hub = Hub()
    receiver = Receiver(hub, policy="coalesce", key="order.id")
    payloads = [
        {"order": {"id": 1}, "n": 1},
        {"order": {"id": 2}, "n": 2},
        {"order": {"id": 1}, "n": 3},
        {"order": {"id": [1]}, "n": 4},
        {"order": 5, "n": 5},
        {"n": 6},
        7,
        [8],
    ]
    for payload in payloads:
        hub.publish(Signal("t", payload))
    hub.publish("t:text")
    hub.publish(9)
    texts = [f"t:{payload}" for payload in (payloads[2], payloads[1])]
    assert receiver.drain() == [*texts, "t:text", 9]


def test_the_key_is_no_zone_whose_spelling_is_folded():
    hub = Hub()
    receiver = Receiver(hub, policy="coalesce", key="global_")
    for number in (1, 2, 1):
        hub.publish(Signal("t", {"global_": number}))
    assert receiver.pending == 2


def test_more_keys_than_the_capacity_drop_the_oldest_key():
    hub = Hub()
    receiver = Receiver(hub, 2, policy="coalesce")
    hub.publish_many(["a:1", "b:1", "a:2", "c:1"])
    with pytest.raises(SignalLaggedError, match="missed 1"):
        receiver.drain()
    assert receiver.drain() == ["b:1", "c:1"]


def test_error_refuses_what_there_is_no_room_for_and_tells_the_publisher():
    hub = Hub()
    full, other = Receiver(hub, 1, policy="error"), Receiver(hub)
    assert hub.publish("a:1") == 2
    with pytest.raises(SignalFullError, match="full") as caught:
        hub.publish("a:2")
    error = caught.value
    assert (error.topics, error.refused, error.version) == (("a",), 1, None)
    assert other.drain() == ["a:1", "a:2"]
    assert (full.refused, full.missed) == (1, 0)
    assert full.drain() == ["a:1"]
    assert hub.publish("a:3") == 2


def test_error_of_a_batch_comes_when_all_of_it_was_published():
    hub = Hub()
    full = Receiver(hub, 2, policy="error")
    also = Receiver(hub, 1, policy="error", topics=("b",))
    other = Receiver(hub)
    with pytest.raises(SignalFullError) as caught:
        hub.publish_many(["a", "b", "b", "c"])
    assert (caught.value.topics, caught.value.refused) == (("b", "c"), 3)
    assert (full.drain(), also.drain(), other.drain()) == (
        ["a", "b"],
        ["b"],
        ["a", "b", "b", "c"],
    )


def test_block_waits_for_room_when_everyone_has_the_message():
    hub = Hub()
    slow, other = Receiver(hub, 2, policy="block"), Receiver(hub)
    hub.publish_many("ab")
    thread = threading.Thread(target=hub.publish, args=("c",))
    thread.start()
    assert [other.recv(JOIN) for _ in range(3)] == ["a", "b", "c"]
    assert hub.crowded
    assert slow.recv() == "a"
    thread.join(JOIN)
    assert not thread.is_alive()
    assert (slow.drain(), slow.missed) == (["b", "c"], 0)


def test_block_gives_up_after_its_timeout_and_drops_the_oldest(caplog):
    hub = Hub()
    slow = Receiver(hub, 1, policy="block", timeout=0.01)
    hub.publish("a")
    assert hub.publish("b") == 1
    assert "lost 1" in caplog.text
    with pytest.raises(SignalLaggedError, match="missed 1"):
        slow.recv()
    assert slow.drain() == ["b"]


@pytest.mark.parametrize("end", ["hub", "receiver", "dropped"])
def test_a_publisher_that_waits_goes_on_when_nobody_will_receive(end):
    hub = Hub()
    slow = Receiver(hub, 1, policy="block")
    thread = threading.Thread(target=hub.publish_many, args=("abc",))
    thread.start()
    while not hub.crowded:
        pass
    if end == "hub":
        hub.close()
    elif end == "receiver":
        slow.close()
    else:
        del slow
    thread.join(JOIN)
    assert not thread.is_alive()


def test_several_publishers_wait_for_one_receiver_and_nothing_is_lost():
    publishers, each = 4, 300
    hub = Hub()
    slow = Receiver(hub, 3, policy="block")
    most = []
    threads = [
        threading.Thread(target=lambda who=who: [hub.publish((who, n)) for n in range(each)])
        for who in range(publishers)
    ]
    for thread in threads:
        thread.start()
    received = []
    while len(received) < publishers * each:
        most.append(slow.pending)
        received.append(slow.recv(JOIN))
    for thread in threads:
        thread.join(JOIN)
    assert max(most) <= 3 + publishers
    assert slow.missed == 0
    for who in range(publishers):
        assert [n for w, n in received if w == who] == list(range(each))


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "sometimes"},
        {"policy": None},
        {"key": "id"},
        {"policy": "block", "key": "id"},
        {"policy": "block", "timeout": -1},
        {"policy": "block", "timeout": "soon"},
        {"policy": "block", "capacity": 0},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused(options):
    hub = Hub()
    with pytest.raises(SettingsError):
        Receiver(hub, **options)
    assert hub.subscribers == 0


def test_a_malformed_key_is_refused():
    with pytest.raises(PathError):
        Receiver(Hub(), policy="coalesce", key="a..b")


# --- leaving and closing ------------------------------------------------------------------


def test_a_closed_mailbox_gets_nothing_and_keeps_nothing():
    class Payload:
        pass

    hub = Hub()
    receiver = Receiver(hub, topics=("**",), policy="error")
    payload = Payload()
    watched = weakref.ref(payload)
    hub.publish(Signal("a"))
    with Receiver(hub, policy="block") as other:
        hub.publish(payload)
        del payload
        assert watched() is not None
        assert other.pending == 1
    assert watched() is None
    receiver.close()
    assert (hub.publish("a"), hub.subscribers, receiver.drain(), receiver.pending) == (0, 0, [], 0)
    with pytest.raises(SignalClosedError):
        receiver.recv()


def test_closing_the_hub_lets_a_mailbox_be_emptied():
    hub = Hub()
    receiver = Receiver(hub, topics=("*",))
    hub.publish_many("ab")
    hub.close()
    assert hub.publish("c") == 0
    assert not receiver.closed
    assert list(receiver) == ["a", "b"]
    assert receiver.closed
    with pytest.raises(SignalClosedError):
        receiver.recv()


@pytest.mark.parametrize("end", ["hub", "receiver"])
def test_a_thread_that_waits_on_a_mailbox_is_woken_by_the_end(end):
    hub = Hub()
    waiting, result = threading.Event(), []

    class Watched(Receiver):
        def enlist(self, wake):
            super().enlist(wake)
            waiting.set()

    watched = Watched(hub, topics=("a",))

    def receive():
        with pytest.raises(SignalClosedError) as caught:
            watched.recv()
        result.append(caught.type)

    thread = threading.Thread(target=receive)
    thread.start()
    assert waiting.wait(JOIN)
    (hub if end == "hub" else watched).close()
    thread.join(JOIN)
    assert result == [SignalClosedError]


def test_waiting_on_a_mailbox_has_an_end():
    hub = Hub()
    receiver = Receiver(hub, topics=("a",))
    hub.publish("b")
    with pytest.raises(SignalTimeoutError):
        receiver.recv(0)
    assert receiver.try_recv("none") == "none"


def test_a_receiver_that_nobody_holds_has_left_its_mailbox_too():
    hub = Hub()
    receiver = Receiver(hub, topics=("a",))
    assert len(hub.mailboxes) == 1
    del receiver
    assert (hub.mailboxes, hub.subscribers) == (None, 0)


def test_a_cycle_through_a_mailbox_is_collected():
    gc.collect()
    hub = Hub()
    receiver = Receiver(hub, policy="block")
    hub.publish([receiver, hub])
    watched = [weakref.ref(hub), weakref.ref(receiver)]
    del hub, receiver
    gc.collect()
    assert [watch() for watch in watched] == [None, None]


def test_a_destructor_may_publish_to_the_mailbox_that_releases_it():
    class Last:
        def __del__(self):
            hub.publish("last words")

    hub = Hub()
    receiver = Receiver(hub, 1, policy="coalesce")
    hub.publish(Last())
    hub.publish("a:1")
    with pytest.raises(SignalLaggedError, match="missed 2"):
        receiver.drain()
    assert receiver.drain() == ["last words"]


# --- against a model ----------------------------------------------------------------------

TOPICS = ("a", "a.b", "b")


class MailboxModel(RuleBasedStateMachine):
    """Receivers of every policy and choice of topics against lists."""

    def __init__(self):
        super().__init__()
        self.hub = Hub(3)
        self.sent = 0
        self.ends = []

    @precondition(lambda self: len(self.ends) < 6)
    @rule(
        capacity=st.integers(1, 4),
        policy=st.sampled_from(["drop_oldest", "block", "coalesce", "error"]),
        topics=st.sampled_from([(), ("a",), ("a.*", "b"), ("**",)]),
    )
    def join(self, capacity, policy, topics):
        receiver = Receiver(self.hub, capacity, policy=policy, topics=topics, timeout=0)
        wanted = {(): TOPICS, ("a",): "a", ("a.*", "b"): ("a.b", "b"), ("**",): TOPICS}[topics]
        self.ends.append(End(receiver, capacity, policy, set(wanted)))

    @rule(topic=st.sampled_from(TOPICS))
    def publish(self, topic):
        self.sent += 1
        taken = [end.offer(topic, f"{topic}:{self.sent}") for end in self.ends]
        if "refused" in taken:
            with pytest.raises(SignalFullError) as caught:
                self.hub.publish(f"{topic}:{self.sent}")
            assert caught.value.refused == taken.count("refused")
        else:
            assert self.hub.publish(f"{topic}:{self.sent}") == taken.count("taken")

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), limit=st.one_of(st.none(), st.integers(1, 3)))
    def receive(self, data, limit):
        end = data.draw(st.sampled_from(self.ends))
        if end.lost:
            with pytest.raises(SignalLaggedError) as caught:
                end.receiver.drain()
            assert caught.value.missed == end.lost
            end.lost = 0
        expected = end.queue if limit is None else end.queue[:limit]
        assert end.receiver.drain(limit) == expected
        end.queue = end.queue[len(expected) :]

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def leave(self, data):
        end = data.draw(st.sampled_from(self.ends))
        self.ends.remove(end)
        end.receiver.close()

    @invariant()
    def counts_agree(self):
        assert self.hub.subscribers == len(self.ends)
        assert [end.receiver.pending for end in self.ends] == [len(end.queue) for end in self.ends]
        assert [end.receiver.coalesced for end in self.ends] == [end.coalesced for end in self.ends]
        assert not self.hub.crowded


class End:
    """What one receiver should have."""

    def __init__(self, receiver, capacity, policy, wanted):
        self.receiver, self.capacity, self.policy, self.wanted = receiver, capacity, policy, wanted
        self.queue = []
        self.lost = self.coalesced = 0

    def offer(self, topic, text):
        if topic not in self.wanted:
            return "ignored"
        if self.policy == "error" and len(self.queue) == self.capacity:
            return "refused"
        place = [n for n, old in enumerate(self.queue) if old.partition(":")[0] == topic]
        if self.policy == "coalesce" and place:
            self.queue[place[0]] = text
            self.coalesced += 1
            return "taken"
        self.queue.append(text)
        if len(self.queue) > self.capacity:
            del self.queue[0]
            self.lost += 1
        return "taken"


TestMailboxModel = MailboxModel.TestCase
