"""StateMachine: moves, refusals, observers, threads."""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus.errors import SettingsError, TransitionError
from theus.orchestrator import StateMachine, Transition

TABLE = {
    "idle": {"start": "running"},
    "running": {"pause": "paused", "finish": "done", "tick": "running"},
    "paused": {"resume": "running"},
    "done": {},
}
EVENTS = sorted({event for moves in TABLE.values() for event in moves})


def test_events_lead_from_state_to_state() -> None:
    machine = StateMachine(TABLE, "idle")
    assert (machine.state, machine.events, machine.final) == ("idle", ("start",), False)
    assert machine.send("start") == "running"
    assert machine.can("pause")
    assert not machine.can("start")
    assert machine.send("finish") == "done"
    assert machine.final
    assert machine.history == [("idle", "start", "running"), ("running", "finish", "done")]
    machine.reset()
    assert (machine.state, machine.history) == ("idle", [])
    assert machine.states == set(TABLE)


def test_an_event_that_leads_nowhere_is_refused() -> None:
    machine = StateMachine(TABLE, "running")
    with pytest.raises(TransitionError, match="'start' leads nowhere from 'running'") as info:
        machine.send("start")
    assert isinstance(info.value, ValueError)
    assert info.value.possible == ("pause", "finish", "tick")
    assert pickle.loads(pickle.dumps(info.value)).state == "running"
    assert machine.state == "running"
    with pytest.raises(TransitionError, match="it is final"):
        StateMachine(TABLE, "done").send("start")


@pytest.mark.parametrize(
    ("table", "initial", "missing"),
    [({"a": {"go": "b"}}, "a", "b"), ({"a": {}}, "b", "b"), ({}, "a", "a")],
)
def test_a_table_names_all_its_states(table: Any, initial: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=rf"without an entry in the table: {missing};"):
        StateMachine(table, initial)


def test_later_changes_of_the_table_do_not_matter() -> None:
    table = {"a": {"go": "a"}}
    machine = StateMachine(table, "a")
    table["a"].clear()
    assert machine.send("go") == "a"


def test_observers_are_told_after_the_move(caplog: pytest.LogCaptureFixture) -> None:
    machine = StateMachine(TABLE, "idle")
    seen: list[Any] = []

    def broken(_: Transition) -> None:
        raise ZeroDivisionError

    machine.observe(broken)
    machine.observe(lambda move: seen.append((move, machine.state)))
    with caplog.at_level(logging.ERROR, logger="theus.orchestrator"):
        machine.send("start")
    assert seen == [(Transition("idle", "start", "running"), "running")]
    assert "An observer failed at idle -> running" in caplog.text


def test_an_observer_may_send() -> None:
    machine = StateMachine(TABLE, "idle")
    machine.observe(lambda move: move.new == "running" and machine.send("finish"))
    machine.send("start")
    assert machine.state == "done"


def test_the_history_is_bounded() -> None:
    machine = StateMachine(TABLE, "running", history=3)
    for _ in range(10):
        machine.send("tick")
    assert len(machine.history) == 3


@given(st.lists(st.sampled_from(EVENTS)))
def test_it_does_what_the_table_says(events: list[str]) -> None:
    machine, state = StateMachine(TABLE, "idle"), "idle"
    for event in events:
        if event in TABLE[state]:
            state = TABLE[state][event]
            assert machine.send(event) == state
        else:
            with pytest.raises(TransitionError):
                machine.send(event)
        assert machine.state == state


def test_one_of_many_threads_moves_it() -> None:
    machine = StateMachine(TABLE, "idle")
    barrier = threading.Barrier(8)
    won: list[str] = []

    def work() -> None:
        barrier.wait(30)
        with contextlib.suppress(TransitionError):
            won.append(machine.send("start"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == ["running"]
