"""`Signal`: an immutable value with a detached payload and a text."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pickle
from decimal import Decimal

import pytest

from theus._core.signal import Outgoing, Signal
from theus.errors import ContextError, ImmutableError


@dataclasses.dataclass
class Order:
    number: int
    items: list[str]


def test_a_signal_says_what_when_and_who():
    signal = Signal("orders.new", 7, 3, "take")
    assert (signal.topic, signal.payload, signal.version, signal.process) == (
        "orders.new",
        7,
        3,
        "take",
    )
    assert repr(signal) == "Signal('orders.new', 7, version=3, process='take')"
    assert repr(Signal("stop")) == "Signal('stop', None, version=0)"


def test_it_can_be_matched():
    match Signal("orders.new", {"id": 1}):
        case Signal("orders.new", {"id": number}):
            assert number == 1
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (None, "t:None"),
        (1.5, "t:1.5"),
        ("a:b", "t:a:b"),
        ({"a": [1, {"b": (2, [3])}]}, "t:{'a': [1, {'b': (2, [3])}]}"),
        ({1}, "t:{1}"),
        ((1, [2]), "t:(1, [2])"),
        (Order(1, ["x"]), "t:Order(number=1, items=['x'])"),
        (Decimal("1.50"), "t:1.50"),
        (datetime.date(2026, 1, 2), "t:2026-01-02"),
    ],
    ids=str,
)
def test_its_text_is_that_of_the_plain_payload(payload, text):
    signal = Signal("t", payload)
    assert (signal.text, str(signal)) == (text, text)


def test_a_payload_is_detached_and_read_only():
    payload = {"xs": [1], "order": Order(1, ["a"])}
    signal = Signal("t", payload)
    payload["xs"].append(2)
    payload["order"].items.append("b")
    assert signal.payload["xs"] == [1]
    assert signal.payload.order.items == ["a"]
    with pytest.raises(ImmutableError):
        signal.payload["xs"] = 1
    with pytest.raises(ImmutableError):
        signal.payload.xs.append(1)
    with pytest.raises(ImmutableError):
        signal.payload.order.number = 2


def test_a_list_in_a_tuple_is_read_only_too():
    with pytest.raises(ImmutableError):
        Signal("t", (1, [2])).payload[1].append(3)


def test_what_the_state_could_not_hold_is_sent_as_its_text():
    problem = ValueError("no paper")
    assert Signal("t", problem).payload == "no paper"
    loop = []
    loop.append(loop)
    assert Signal("t", loop).payload == "[[...]]"


def test_a_payload_without_a_text_is_told_by_its_type(caplog):
    @dataclasses.dataclass
    class Silent:
        number: int = 1

        def __str__(self):
            raise ZeroDivisionError

    with caplog.at_level("ERROR", "theus.signals"):
        assert Signal("t", Silent()).text == "t:<Silent>"
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("topic", ["", None, 1, b"t"])
def test_a_topic_is_text_that_is_not_empty(topic):
    with pytest.raises(ContextError, match="topic"):
        Signal(topic)


def test_a_topic_of_a_subclass_of_str_becomes_a_plain_one():
    class Loud(str):
        def __str__(self):
            return self.upper()

    assert type(Signal(Loud("t")).topic) is str
    assert Signal(Loud("t")).topic == "t"


def test_signals_are_values():
    first, again = Signal("t", {"a": 1}, 2, "p"), Signal("t", {"a": 1}, 2, "p")
    assert first == again
    assert hash(first) == hash(again)
    for other in (
        Signal("s", {"a": 1}, 2, "p"),
        Signal("t", {"a": 2}, 2, "p"),
        Signal("t", {"a": 1}, 3, "p"),
        Signal("t", {"a": 1}, 2, "q"),
        "t:{'a': 1}",
    ):
        assert first != other
    assert copy.copy(first) is first
    assert copy.deepcopy(first) is first
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("name", ["topic", "payload", "version", "process", "new"])
def test_nothing_of_it_can_be_assigned(name):
    with pytest.raises(AttributeError):
        setattr(Signal("t"), name, 1)


def test_it_is_made_once():
    signal = Signal("t", 1)
    with pytest.raises(ImmutableError):
        signal.__init__("s", 2)
    assert signal.payload == 1


def test_what_a_commit_sends_is_made_by_it():
    with pytest.raises(TypeError, match="transaction"):
        Outgoing()
