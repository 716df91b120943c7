"""Promise: `compare_and_swap` changes state only if what it changes is still as it was."""

from __future__ import annotations

import threading

import pytest

from theus import TheusEngine
from theus.errors import ConflictError, ContextError, SystemBusyError


def test_success_returns_none_and_commits_once() -> None:
    with TheusEngine({"domain": {"a": 1, "b": 1}}) as engine:
        assert engine.compare_and_swap(1, data={"domain": {"a": 2}}) is None
        assert engine.state.version == 2
        assert engine.state.domain.to_dict() == {"a": 2, "b": 1}


def test_a_change_of_the_same_key_refuses() -> None:
    with TheusEngine({"domain": {"a": 1}}) as engine:
        engine.compare_and_swap(1, data={"domain": {"a": 2}})
        before = engine.state
        with pytest.raises(ContextError, match="CAS Version Mismatch") as caught:
            engine.compare_and_swap(1, data={"domain": {"a": 3}})
        assert isinstance(caught.value, ConflictError)
        assert "domain.a" in str(caught.value)
        assert engine.state is before


def test_a_change_of_another_key_does_not() -> None:
    with TheusEngine({"domain": {"a": 1, "b": 1}}) as engine:
        engine.compare_and_swap(1, data={"domain": {"b": 2}})
        assert engine.compare_and_swap(1, data={"domain": {"a": 3}}) is None
        assert engine.state.domain.to_dict() == {"a": 3, "b": 2}


def test_dotted_keys_conflict_only_with_their_own_path() -> None:
    with TheusEngine({"domain": {"user": {"name": "ann", "age": 1}}}) as engine:
        engine.compare_and_swap(1, data={"domain.user.age": 2})
        assert engine.compare_and_swap(1, data={"domain.user.name": "bob"}) is None
        assert engine.state.domain.user.to_dict() == {"name": "bob", "age": 2}


def test_strict_refuses_every_mismatch_with_the_current_state() -> None:
    with TheusEngine({"domain": {"a": 1, "b": 1}}, strict_cas=True) as engine:
        assert engine.compare_and_swap(1, data={"domain": {"b": 2}}) is None
        before = engine.state
        assert engine.compare_and_swap(1, data={"domain": {"a": 3}}) is before
        assert engine.state is before
        assert engine.compare_and_swap(2, data={"domain": {"a": 3}}) is None
        assert engine.state.domain.a == 3


@pytest.mark.parametrize("version", [0, 1])
def test_the_first_swap_of_a_program_may_name_version_0_or_1(version: int) -> None:
    with TheusEngine({"domain": {"a": 1}}) as engine:
        assert engine.compare_and_swap(version, data={"domain": {"a": 2}}) is None
        assert engine.state.domain.a == 2


def test_heavy_and_signal_are_part_of_the_commit() -> None:
    with TheusEngine() as engine:
        receiver = engine.signal.subscribe()
        thing = object()
        engine.compare_and_swap(1, heavy={"thing": thing}, signal={"done": 1})
        assert engine.state.heavy["thing"] is thing
        assert engine.state.version == 2
        assert receiver.try_recv() == "done:1"


def test_a_change_of_the_same_heavy_key_refuses() -> None:
    with TheusEngine() as engine:
        engine.compare_and_swap(1, heavy={"thing": object()})
        kept = engine.state.heavy["thing"]
        with pytest.raises(ConflictError):
            engine.compare_and_swap(1, heavy={"thing": object()}, signal={"done": 1})
        assert engine.state.heavy["thing"] is kept


def test_requesters_with_priority_come_first() -> None:
    with TheusEngine({"domain": {"a": 1}}) as engine:
        for _ in range(engine.settings.max_retries + 1):
            engine.report_conflict("patient")
        before = engine.state
        with pytest.raises(SystemBusyError, match="System Busy"):
            engine.compare_and_swap(1, data={"domain": {"a": 2}}, requester="other")
        assert engine.state is before
        engine.compare_and_swap(1, data={"domain": {"a": 2}}, requester="patient")
        engine.report_success("patient")
        engine.compare_and_swap(2, data={"domain": {"a": 3}}, requester="other")
        assert engine.state.domain.a == 3


DEEP = {"domain": {"user": {"name": "ann", "age": 1}, "xs": [1]}}
PAIRS = [
    ("domain.user", {"name": "new"}, "domain.user.name", True),
    ("domain.user.name", "new", "domain.user", True),
    ("domain.user.name", "new", "domain.user.age", False),
    ("domain.user.new", 1, "domain.user.name", False),
    ("domain.xs", [2], "domain.user", False),
    ("plans", {"a": 1}, "plans", True),
    ("plans", {"a": 1}, "domain.xs", False),
]


@pytest.mark.parametrize(("first", "value", "second", "conflict"), PAIRS)
def test_what_counts_as_the_same_key(
    first: str, value: object, second: str, conflict: bool
) -> None:
    with TheusEngine(DEEP) as engine:
        engine.compare_and_swap(1, data={first: value})
        before = engine.state
        if conflict:
            with pytest.raises(ContextError, match="CAS Version Mismatch"):
                engine.compare_and_swap(1, data={second: "mine"})
            assert engine.state is before
        else:
            engine.compare_and_swap(1, data={second: "mine"})
            assert engine.begin().get(second) == "mine"


def test_one_key_that_changed_refuses_all_of_it() -> None:
    with TheusEngine({"domain": {"a": 1, "b": 1}}) as engine:
        receiver = engine.signal.subscribe()
        engine.compare_and_swap(1, data={"domain": {"a": 2}})
        before = engine.state
        with pytest.raises(ContextError):
            engine.compare_and_swap(
                1, data={"domain": {"a": 3, "b": 3}}, heavy={"h": 1}, signal={"done": 1}
            )
        assert engine.state is before
        assert "h" not in engine.state.heavy
        assert receiver.try_recv() is None


@pytest.mark.parametrize("strict", [True, False])
def test_a_version_that_never_was_is_refused(strict: bool) -> None:
    with TheusEngine({"domain": {"a": 1}}, strict_cas=strict) as engine:
        before = engine.state
        if strict:
            assert engine.compare_and_swap(9, data={"domain": {"a": 2}}) is before
        else:
            with pytest.raises(ContextError, match="CAS Version Mismatch"):
                engine.compare_and_swap(9, data={"domain": {"a": 2}})
        assert engine.state is before


def test_of_many_swaps_on_one_version_one_wins() -> None:
    with TheusEngine({"domain": {"a": 0}}) as engine:
        outcomes: list[str] = []
        ready = threading.Barrier(8)

        def swap(number: int) -> None:
            ready.wait()
            try:
                engine.compare_and_swap(1, data={"domain": {"a": number}})
                outcomes.append("won")
            except ConflictError:
                outcomes.append("lost")

        threads = [threading.Thread(target=swap, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["lost"] * 7 + ["won"]
        assert engine.state.version == 2
