"""Promise: contracts are enforced, reported or off per engine and process; errors say where."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from theus import ContractViolationError, OutboxMsg, StateUpdate, TheusEngine, process
from theus.contracts.violations import Violations
from theus.errors import RegistrationError, SettingsError, TheusError, UndeclaredError


@dataclass
class Point:
    x: int = 1
    y: int = 2

    @property
    def total(self) -> int:
        return self.x + self.y


def start() -> dict[str, Any]:
    return {
        "domain": {
            "a": 1,
            "b": 2,
            "deep": {"x": 1, "rows": [{"v": 1}, {"v": 2}], "odd key.1": 1, "st*r": 1},
            "tags": {1, 2},
            "point": Point(),
            "_hidden": 1,
        },
        "global": {"limit": 5},
    }


def probe(body: Callable[..., Any], **contract: Any) -> Any:
    return process(
        **{"inputs": ["domain.a"], "outputs": ["domain.out"], "name": "probe", **contract}
    )(body)


def violation(body: Callable[..., Any], **contract: Any) -> TheusError:
    with TheusEngine(start()) as engine, pytest.raises(ContractViolationError) as caught:
        engine.run(probe(body, **contract))
    return caught.value


def line_of(body: Callable[..., Any]) -> int:
    return body.__code__.co_firstlineno


# --- the place -------------------------------------------------------------------------------


def test_the_place_is_the_line_of_the_access() -> None:
    def body(ctx: Any) -> Any:
        known = ctx.domain.a
        return known + ctx.domain.b

    error = violation(body)
    assert (error.file, error.line) == (__file__, line_of(body) + 2)
    assert f"{__file__}:{error.line}" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.file, again.line, again.change) == (error.file, error.line, error.change)


def test_in_a_helper_it_is_the_line_of_the_helper() -> None:
    def helper(area: Any) -> Any:
        return area.b

    error = violation(lambda ctx: helper(ctx.domain))
    assert (error.file, error.line) == (__file__, line_of(helper) + 1)


def test_python_s_own_library_is_not_the_place() -> None:
    def body(ctx: Any) -> Any:
        return json.dumps(ctx.domain, default=dict)

    error = violation(body)
    assert (error.file, error.line) == (__file__, line_of(body) + 1)


def test_the_place_of_a_property_is_its_class() -> None:
    error = violation(lambda ctx: ctx.domain.point.total, inputs=["domain.point.x"])
    assert (error.path, error.file) == ("domain.point.y", __file__)
    assert error.line == Point.total.fget.__code__.co_firstlineno + 2  # type: ignore[attr-defined]


def test_a_property_reads_what_it_reads() -> None:
    with TheusEngine(start()) as engine:
        inputs = ["domain.point.x", "domain.point.y"]
        engine.run(probe(lambda ctx: ctx.domain.point.total, inputs=inputs))
        assert engine.state.domain.out == 3


def test_the_place_in_an_async_body() -> None:
    async def body(ctx: Any) -> Any:
        await asyncio.sleep(0)
        return ctx.domain.b

    error = violation(body)
    assert (error.file, error.line) == (__file__, line_of(body) + 2)


def test_the_place_of_a_returned_update_is_the_process() -> None:
    def body(ctx: Any) -> Any:
        return StateUpdate(key="domain.b", val=1)

    error = violation(body)
    assert (error.file, error.line) == (__file__, line_of(body))


def test_the_place_of_an_undeclared_error_is_where_it_was_raised() -> None:
    def body(ctx: Any) -> Any:
        return {}["missing"]

    error = violation(body, errors=["ValueError"])
    assert isinstance(error, UndeclaredError)
    assert (error.file, error.line) == (__file__, line_of(body) + 1)
    assert error.change == ("errors", "KeyError")


# --- the smallest change -----------------------------------------------------------------------

ACCESSES: dict[str, tuple[Callable[[Any], Any], tuple[str, str]]] = {
    "read": (lambda ctx: ctx.domain.b, ("inputs", "domain.b")),
    "deep read": (lambda ctx: ctx.domain.deep.x, ("inputs", "domain.deep")),
    "write": (lambda ctx: setattr(ctx.domain, "b", 1), ("outputs", "domain.b")),
    "write of an input": (lambda ctx: setattr(ctx.domain, "a", 1), ("outputs", "domain.a")),
    "delete": (lambda ctx: ctx.domain.__delitem__("a"), ("outputs", "domain.a")),
    "all of an area": (lambda ctx: list(ctx.domain), ("inputs", "domain")),
    "another area": (lambda ctx: ctx.global_.limit, ("inputs", "global")),
    "everything": (lambda ctx: ctx.data.to_dict(), ("inputs", "**")),
    "peek": (lambda ctx: ctx.peek("domain.deep.x"), ("inputs", "domain.deep.x")),
    "get": (lambda ctx: ctx.domain.get("b"), ("inputs", "domain.b")),
    "membership": (lambda ctx: "b" in ctx.domain, ("inputs", "domain.b")),
    "commuting": (lambda ctx: ctx.incr("domain.a"), ("outputs", "domain.a")),
}
INSIDE: dict[str, tuple[Callable[[Any], Any], tuple[str, str]]] = {
    "an item": (lambda ctx: ctx.domain.deep.rows[1].v, ("inputs", "domain.deep.rows[1]")),
    "an append": (lambda ctx: ctx.domain.deep.rows.append(1), ("outputs", "domain.deep.rows.*")),
    "a write of an item": (
        lambda ctx: setattr(ctx.domain.deep.rows[0], "v", 1),
        ("outputs", "domain.deep.rows[0].v"),
    ),
    "an odd key": (
        lambda ctx: ctx.domain.deep["odd key.1"],
        ("inputs", 'domain.deep["odd key.1"]'),
    ),
    "a key with a star": (lambda ctx: ctx.domain.deep["st*r"], ("inputs", "domain.deep['st*r']")),
    "a field": (lambda ctx: ctx.domain.point.y, ("inputs", "domain.point.y")),
    "a member": (lambda ctx: ctx.domain.tags.add(3), ("outputs", "domain.tags[3]")),
}
INPUTS = ["domain.a", "domain.deep.rows[0]", "domain.point.x", "domain.tags[9]"]


@pytest.mark.parametrize("what", [*ACCESSES, *INSIDE])
def test_the_change_that_is_named_is_enough(what: str) -> None:
    use, change = (ACCESSES | INSIDE)[what]
    inputs = INPUTS if what in INSIDE else ["domain.a"]
    error = violation(lambda ctx: (use(ctx), None)[1], inputs=inputs)
    assert error.change == change
    assert repr(change[1]) in str(error)
    part, entry = change
    contract: dict[str, list[str]] = {"inputs": list(inputs), "outputs": ["domain.out"]}
    contract[part].append(entry)
    with TheusEngine(start()) as engine:
        engine.run(probe(lambda ctx: (use(ctx), None)[1], **contract))


def test_no_change_of_the_contract_opens_private_names() -> None:
    assert violation(lambda ctx: ctx.domain._hidden, inputs=["domain"]).change is None
    assert violation(lambda ctx: ctx.peek("domain._hidden"), inputs=["domain"]).action == "private"


def test_a_pure_process_is_told_to_return_or_to_be_no_longer_pure() -> None:
    error = violation(lambda ctx: setattr(ctx.domain, "a", 1), semantic="pure")
    assert error.change == ("semantic", "effect")
    assert "PURE" in str(error)


# --- modes -------------------------------------------------------------------------------------


def test_the_two_spellings_are_one_setting() -> None:
    for options, mode in (
        ({}, "enforce"),
        ({"strict_mode": True}, "enforce"),
        ({"strict_mode": False}, "off"),
        ({"strict_guards": False}, "off"),
        ({"contracts": "report"}, "report"),
        ({"contracts": "off"}, "off"),
        ({"strict_mode": False, "contracts": "report"}, "report"),
        ({"strict_mode": True, "contracts": "enforce"}, "enforce"),
    ):
        settings = TheusEngine(**options).settings
        assert (settings.contracts, settings.strict_mode) == (mode, mode == "enforce")


@pytest.mark.parametrize(
    "options",
    [
        {"contracts": "loud"},
        {"strict_mode": False, "contracts": "enforce"},
        {"strict_mode": True, "contracts": "report"},
    ],
)
def test_a_mode_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        TheusEngine(**options)


def test_a_process_with_a_mode_that_cannot_be_is_refused() -> None:
    with pytest.raises(RegistrationError, match="contracts"):
        process(contracts="loud")(lambda ctx: None)


@pytest.mark.parametrize("engine_mode", ["enforce", "report", "off"])
@pytest.mark.parametrize("own", ["enforce", "report", "off", None])
def test_the_mode_of_the_process_comes_first(engine_mode: str, own: str | None) -> None:
    body = probe(lambda ctx: ctx.domain.b, contracts=own)
    mode = own or engine_mode
    with TheusEngine(start(), contracts=engine_mode) as engine:
        if mode == "enforce":
            with pytest.raises(ContractViolationError):
                engine.run(body)
        else:
            engine.run(body)
            assert engine.state.domain.out == 2
        assert len(engine.violations) == (mode == "report")


USES: list[tuple[Callable[[Any], Any], list[tuple[str, str]]]] = [
    (lambda ctx: ctx.domain.b, [("read", "domain.b")]),
    (lambda ctx: ctx.domain.deep.rows[0].v, [("read", "domain.deep")]),
    (lambda ctx: setattr(ctx.domain, "b", 7), [("write", "domain.b")]),
    (
        lambda ctx: setattr(ctx.domain.deep, "x", 7),
        [("read", "domain.deep"), ("write", "domain.deep.x")],
    ),
    (lambda ctx: ctx.domain.to_dict(), [("read", "domain")]),
    (lambda ctx: [dict(row) for row in ctx.domain.deep.rows], [("read", "domain.deep")]),
    (
        lambda ctx: ctx.domain["_hidden"],
        [("read", "domain._hidden"), ("private", "domain._hidden")],
    ),
    (lambda ctx: ctx.peek("domain.b"), [("read", "domain.b")]),
    (lambda ctx: ctx.incr("domain.b"), [("write", "domain.b")]),
    (lambda ctx: StateUpdate(key="domain.b", val=3), [("write", "domain.b")]),
    (lambda ctx: ctx.domain.a, []),
]


@pytest.mark.parametrize("use, expected", USES)
def test_a_report_lets_through_what_it_names(
    use: Callable[[Any], Any], expected: list[tuple[str, str]]
) -> None:
    def body(ctx: Any) -> Any:
        used = use(ctx)
        ctx.domain.out = 1
        return used if isinstance(used, StateUpdate) else None

    with (
        TheusEngine(start(), contracts="report") as engine,
        TheusEngine(start(), contracts="off") as other,
    ):
        engine.run(probe(body))
        other.run(probe(body))
        assert engine.state.to_dict() == other.state.to_dict()
        assert [(found.action, found.path) for found in engine.violations] == expected
        assert {found.process for found in engine.violations} <= {"probe"}
        assert len(other.violations) == 0


def test_a_report_counts_per_place_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    body = probe(lambda ctx: ctx.domain.b)
    with (
        caplog.at_level(logging.WARNING, "theus.contracts"),
        TheusEngine(start(), contracts="report") as engine,
    ):
        for _ in range(3):
            engine.run(body)
        (found,) = engine.violations
        assert (found.count, found.file, found.line) == (3, __file__, line_of(body))
        assert found.change == ("inputs", "domain.b")
        assert [record.name for record in caplog.records] == ["theus.contracts"]
        assert "domain.b" in caplog.text
        assert engine.violations.clear() == [found]
        assert list(engine.violations) == []


def test_an_undeclared_error_is_reported_and_stays_itself() -> None:
    def body(ctx: Any) -> None:
        raise KeyError("x")

    with TheusEngine(start(), contracts="report") as engine:
        with pytest.raises(KeyError):
            engine.run(probe(body, errors=["ValueError"]))
        (found,) = engine.violations
        assert (found.action, found.change) == ("raise", ("errors", "KeyError"))


def test_violations_are_bounded_and_lose_no_count_between_threads() -> None:
    found = Violations(capacity=5)

    def work() -> None:
        for number in range(700):
            error = ContractViolationError("text", process="p", path=str(number % 7), action="read")
            found.note(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert sum(item.count for item in found) + found.dropped == 2800
    assert {item.count for item in found} == {400}


def test_violations_hold_nothing_of_the_state() -> None:
    with TheusEngine(start(), contracts="report") as engine:
        engine.run(probe(lambda ctx: ctx.domain.deep))
        gc.collect()
        assert engine.stats()["snapshots_alive"] <= 1


# --- signals and messages ------------------------------------------------------------------------

SENDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a signal": (lambda ctx: setattr(ctx.signal, "alarm", 1), "signal:alarm"),
    "a signal by key": (lambda ctx: ctx.signal.__setitem__("alarm", 1), "signal:alarm"),
    "a message": (lambda ctx: ctx.outbox.add(OutboxMsg("alarm", 1)), "outbox:alarm"),
    "an update": (lambda ctx: StateUpdate(signal={"alarm": 1}), "signal:alarm"),
}


@pytest.mark.parametrize("what", SENDS)
@pytest.mark.parametrize("declared", [["mail"], ["signal:other"], ["outbox:other", "alar"]])
def test_what_side_effects_do_not_name_is_refused(what: str, declared: list[str]) -> None:
    send, entry = SENDS[what]
    with TheusEngine(start()) as engine:
        receiver = engine.signal.subscribe()
        with pytest.raises(ContractViolationError) as caught:
            engine.run(probe(send, side_effects=declared))
        assert caught.value.change == ("side_effects", entry)
        assert (caught.value.process, caught.value.path) == ("probe", "alarm")
        assert caught.value.file == __file__
        assert receiver.try_recv(None) is None
        assert len(engine.outbox) == 0


@pytest.mark.parametrize("what", SENDS)
@pytest.mark.parametrize("form", ["kind", "topic", "glob", "kind and topic", "nothing declared"])
def test_what_side_effects_name_is_sent(what: str, form: str) -> None:
    send, entry = SENDS[what]
    kind, topic = entry.split(":")
    declared = {
        "kind": [kind],
        "topic": [topic],
        "glob": ["al*"],
        "kind and topic": ["mail", entry],
        "nothing declared": None,
    }[form]
    with TheusEngine(start()) as engine:
        receiver = engine.signal.subscribe()
        engine.run(probe(send, side_effects=declared))
        sent = receiver.try_recv(None)
        assert (sent == "alarm:1", len(engine.outbox)) == (kind == "signal", int(kind == "outbox"))


@pytest.mark.parametrize("what", SENDS)
def test_undeclared_side_effects_are_reported(what: str) -> None:
    send, entry = SENDS[what]
    with TheusEngine(start(), contracts="report") as engine:
        engine.run(probe(send, side_effects=["mail"], outputs=["domain.out.*"]))
        (found,) = engine.violations
        assert found.change == ("side_effects", entry)


def test_the_checked_outbox_shows_what_is_queued() -> None:
    def body(ctx: Any) -> Any:
        ctx.outbox.add(OutboxMsg("alarm", 1))
        assert len(ctx.outbox) == 1
        assert [message.topic for message in ctx.outbox] == ["alarm"]
        assert "1" in repr(ctx.outbox)

    with TheusEngine(start()) as engine:
        engine.run(probe(body, side_effects=["outbox"]))


# --- outputs that are not written ----------------------------------------------------------------

WRITTEN: dict[str, Callable[[Any], Any]] = {
    "returned by name": lambda ctx: {"one": 1, "two": 2},
    "returned in order": lambda ctx: (1, 2),
    "in place": lambda ctx: (setattr(ctx.domain, "one", 1), setattr(ctx.domain, "two", 2), None)[2],
    "mixed": lambda ctx: (setattr(ctx.domain, "one", 1), {"two": 2})[1],
    "as an update": lambda ctx: StateUpdate(data={"domain": {"one": 1, "two": 2}}),
    "below": lambda ctx: (ctx.domain.one.update(x=1), ctx.domain.two.append(1), None)[2],
    "to what they were": lambda ctx: (
        setattr(ctx.domain, "one", {"x": 0}),
        setattr(ctx.domain, "two", [0]),
        None,
    )[2],
    "deleted": lambda ctx: (delattr(ctx.domain, "one"), delattr(ctx.domain, "two"), None)[2],
    "commuting": lambda ctx: (ctx.append("domain.two", 5), ctx.incr("domain.one.x"), None)[2],
}
LEFT_OUT: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "nothing": (lambda ctx: None, ["domain.one", "domain.two"]),
    "one by name": (lambda ctx: {"one": 1}, ["domain.two"]),
    "one in place": (lambda ctx: setattr(ctx.domain, "two", 2), ["domain.one"]),
    "one by an update": (lambda ctx: StateUpdate(key="domain.one", val=1), ["domain.two"]),
}


def two(body: Callable[..., Any], waits: bool, **contract: Any) -> Any:
    async def late(ctx: Any) -> Any:
        await asyncio.sleep(0)
        return body(ctx)

    outputs = ["domain.one", "domain.two", "domain.free.*"]
    return process(outputs=outputs, name="two", **contract)(late if waits else body)


def ready() -> dict[str, Any]:
    return {"domain": {"one": {"x": 0}, "two": [0]}}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("what", WRITTEN)
def test_outputs_that_are_written(what: str, required: bool, waits: bool) -> None:
    with TheusEngine(ready()) as engine:
        engine.run(two(WRITTEN[what], waits, require_outputs=required))
        assert len(engine.violations) == 0


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("what", LEFT_OUT)
def test_outputs_that_are_left_out_are_reported(what: str, waits: bool) -> None:
    body, missing = LEFT_OUT[what]
    declared = two(body, waits)
    with TheusEngine(ready()) as engine:
        engine.run(declared)
        found = list(engine.violations)
        assert [item.path for item in found] == missing
        assert {(item.process, item.action, item.file) for item in found} == {
            ("two", "missing", __file__)
        }
        engine.run(declared)
        assert {item.count for item in engine.violations} == {2}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("what", LEFT_OUT)
def test_outputs_that_are_required_are_refused_when_left_out(what: str, waits: bool) -> None:
    body, missing = LEFT_OUT[what]
    with TheusEngine(ready()) as engine:
        before = engine.state
        with pytest.raises(ContractViolationError, match="did not write") as caught:
            engine.run(two(body, waits, require_outputs=True))
        assert (caught.value.action, caught.value.path) == ("missing", missing[0])
        assert engine.state is before


def test_an_output_that_was_written_once_is_no_longer_looked_for() -> None:
    @process(outputs=["domain.one"])
    def sometimes(ctx: Any, now: bool) -> Any:
        return 1 if now else None

    with TheusEngine(ready()) as engine:
        engine.run(sometimes, now=True)
        engine.run(sometimes, now=False)
        assert len(engine.violations) == 0


def test_a_single_output_that_nobody_returns() -> None:
    @process(outputs=["domain.one"])
    def forgets(ctx: Any) -> None:
        ctx.domain.get("one")

    with TheusEngine(ready()) as engine:
        engine.run(forgets)
        (found,) = engine.violations
        assert (found.path, found.action) == ("domain.one", "missing")
    with TheusEngine(ready(), contracts="off") as engine:
        engine.run(forgets)
        assert len(engine.violations) == 0


def test_a_required_output_is_required_inside_another_process_too() -> None:
    inner = two(lambda ctx: {"one": 1}, False, require_outputs=True)
    with TheusEngine(ready()) as engine:

        @process(outputs=["domain"])
        def outer(ctx: Any) -> None:
            engine.run(inner)

        with pytest.raises(ContractViolationError, match="did not write"):
            engine.run(outer)
        assert engine.state.version == 1
