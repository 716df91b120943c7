"""ParallelContext: what a process in a worker sees, and what it can send."""

from __future__ import annotations

import pickle
import time

import pytest

from theus.errors import ContextError, ContractViolationError
from theus.parallel import ParallelContext


def make(**more):
    options = {"version": 4, "process": "p", "areas": {"session": {"id": 9}}, **more}
    return ParallelContext({"x": 1}, {"rate": 2}, {"key": "any object"}, **options)


@pytest.fixture(params=["as made", "unpickled", "fresh"])
def context(request):
    made = make()
    if request.param == "unpickled":
        return pickle.loads(pickle.dumps(made))
    return made.fresh() if request.param == "fresh" else made


def test_the_parts_and_their_other_names(context):
    assert context.domain.x == context.domain_ctx["x"] == 1
    assert context.global_.rate == context.global_ctx.rate == getattr(context, "global").rate == 2
    assert context.heavy.key == context.heavy["key"] == "any object"
    assert context.session.id == 9
    assert context.version == 4
    assert context.process == "p"
    assert context.local == {}
    assert context.log.name == "theus.process.p"
    assert context.deadline is None
    assert repr(context).startswith("<ParallelContext of p at version 4; domain: 1")


@pytest.mark.parametrize("name", ["state", "data", "missing", "__wrapped__"])
def test_other_names_do_not_exist(context, name):
    with pytest.raises(AttributeError):
        getattr(context, name)


def test_messages_are_collected_in_order_and_stay_behind(context):
    context.outbox.add("a")
    context.outbox.add("b")
    context.signal.topic = 1
    context.signal["topic"] = 2
    context.local["kept"] = True
    assert context.messages() == (("a", "b"), (("topic", 1), ("topic", 2)))
    assert (len(context.outbox), len(context.signal)) == (2, 2)
    again = context.fresh()
    assert again.messages() == ((), ())
    assert again.local == {}
    assert pickle.loads(pickle.dumps(context)).messages() == ((), ())


@pytest.mark.parametrize("topic", ["", 3, None])
def test_a_signal_has_a_topic(context, topic):
    with pytest.raises(ContextError, match="topic"):
        context.signal[topic] = 1


def test_signals_are_not_read(context):
    with pytest.raises(AttributeError, match="sent here, not read"):
        _ = context.signal.topic


def test_a_pure_process_has_no_signals():
    for context in (make(signals=False), pickle.loads(pickle.dumps(make(signals=False)))):
        with pytest.raises(AttributeError):
            _ = context.signal
        assert context.messages() == ((), ())


def test_reading_what_was_not_declared(context):
    limited = make(declared=["domain.y", "heavy.**"])
    for one in (limited, limited.fresh(), pickle.loads(pickle.dumps(limited))):
        with pytest.raises(ContractViolationError) as caught:
            _ = one.domain.z
        assert caught.value.path == "domain.z"
        assert caught.value.process == "p"
        assert caught.value.allowed == ("domain.y", "heavy.**")
        with pytest.raises(AttributeError):
            _ = one.domain.y
        with pytest.raises(KeyError):
            one.heavy["missing"]
        with pytest.raises(ContractViolationError):
            one.global_["missing"]
    with pytest.raises(AttributeError):
        _ = context.domain.z


def test_the_limit_becomes_a_deadline():
    before = time.monotonic()
    assert before + 5 <= make().fresh(5).deadline <= time.monotonic() + 5


def test_views_of_another_context_can_be_handed_on():
    again = ParallelContext(make().domain)
    assert again.domain == {"x": 1}
    assert pickle.loads(pickle.dumps(again)).domain.x == 1


def test_empty_parts(context):
    empty = ParallelContext()
    assert len(empty.domain) == len(empty.global_) == len(empty.heavy) == 0
    assert empty.log.name == "theus.process"
    assert empty.version == 0
