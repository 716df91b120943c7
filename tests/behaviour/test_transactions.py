"""Promise: a transaction collects data, heavy, signals and messages; it is all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from theus import OutboxMsg, TheusEngine
from theus.delta import DeltaEntry
from theus.errors import ConflictError, PathError, SettingsError, TransactionStateError
from theus.structures import Transaction

START = {"domain": {"n": 1, "user": {"name": "ann", "age": 3}, "xs": [1]}, "global": {"limit": 5}}


@pytest.fixture
def engine() -> Any:
    with TheusEngine(START) as made:
        yield made


def _fill(tx: Transaction, thing: Any) -> None:
    tx.update(data={"domain": {"n": 2}}, heavy={"thing": thing}, signal={"done": 1})
    tx.outbox.add(OutboxMsg("topic", 1))


def test_all_at_the_end_of_the_block(engine: TheusEngine) -> None:
    receiver, thing = engine.signal.subscribe(), object()
    with engine.transaction() as tx:
        _fill(tx, thing)
        assert engine.state.to_dict() == START
        assert "thing" not in engine.state.heavy
    assert engine.state.version == 2
    assert engine.state.domain.n == 2
    assert engine.state.heavy["thing"] is thing
    assert receiver.drain() == ["done:1"]
    assert [message.topic for message in engine.outbox] == ["topic"]
    assert (tx.status_name, tx.committed_version) == ("committed", 2)


def test_nothing_after_an_exception(engine: TheusEngine) -> None:
    receiver, before = engine.signal.subscribe(), engine.state
    with pytest.raises(ZeroDivisionError), engine.transaction() as tx:
        _fill(tx, object())
        raise ZeroDivisionError
    assert engine.state is before
    assert engine.state.to_dict() == START
    assert dict(engine.state.heavy) == {}
    assert receiver.drain() == []
    assert len(engine.outbox) == 0
    assert tx.status_name == "rolled back"


def test_what_is_pending_can_be_looked_at(engine: TheusEngine) -> None:
    thing = object()
    with engine.transaction() as tx:
        assert (tx.pending_data, tx.pending_heavy, tx.pending_signal) == ({}, {}, {})
        _fill(tx, thing)
        tx.domain.user.name = "bob"
        assert tx.pending_data == {"domain": {"n": 2, "user": {"name": "bob"}}}
        assert tx.pending_heavy == {"thing": thing}
        assert tx.pending_signal == {"done": 1}
        assert [message.topic for message in tx.outbox] == ["topic"]


def test_pending_values_are_copies(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.update(data={"domain": {"new": [1]}})
        tx.pending_data["domain"]["new"].append(2)
        tx.pending_data["domain"]["n"] = 9
        tx.pending_signal["stop"] = 1
    assert engine.state.domain.to_dict() == {**START["domain"], "new": [1]}


def test_the_delta_log_names_every_operation(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        assert tx.delta_log == []
        tx.domain.user.name = "bob"
        tx.set("domain.new", {"a": 1})
        tx.delete("domain.n")
        assert all(type(entry) is DeltaEntry for entry in tx.delta_log)
        found = {(entry.op, entry.path, json.dumps(entry.new)) for entry in tx.delta_log}
        assert found == {
            ("set", ("domain", "user", "name"), '"bob"'),
            ("set", ("domain", "new"), '{"a": 1}'),
            ("delete", ("domain", "n"), "null"),
        }


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        ({"domain": {"n": 2}}, {"n": 2}),
        ({"domain": {"user": {"age": 4}}}, {"user": {"age": 4}}),
        ({"domain.user.name": "bob"}, {"user": {"name": "bob", "age": 3}}),
        ({"domain.made.below": 1}, {"made": {"below": 1}}),
    ],
)
def test_update_merges_fields_and_replaces_paths(
    engine: TheusEngine, data: dict[str, Any], changes: dict[str, Any]
) -> None:
    with engine.transaction() as tx:
        tx.update(data=data)
    assert engine.state.to_dict() == {**START, "domain": {**START["domain"], **changes}}


def test_delete_takes_away_exactly_one_path(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.delete("domain.user.name")
        tx.delete("domain.n")
    assert engine.state.domain.to_dict() == {"user": {"age": 3}, "xs": [1]}


def test_deleting_what_is_not_there_is_an_error(engine: TheusEngine) -> None:
    before = engine.state
    with pytest.raises(PathError, match="nothing"), engine.transaction() as tx:
        tx.domain.n = 9
        tx.delete("domain.nothing")
    assert engine.state is before


def test_what_was_passed_in_is_detached(engine: TheusEngine) -> None:
    own = {"xs": [1]}
    with engine.transaction() as tx:
        tx.update(data={"domain": {"own": own}})
    own["xs"].append(2)
    assert engine.state.domain.own == {"xs": [1]}


def test_a_savepoint_undoes_what_came_after_it(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.domain.n = 2
        savepoint = tx.savepoint()
        tx.domain.n = 3
        tx.domain.xs.append(2)
        tx.delete("domain.user")
        tx.queue_signal("dropped", 1)
        savepoint.rollback()
        assert (tx.domain.n, list(tx.domain.xs), tx.domain.user.name) == (2, [1], "ann")
        assert tx.pending_signal == {}
    assert engine.state.domain.to_dict() == {**START["domain"], "n": 2}


def test_transactions_of_the_constructor(engine: TheusEngine) -> None:
    with Transaction(engine) as tx:
        tx.update(data={"domain": {"n": 2}})
        tx.outbox.add(OutboxMsg("topic", 1))
    assert engine.state.domain.n == 2
    assert len(engine.outbox) == 1
    with Transaction() as alone:
        alone.update(data={"domain": {"n": 2}})
        assert alone.pending_data == {"domain": {"n": 2}}
    assert alone.status_name == "committed"


def test_by_hand(engine: TheusEngine) -> None:
    first, second = engine.begin(), engine.begin()
    first.domain.n = 2
    second.domain.n = 3
    second.rollback()
    first.commit()
    assert engine.state.domain.n == 2
    assert (first.active, second.active) == (False, False)


USES: list[Callable[[Transaction], Any]] = [
    lambda tx: tx.domain,
    lambda tx: tx.update(data={"domain": {"n": 9}}),
    lambda tx: tx.set("domain.n", 9),
    lambda tx: tx.delete("domain.n"),
    lambda tx: tx.incr("domain.n"),
    lambda tx: tx.get("domain.n"),
    lambda tx: tx.outbox,
    lambda tx: tx.queue_signal("stop", 1),
    lambda tx: tx.savepoint(),
    lambda tx: tx.pending_data,
    lambda tx: tx.state,
    lambda tx: tx.commit(),
    lambda tx: tx.__enter__(),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_it_refuses_use_after_its_end(
    engine: TheusEngine, use: Callable[[Transaction], Any], end: str
) -> None:
    tx = engine.begin()
    tx.domain.n = 2
    getattr(tx, end)()
    before = engine.state
    with pytest.raises(TransactionStateError, match="ended"):
        use(tx)
    tx.rollback()
    assert engine.state is before


def test_a_lost_transaction_names_what_it_lost_and_to_whom(engine: TheusEngine) -> None:
    loser = engine.begin()
    loser.domain.n += 1
    with engine.transaction() as winner:
        winner.domain.n = 10
    with pytest.raises(ConflictError) as caught:
        loser.commit()
    assert caught.value.paths == ("domain.n",)
    assert (caught.value.snapshot, caught.value.current) == (1, 2)
    assert loser.status_name == "failed"
    assert engine.state.domain.n == 10


def test_the_isolation_of_one_transaction(engine: TheusEngine) -> None:
    loose = engine.begin(isolation="snapshot")
    assert loose.domain.n == 1
    loose.domain.xs.append(2)
    with engine.transaction() as other:
        other.domain.n = 10
    loose.commit()
    assert (engine.state.domain.n, list(engine.state.domain.xs)) == (10, [1, 2])
    with pytest.raises(SettingsError, match="isolation"):
        engine.transaction(isolation="none")


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_state_of_a_transaction_stays_as_it_was_at_its_start(end: str) -> None:
    with TheusEngine({"domain": {"a": 1, "xs": [1]}}) as engine:
        tx = engine.begin()
        state = tx.state
        view = state.domain
        tx.domain["a"] = 2
        tx.domain["xs"].append(2)
        getattr(tx, end)()
        for _ in range(500):
            with engine.transaction() as later:
                later.domain["a"] = later.domain["a"] + 1
        assert state.domain.to_dict() == {"a": 1, "xs": [1]}
        assert view == {"a": 1, "xs": [1]}
        assert state.version == 1


def test_guards_of_a_transaction_that_has_ended_refuse_use_for_ever() -> None:
    with TheusEngine({"domain": {"a": 1, "d": {"x": 1}, "xs": [1], "s": {1}}}) as engine:
        with engine.transaction() as tx:
            guards = [tx.domain, tx.domain["d"], tx.domain["xs"], tx.domain["s"]]
        for _ in range(2000):
            with engine.transaction() as later:
                later.domain["d"]["x"] += 1
        for guard in guards:
            for use in (len, list, lambda g: g.clear()):
                with pytest.raises(TransactionStateError, match="has ended"):
                    use(guard)
        assert engine.state.domain["d"]["x"] == 2001


def test_an_area_that_is_replaced_as_a_whole() -> None:
    with TheusEngine({"domain": {"a": {"x": 1}, "b": 1}}) as engine:
        with engine.transaction() as tx:
            before, inner = tx.domain, tx.domain["a"]
            tx.set("domain", {"a": {"x": 5}, "c": 2})
            assert tx.domain == {"a": {"x": 5}, "c": 2}
            tx.domain["c"] = 3
            assert before.to_dict() == {"a": {"x": 1}, "b": 1}
            assert inner.to_dict() == {"x": 1}
        assert engine.state.domain.to_dict() == {"a": {"x": 5}, "c": 3}


def test_a_container_that_is_replaced_below_a_guard() -> None:
    with TheusEngine({"domain": {"a": {"x": 1}}}) as engine:
        with engine.transaction() as tx:
            held = tx.domain["a"]
            tx.set("domain.a", {"y": 2})
            assert tx.domain["a"] == {"y": 2}
            assert held.to_dict() == {"x": 1}
        assert engine.state.domain.to_dict() == {"a": {"y": 2}}
