"""Spans of OpenTelemetry, as its own SDK records them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from theus import SemanticType, StateUpdate, TheusEngine, process
from theus.errors import ConflictError, ContractViolationError, RetryLimitError
from theus.parallel import Parcel

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

START = {"domain": {"n": 0, "other": 0}}


@process(inputs=["domain.n"], outputs=["domain.n"])
def add_one(ctx: Any) -> int:
    return ctx.domain.n + 1


@process(inputs=["domain.n"], outputs=["domain.n"])
async def add_async(ctx: Any) -> int:
    seen = ctx.domain.n
    await asyncio.sleep(0)
    return seen + 1


@process(inputs=["domain.n"], outputs=["domain.n"])
def fails(ctx: Any) -> int:
    raise KeyError("no")


@process(inputs=["domain.n"], outputs=["domain.n"], parallel=True)
def where_am_i(ctx: Any) -> str:
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


@process(inputs=["domain.n"], outputs=["domain.n"], parallel=True)
def fails_there(ctx: Any) -> int:
    raise KeyError("no")


@process(inputs=[], outputs=["domain.n"], semantic=SemanticType.PURE, parallel=True)
def pure_there(ctx: Any) -> str:
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


class Recorder:
    """The spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("the program")

    @property
    def spans(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def only(self, name: str) -> Any:
        (span,) = self.named(name)
        return span

    def tree(self, parent: Any = None) -> list[Any]:
        """Names in the order in which they began: [name, [children], name, ...]."""
        wanted = None if parent is None else parent.context.span_id
        found: list[Any] = []
        for span in sorted(self.spans, key=lambda one: one.start_time):
            if (span.parent and span.parent.span_id) == wanted:
                found += [span.name, *filter(None, [self.tree(span)])]
        return found


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(recorder: Recorder) -> Any:
    with TheusEngine(START, pool="inline", base_backoff_ms=0.1) as made:
        made.set_tracer_provider(recorder.provider)
        yield made


def call(engine: TheusEngine, lane: str, func: Any) -> Any:
    if lane == "run":
        return engine.run(func)

    async def main() -> Any:
        return await engine.execute(func)

    return asyncio.run(main())


@pytest.mark.parametrize("func", [add_one, add_async])
@pytest.mark.parametrize("lane", ["run", "execute"])
def test_a_call_has_an_attempt_and_a_commit(
    engine: TheusEngine, recorder: Recorder, lane: str, func: Any
) -> None:
    call(engine, lane, func)
    name = func.contract.name or func.__name__
    assert recorder.tree() == [f"process {name}", ["attempt", ["commit"]]]
    assert recorder.only(f"process {name}").attributes == {
        "theus.process": name,
        "theus.semantic": "effect",
        "theus.attempts": 1,
        "theus.joined": False,
        "theus.version": 2,
    }
    attempt = {"theus.process": name, "theus.attempt": 1, "theus.snapshot": 1, "theus.version": 2}
    assert recorder.only("attempt").attributes == attempt
    assert recorder.only("commit").attributes == {"theus.process": name, "theus.version": 2}
    assert {span.status.status_code for span in recorder.spans} == {StatusCode.UNSET}
    scope = recorder.only("commit").instrumentation_scope
    assert (scope.name, bool(scope.version)) == ("theus", True)


@pytest.mark.parametrize("lane", ["run", "execute"])
def test_spans_of_the_process_belong_to_its_attempt(
    engine: TheusEngine, recorder: Recorder, lane: str
) -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    def works(ctx: Any) -> int:
        with recorder.tracer.start_as_current_span("work"):
            return ctx.domain.n + 1

    with recorder.tracer.start_as_current_span("request"):
        call(engine, lane, works)
    below = ["process works", ["attempt", ["work", "commit"]]]
    assert recorder.tree() == ["request", below]


def test_every_attempt_has_its_span_and_says_what_it_lost_to(
    engine: TheusEngine, recorder: Recorder
) -> None:
    rounds = []

    @process(inputs=["domain.n"], outputs=["domain.n"])
    def unlucky(ctx: Any) -> int:
        seen = ctx.domain.n
        rounds.append(seen)
        if len(rounds) == 1:
            other = threading.Thread(target=engine.run, args=(add_one,))
            other.start()
            other.join()
        return seen + 1

    engine.run(unlucky)
    lost, won = (
        span for span in recorder.named("attempt") if span.attributes["theus.process"] == "unlucky"
    )
    assert lost.attributes["theus.conflict.paths"] == ("domain.n",)
    assert lost.attributes["theus.conflict.process"] == "add_one"
    assert lost.status.status_code is StatusCode.ERROR
    assert lost.events[0].attributes["exception.type"].endswith("ConflictError")
    assert (won.attributes["theus.attempt"], won.attributes["theus.snapshot"]) == (2, 2)
    whole = recorder.only("process unlucky")
    assert (whole.attributes["theus.attempts"], whole.status.status_code) == (2, StatusCode.UNSET)


@pytest.mark.parametrize("lane", ["run", "execute"])
def test_an_error_is_recorded_on_the_attempt_and_on_the_call(
    engine: TheusEngine, recorder: Recorder, lane: str
) -> None:
    with pytest.raises(KeyError):
        call(engine, lane, fails)
    assert recorder.tree() == ["process fails", ["attempt"]]
    for span in recorder.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert [event.attributes["exception.type"] for event in span.events] == ["KeyError"]
    assert "theus.version" not in recorder.only("process fails").attributes


def test_a_check_that_refuses_ends_the_commit(engine: TheusEngine, recorder: Recorder) -> None:
    pydantic = pytest.importorskip("pydantic")
    domain = pydantic.create_model("Domain", n=(int, pydantic.Field(le=0)), other=(int, ...))
    engine.set_schema(pydantic.create_model("Model", domain=(domain, ...)))
    with pytest.raises(ValueError, match="Schema"):
        engine.run(add_one)
    assert recorder.tree() == ["process add_one", ["attempt", ["commit"]]]
    assert {span.status.status_code for span in recorder.spans} == {StatusCode.ERROR}


def test_a_call_that_gives_up_ends_all_its_spans(engine: TheusEngine, recorder: Recorder) -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    def hopeless(ctx: Any) -> StateUpdate:
        return StateUpdate(key="domain.n", val=1, assert_version=10**6)

    with pytest.raises(RetryLimitError):
        engine.run(hopeless)
    assert (
        len(recorder.named("attempt"))
        == recorder.only("process hopeless").attributes["theus.attempts"]
    )
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("lane", ["run", "execute"])
def test_a_call_inside_a_process_joins_its_attempt(
    engine: TheusEngine, recorder: Recorder, lane: str
) -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    def outer(ctx: Any) -> None:
        engine.run(add_one)
        engine.run(add_one)

    call(engine, lane, outer)
    inner = "process add_one"
    assert recorder.tree() == ["process outer", ["attempt", [inner, inner, "commit"]]]
    assert {span.attributes["theus.joined"] for span in recorder.named(inner)} == {True}
    assert recorder.only("process outer").attributes["theus.attempts"] == 1


def test_transactions_without_a_process_have_their_commit(
    engine: TheusEngine, recorder: Recorder
) -> None:
    with recorder.tracer.start_as_current_span("request"), engine.transaction() as tx:
        tx.domain.n = 7
    assert recorder.tree() == ["request", ["commit"]]
    loser = engine.begin()
    loser.domain.n += 1
    engine.run(add_one)
    with pytest.raises(ConflictError):
        loser.commit()
    assert recorder.named("commit")[-1].attributes["theus.conflict.process"] == "add_one"
    for attempt in engine.attempts():
        with attempt as tx:
            tx.domain.n += 1
    assert recorder.named("commit")[-1].attributes["theus.version"] == engine.state.version


def test_side_by_side_calls_keep_apart(engine: TheusEngine, recorder: Recorder) -> None:
    async def main() -> None:
        await asyncio.gather(*(engine.execute(add_async) for _ in range(8)))

    asyncio.run(main())
    whole = recorder.named("process add_async")
    assert len(whole) == 8
    for span in whole:
        own = [
            one for one in recorder.named("attempt") if one.parent.span_id == span.context.span_id
        ]
        assert [one.attributes["theus.attempt"] for one in own] == list(range(1, len(own) + 1))
        assert span.attributes["theus.attempts"] == len(own)
        assert span.attributes["theus.version"] == own[-1].attributes["theus.version"]


def test_the_steps_of_a_workflow_belong_to_who_runs_it(
    engine: TheusEngine, recorder: Recorder
) -> None:
    engine.register(add_one)
    with recorder.tracer.start_as_current_span("request"):
        engine.execute_workflow("steps:\n  - process: add_one\n  - process: add_one\n")
    assert recorder.tree()[0] == "request"
    assert recorder.tree()[1][::2] == ["process add_one", "process add_one"]


# --- workers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", ["run", "execute"])
@pytest.mark.parametrize("pool", ["inline", "threads", "processes"])
def test_a_worker_continues_the_trace(recorder: Recorder, lane: str, pool: str) -> None:
    with TheusEngine(START, pool=pool, pool_size=1) as engine:
        engine.set_tracer_provider(recorder.provider)
        there = call(engine, lane, where_am_i)
    inside = ["attempt", ["task where_am_i", "commit"]]
    assert recorder.tree() == ["process where_am_i", inside]
    task = recorder.only("task where_am_i")
    assert there == format(task.context.trace_id, "032x")
    assert task.attributes["theus.worker"] >= 0
    assert task.attributes["theus.seconds"] >= 0


def test_an_error_in_a_worker_is_recorded(engine: TheusEngine, recorder: Recorder) -> None:
    with pytest.raises(KeyError):
        engine.run(fails_there)
    assert recorder.tree() == ["process fails_there", ["attempt", ["task fails_there"]]]
    assert {span.status.status_code for span in recorder.spans} == {StatusCode.ERROR}


def test_an_untraced_engine_sends_no_trace(recorder: Recorder) -> None:
    assert Parcel(add_one).trace is None
    with TheusEngine(START, pool="processes", pool_size=1) as engine:
        with recorder.tracer.start_as_current_span("request"):
            assert engine.run(where_am_i) == "0" * 32


# --- on and off -------------------------------------------------------------------------------


def test_it_is_off_until_it_is_asked_for_and_can_be_ended(recorder: Recorder) -> None:
    with TheusEngine(START) as engine:
        engine.run(add_one)
        assert recorder.spans == []
        engine.set_tracer_provider(recorder.provider)
        engine.run(add_one)
        traced = len(recorder.spans)
        engine.set_tracer_provider(None)
        engine.run(add_one)
        assert (traced, len(recorder.spans)) == (3, 3)


def test_a_call_that_is_older_than_the_tracing_goes_on_without(recorder: Recorder) -> None:
    with TheusEngine(START) as engine:

        async def main() -> None:
            older = engine.execute(add_async)
            engine.set_tracer_provider(recorder.provider)
            await older

        asyncio.run(main())
        assert engine.state.domain.n == 1
        assert recorder.named("attempt") == []


def test_two_engines_are_traced_apart(recorder: Recorder) -> None:
    with TheusEngine(START) as one, TheusEngine(START) as other:
        one.set_tracer_provider(recorder.provider)

        @process(inputs=["domain.n"], outputs=["domain.n"])
        def over(ctx: Any) -> int:
            other.run(add_one)
            return ctx.domain.n + 1

        one.run(over)
        assert recorder.tree() == ["process over", ["attempt", ["commit"]]]
        other.set_tracer_provider(recorder.provider)
        one.run(over)
        inner = ["process add_one", ["attempt", ["commit"]], "commit"]
        assert recorder.tree()[2:] == ["process over", ["attempt", inner]]


def test_a_pure_process_may_be_traced(engine: TheusEngine, recorder: Recorder) -> None:
    @process(inputs=["domain.n"], outputs=["domain.other"], semantic=SemanticType.PURE)
    def double(ctx: Any) -> int:
        return ctx.domain.n * 2

    @process(inputs=["domain.n"], outputs=["domain.other"], semantic=SemanticType.PURE)
    def strays(ctx: Any) -> int:
        return ctx.domain.other

    engine.run(double)
    assert recorder.only("process double").attributes["theus.semantic"] == "pure"
    with pytest.raises(ContractViolationError):
        engine.run(strays)
    assert recorder.only("process strays").status.status_code is StatusCode.ERROR


class Never:
    """What is awaited for ever, by no event loop in particular."""

    def __await__(self) -> Any:
        yield


@process(inputs=["domain.n"], outputs=["domain.n"])
async def for_ever(ctx: Any) -> None:
    await Never()


def test_a_pure_process_may_be_traced_into_its_worker(recorder: Recorder) -> None:
    with TheusEngine(START, pool="processes", pool_size=1) as engine:
        engine.set_tracer_provider(recorder.provider)
        there = engine.run(pure_there)
    assert there == format(recorder.only("task pure_there").context.trace_id, "032x")


def test_a_cancelled_call_ends_its_spans(engine: TheusEngine, recorder: Recorder) -> None:
    async def main() -> None:
        task = asyncio.create_task(engine.execute(for_ever))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert recorder.tree() == ["process for_ever", ["attempt"]]
    assert {span.status.status_code for span in recorder.spans} == {StatusCode.ERROR}


def test_a_coroutine_that_is_thrown_away_elsewhere_ends_its_spans_quietly(
    engine: TheusEngine, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with recorder.tracer.start_as_current_span("request") as request:
        forgotten = engine.execute(for_ever)
        contextvars.copy_context().run(forgotten.send, None)
        forgotten.close()
        assert trace.get_current_span() is request
    assert recorder.tree() == ["request", ["process for_ever", ["attempt"]]]
    assert [one for one in caplog.records if one.name.startswith("opentelemetry")] == []
