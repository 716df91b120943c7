"""Promise: a rule across keys holds in every version, is asked only where it may have changed, and
cannot be broken by two commits that each look harmless."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theus import SemanticType, StateUpdate, TheusEngine, process
from theus.errors import (
    ConflictError,
    InvariantViolationError,
    RegistrationError,
    TransactionStateError,
)


def balances() -> dict[str, dict[str, Any]]:
    return {"domain": {"a": 5, "b": 5, "note": "", "names": {}, "list": [1, 2]}}


def bank(**options: Any) -> tuple[TheusEngine, list[int]]:
    """An engine with the rule a + b >= 0, and the number of times it was asked."""
    engine = TheusEngine(balances(), **options)
    asked = [0]

    @engine.invariant
    def covered(state: Any) -> bool:
        asked[0] += 1
        return bool(state.domain.a + state.domain.b >= 0)

    return engine, asked


def refused(act: Callable[[], Any], engine: TheusEngine) -> InvariantViolationError:
    """The error of an act that must leave no trace."""
    before = engine.state
    with pytest.raises(InvariantViolationError) as caught:
        act()
    assert engine.state is before
    return caught.value


# --- every way to commit -------------------------------------------------------------------------


@process(inputs=["domain.a"], outputs=["domain.a"])
def take(ctx: Any, much: int) -> None:
    ctx.domain.a -= much
    ctx.signal.taken = much


@process(outputs=["domain.a"])
async def replace(ctx: Any, value: int) -> int:
    return value


@process(outputs=["domain.a"])
def declare(ctx: Any, value: int) -> StateUpdate:
    return StateUpdate(key="domain.a", val=value)


@process(inputs=["domain.a"], outputs=["domain.a"], semantic=SemanticType.PURE)
def compute(ctx: Any) -> int:
    return int(ctx.domain.a) - 100


def by_transaction(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.update(data={"domain": {"a": -6}})


def by_hand(engine: TheusEngine) -> None:
    tx = engine.begin()
    tx.domain.a = -6
    tx.commit()


def by_attempts(engine: TheusEngine) -> None:
    for attempt in engine.attempts():
        with attempt as tx:
            tx.domain["b"] = -6


def by_edit(engine: TheusEngine) -> None:
    with engine.edit() as context:
        context["domain"]["a"] = -6


def by_nested(engine: TheusEngine) -> None:
    @process(outputs=["domain"], name="outer")
    def outer(ctx: Any) -> None:
        engine.run(take, much=11)

    engine.run(engine.register(outer))


def by_increment(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.incr("domain.a", -11)


def by_replacing_the_area(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.set("domain", {"a": 1, "b": -2})


WAYS: dict[str, Callable[[TheusEngine], Any]] = {
    "run": lambda engine: engine.run(take, much=11),
    "execute sync": lambda engine: asyncio.run(engine.execute(take, much=11)),
    "execute async": lambda engine: asyncio.run(engine.execute(replace, value=-6)),
    "update": lambda engine: engine.run(declare, value=-6),
    "pure": lambda engine: engine.run(compute),
    "transaction": by_transaction,
    "begin": by_hand,
    "attempts": by_attempts,
    "edit": by_edit,
    "compare and swap": lambda engine: engine.compare_and_swap(1, {"domain.a": -6}),
    "strict compare and swap": lambda engine: engine.compare_and_swap(1, {"domain.a": -6}),
    "nested": by_nested,
    "commuting": by_increment,
    "area": by_replacing_the_area,
    "deleted": lambda engine: engine.run(declare_deleted),
}


@process(outputs=["domain.a"])
def declare_deleted(ctx: Any) -> StateUpdate:
    return StateUpdate(delete=["domain.a"])


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_round_it(way: str, isolation: str) -> None:
    engine, _ = bank(isolation=isolation, strict_cas=way.startswith("strict"))
    with engine:
        for each in (take, replace, declare, compute, declare_deleted):
            engine.register(each)
        sent = engine.signal.subscribe()
        error = refused(lambda: WAYS[way](engine), engine)
        assert error.invariant == "covered"
        assert sent.try_recv() is None
        assert engine.state.version == 1
        assert engine.stats()["aborts"]["invariant"] == 1


def test_a_nested_call_is_judged_with_its_caller() -> None:
    engine, asked = bank()
    engine.register(take)

    @process(outputs=["domain.a", "domain.b"], name="move")
    def move(ctx: Any) -> None:
        engine.run(take, much=20)
        ctx.domain.b = 15

    engine.run(engine.register(move))
    assert (engine.state.domain.a, asked) == (-15, [2])


# --- what it says --------------------------------------------------------------------------------


def test_the_error_says_what_was_asked_and_what_it_read() -> None:
    engine, _ = bank()
    engine.register(take)
    error = refused(lambda: engine.run(take, much=11), engine)
    assert (error.invariant, error.process) == ("covered", "take")
    assert error.paths == ("domain.a", "domain.b")
    assert "'covered'" in str(error)
    assert "'take'" in str(error)
    assert error.__cause__ is None


def test_what_an_invariant_raises_is_the_cause() -> None:
    engine = TheusEngine({"domain": {"a": 2, "b": 1}})

    @engine.invariant
    def ratio(state: Any) -> None:
        assert state.domain.a / state.domain.b > 1, "too small"

    error = refused(lambda: engine.compare_and_swap(1, {"domain.b": 0}), engine)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError" in str(error)
    assert "test_invariants.py" in str(error)
    error = refused(lambda: engine.compare_and_swap(1, {"domain.b": 4}), engine)
    assert "too small" in str(error)


def test_paths_of_lists_records_and_the_heavy_zone() -> None:
    @dataclasses.dataclass
    class Item:
        price: int

    engine = TheusEngine({"domain": {"items": [Item(3), Item(4)], "limit": 10}})
    engine.compare_and_swap(1, heavy={"model": 1})

    @engine.invariant
    def affordable(state: Any) -> bool:
        total = sum(item.price for item in state.domain["items"])
        return bool(state.heavy["model"] and total <= state.domain.limit)

    def raise_price() -> None:
        with engine.transaction() as tx:
            tx.domain["items"][1].price = 40

    error = refused(raise_price, engine)
    assert set(error.paths) == {
        "domain.items[0].price",
        "domain.items[1].price",
        "domain.limit",
        "heavy.model",
    }
    refused(lambda: engine.compare_and_swap(2, heavy={"model": 0}), engine)


# --- when it is asked ---------------------------------------------------------------------------

TOUCHING = [
    ({"domain.note": "x"}, 0),
    ({"domain.names": {"k": 1}}, 0),
    ({"global.x": 1}, 0),
    ({"domain.a": 6}, 1),
    ({"domain.a": 5}, 0),
    ({"domain.a": 7, "domain.b": 8}, 1),
    ({"other": 3}, 0),
]


@pytest.mark.parametrize(("data", "times"), TOUCHING)
def test_it_is_asked_only_where_it_looks(data: dict[str, Any], times: int) -> None:
    engine, asked = bank()
    assert asked == [1]
    for _ in range(3):  # the second time nothing changes
        engine.compare_and_swap(engine.state.version, data)
        assert asked == [1 + times]


def watched(rule: Callable[[Any], Any], data: dict[str, Any]) -> tuple[TheusEngine, list[int]]:
    engine = TheusEngine({"domain": data})
    asked = [0]

    @engine.invariant
    def counted(state: Any) -> Any:
        asked[0] += 1
        return rule(state)

    return engine, asked


def test_the_number_of_keys_is_not_their_values() -> None:
    engine, asked = watched(lambda state: len(state.domain.stock) <= 2, {"stock": {"x": 1, "y": 2}})
    engine.compare_and_swap(1, {"domain.stock.x": 5})
    assert asked == [1]
    refused(lambda: engine.compare_and_swap(2, {"domain.stock.z": 5}), engine)
    assert asked == [2]


def test_the_length_of_a_list_is_not_its_items() -> None:
    engine, asked = watched(lambda state: len(state.domain.rows) <= 3, {"rows": [{"n": 1}, 2]})
    with engine.transaction() as tx:
        tx.domain.rows[0].n = 8
        tx.domain.rows[1] = 9
    assert asked == [1]
    with engine.transaction() as tx:
        tx.domain.rows.append(1)
    assert asked == [2]
    refused(lambda: push(engine), engine)


def push(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.domain.rows.append(1)


def test_one_item_of_a_list() -> None:
    engine, asked = watched(
        lambda state: state.domain.rows[1].n > 0, {"rows": [{"n": 1}, {"n": 2}]}
    )
    with engine.transaction() as tx:
        tx.domain.rows[0].n = -1
        tx.domain.rows.append({"n": -5})
    assert asked == [1]
    with engine.transaction() as tx:
        tx.domain.rows[1].n = 3
    assert asked == [2]
    with engine.transaction() as tx:
        tx.domain.rows[1].other = 3
    assert asked == [2]

    def drop_first() -> None:
        with engine.transaction() as tx:
            tx.domain.rows.pop(0)
            tx.domain.rows.sort(key=lambda row: -row.n)
            del tx.domain.rows[1]

    refused(drop_first, engine)


def test_a_container_that_is_new_is_looked_into() -> None:
    engine, asked = watched(
        lambda state: state.domain.user is None or state.domain.user.age >= 0,
        {"user": None, "x": 1},
    )
    engine.compare_and_swap(1, {"domain.user": {"age": 1, "name": "ann"}})
    assert asked == [2]
    refused(lambda: engine.compare_and_swap(2, {"domain.user.age": -1}), engine)
    engine.compare_and_swap(2, {"domain.user.age": 2})
    count = asked[0]
    engine.compare_and_swap(3, {"domain.user.name": "bob"})
    assert asked == [count]
    refused(lambda: engine.compare_and_swap(4, {"domain.user": {"age": -3}}), engine)
    engine.compare_and_swap(4, {"domain.user": {"age": 3, "name": "cy"}})
    refused(lambda: engine.compare_and_swap(5, {"domain.user.age": -1}), engine)


def test_everything_below_is_read_by_a_comparison() -> None:
    engine, asked = watched(
        lambda state: state.domain.tree != {"x": {"y": 1}}, {"tree": {"x": {"y": 0}}, "z": 1}
    )
    refused(lambda: engine.compare_and_swap(1, {"domain.tree.x.y": 1}), engine)
    engine.compare_and_swap(1, {"domain.z": 1})
    assert asked == [2]


def test_a_set_and_a_missing_key() -> None:
    engine, asked = watched(
        lambda state: "bad" not in state.domain.tags and "gone" not in state.domain,
        {"tags": {"good"}},
    )

    def tag(name: str) -> None:
        with engine.transaction() as tx:
            tx.domain.tags.add(name)

    tag("other")
    assert asked == [1]
    refused(lambda: tag("bad"), engine)
    refused(lambda: engine.compare_and_swap(2, {"domain.gone": 1}), engine)


def test_a_moved_container_is_read_where_it_is_now() -> None:
    engine, _ = watched(
        lambda state: all(row.n > 0 for row in state.domain.rows), {"rows": [{"n": 1}, {"n": 2}]}
    )

    def turn_and_spoil() -> None:
        with engine.transaction() as tx:
            tx.domain.rows.reverse()
            tx.domain.rows[0].n = -1

    refused(turn_and_spoil, engine)
    with engine.transaction() as tx:
        tx.domain.rows.reverse()
    with engine.transaction() as tx:
        tx.domain.rows[0].extra = 1
        tx.domain.rows.insert(0, {"n": 7})
    assert [row.n for row in engine.state.domain.rows] == [7, 2, 1]


def test_a_container_that_is_also_put_elsewhere_is_read_in_both_places() -> None:
    engine, _ = watched(
        lambda state: len(state.domain.copy_of or ()) + len(state.domain.original) < 3,
        {"copy_of": None, "original": [1]},
    )
    with engine.transaction() as tx:
        tx.domain.copy_of = tx.domain.original
    refused(lambda: engine.compare_and_swap(2, {"domain.original": [1, 2]}), engine)
    refused(lambda: engine.compare_and_swap(2, {"domain.copy_of": [1, 2]}), engine)


def test_a_conditional_rule_follows_its_flag() -> None:
    engine, asked = watched(
        lambda state: not state.domain.strict or state.domain.x >= 0, {"strict": False, "x": 1}
    )
    engine.compare_and_swap(1, {"domain.x": -1})
    assert asked == [1]
    refused(lambda: engine.compare_and_swap(2, {"domain.strict": True}), engine)
    engine.compare_and_swap(2, {"domain.x": 1, "domain.strict": True})
    refused(lambda: engine.compare_and_swap(3, {"domain.x": -1}), engine)


# --- registration --------------------------------------------------------------------------------


def test_a_rule_that_does_not_hold_now_is_refused() -> None:
    engine = TheusEngine(balances())
    with pytest.raises(InvariantViolationError, match="present state"):
        engine.invariant(lambda state: state.domain.a > 100)
    assert not engine.invariants
    engine.compare_and_swap(1, {"domain.a": 1})
    assert engine.stats()["aborts"]["rollback"] == 0


def test_names() -> None:
    engine = TheusEngine(balances())

    @engine.invariant(name="no debts")
    def positive(state: Any) -> bool:
        return bool(state.domain.a >= 0)

    assert dict(engine.invariants) == {"no debts": positive}
    with pytest.raises(TypeError):
        engine.invariants["x"] = positive  # type: ignore[index]
    with pytest.raises(RegistrationError, match="no debts"):
        engine.invariant(name="no debts")(positive)
    with pytest.raises(RegistrationError, match="no debts"):
        engine.remove_invariant("positive")
    engine.remove_invariant("no debts")
    engine.compare_and_swap(1, {"domain.a": -1})
    assert not engine.invariants
    with pytest.raises(InvariantViolationError):
        engine.invariant(positive)


def test_the_first_of_several_in_order() -> None:
    engine = TheusEngine(balances())
    for name in ("one", "two"):
        engine.invariant(name=name)(lambda state: state.domain.a >= 0)
    error = refused(lambda: engine.compare_and_swap(1, {"domain.a": -1}), engine)
    assert error.invariant == "one"
    engine.remove_invariant("one")
    error = refused(lambda: engine.compare_and_swap(1, {"domain.a": -1}), engine)
    assert error.invariant == "two"


async def _coroutine(state: Any) -> bool:
    return True


def _generator(state: Any) -> Any:
    yield True


@pytest.mark.parametrize("rule", [_coroutine, _generator, 5, None])
def test_what_cannot_answer_at_once_is_refused(rule: Any) -> None:
    engine = TheusEngine(balances())
    with pytest.raises(RegistrationError):
        engine.invariant(name="rule")(rule)
    with pytest.raises(InvariantViolationError, match="answers at once"):
        engine.invariant(lambda state: _coroutine(state))


def _registered(engine: TheusEngine) -> TheusEngine:
    engine.register(take)
    engine.register(compute)
    return engine


MISUSES: dict[str, Callable[[TheusEngine, Any], Any]] = {
    "attribute": lambda _, state: setattr(state.domain, "a", 1),
    "item": lambda _, state: state.domain.__setitem__("a", 1),
    "delete": lambda _, state: state.domain.pop("a"),
    "append": lambda _, state: state.domain.list.append(1),
    "own list": lambda _, state: state.domain.list.sort(),
    "area": lambda _, state: state.data.update(domain={}),
    "heavy": lambda _, state: state.heavy.update(x=1),
    "run": lambda engine, _: engine.run("take", much=1),
    "run pure": lambda engine, _: engine.run("compute"),
    "transaction": lambda engine, _: engine.transaction(),
    "attempts": lambda engine, _: next(iter(engine.attempts())).__enter__(),
    "compare and swap": lambda engine, _: engine.compare_and_swap(1, {"domain.a": 1}),
    "edit": lambda engine, _: engine.edit(),
    "state": lambda engine, _: engine.state.domain.a,
    "add": lambda engine, _: engine.invariant(lambda state: True),
    "remove": lambda engine, _: engine.remove_invariant("rule"),
    "file": lambda *_: open(__file__),  # noqa: SIM115
}


@pytest.mark.parametrize("misuse", MISUSES)
@pytest.mark.parametrize("strict", [True, False])
def test_an_invariant_may_only_look(misuse: str, strict: bool) -> None:
    engine = _registered(TheusEngine(balances(), strict_mode=strict))
    bad = [False]

    @engine.invariant
    def rule(state: Any) -> None:
        assert state.domain.a is not None
        if bad[0]:
            MISUSES[misuse](engine, state)

    bad[0] = True
    for _ in range(2):
        error = refused_by(lambda: engine.compare_and_swap(1, {"domain.a": 6}))
        assert "look at the state" in str(error)
        assert "test_invariants.py" in str(error)
    bad[0] = False
    assert engine.state.version == 1
    engine.compare_and_swap(1, {"domain.a": 6})
    assert engine.state.to_dict()["domain"] == {**balances()["domain"], "a": 6}


def refused_by(act: Callable[[], Any]) -> InvariantViolationError:
    with pytest.raises(InvariantViolationError) as caught:
        act()
    return caught.value


def test_pending_containers_are_read_only_too() -> None:
    engine = TheusEngine({"domain": {"rows": [{"n": 1}], "d": {}}})
    acts = [
        lambda state: state.domain.d.new.update(x=1),
        lambda state: state.domain.rows[0].update(n=5),
        lambda state: state.domain.rows[-1].update(n=5),
    ]
    for act in acts:
        on = [False]

        @engine.invariant
        def rule(state: Any, act: Any = act, on: Any = on) -> None:
            len(state.domain.rows), len(state.domain.d)
            if on[0]:
                act(state)

        on[0] = True
        tx = engine.begin()
        tx.domain.d.new = {}
        tx.domain.rows.insert(0, tx.domain.rows[0])
        tx.domain.rows.append({"n": 2})
        with pytest.raises(InvariantViolationError, match="tried to write"):
            tx.commit()
        engine.remove_invariant("rule")
    assert engine.state.version == 1


def test_arrays_are_read_only_and_seen_with_what_is_written() -> None:
    engine = TheusEngine({"domain": {"w": np.ones(3), "rows": [np.ones(2)], "n": 0}})
    spoils = [False]
    asked = [0]

    @engine.invariant
    def positive(state: Any) -> bool:
        asked[0] += 1
        arrays = [state.domain.w, *state.domain.rows]
        if spoils[0]:
            for array in arrays:
                array[0] = 7.0
        return all(bool((array >= 0).all()) for array in arrays)

    @process(inputs=["domain"], outputs=["domain"], name="change")
    def change(ctx: Any, value: float) -> None:
        ctx.domain.w[0] = value
        ctx.domain.rows.append(np.full(2, value))

    engine.register(change)
    engine.run("change", value=2.0)
    engine.compare_and_swap(2, {"domain.n": 1})
    assert asked == [2]
    refused(lambda: engine.run("change", value=-2.0), engine)
    spoils[0] = True
    error = refused(lambda: engine.run("change", value=3.0), engine)
    assert "read-only" in str(error)
    assert engine.state.domain.w.tolist() == [2.0, 1.0, 1.0]


def test_the_heavy_zone_is_looked_at_by_reference() -> None:
    weights = np.ones(3)
    engine = TheusEngine(balances())
    engine.compare_and_swap(1, heavy={"weights": weights})
    seen: list[Any] = []
    engine.invariant(name="looks")(lambda state: seen.append(state.heavy["weights"]))
    assert seen[0] is weights


def test_the_view_ends_with_the_answer() -> None:
    engine = TheusEngine(balances())
    kept: list[Any] = []
    engine.invariant(name="keeps")(lambda state: kept.extend([state, state.domain]))
    with pytest.raises(TransactionStateError):
        _ = kept[0].domain
    with pytest.raises(TransactionStateError):
        _ = kept[1].a


# --- side by side --------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
def test_write_skew_across_a_rule_cannot_pass(isolation: str) -> None:
    engine, _ = bank(isolation=isolation)
    first, second = engine.begin(), engine.begin()
    first.update({"domain": {"a": -5}})
    second.update({"domain": {"b": -5}})
    first.commit()
    with pytest.raises(ConflictError) as caught:
        second.commit()
    assert caught.value.paths == ("domain.a",)
    assert engine.state.to_dict()["domain"]["b"] == 5


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
def test_threads_never_break_a_rule(isolation: str) -> None:
    engine = TheusEngine({"domain": {f"k{n}": 5 for n in range(4)}}, isolation=isolation)
    engine.invariant(name="sum")(lambda state: sum(state.domain.values()) >= 0)

    @process(outputs=["domain.*"], inputs=["domain.*"], name="step")
    def step(ctx: Any, key: str, by: int) -> None:
        ctx.domain[key] += by

    engine.register(step)
    seen: list[int] = []

    def work(number: int) -> int:
        denied = 0
        for turn in range(40):
            try:
                engine.run("step", key=f"k{number}", by=-1 if turn % 4 else 1)
            except InvariantViolationError:
                denied += 1
            seen.append(sum(engine.state.domain.values()))
        return denied

    with ThreadPoolExecutor(4) as threads:
        denied = sum(threads.map(work, range(4)))
    assert min(seen) >= 0
    assert denied > 0
    assert sum(engine.state.domain.values()) == 20 - 4 * 20 + denied


class Meeting:
    """An invariant that stops the commit that asks it, while another thread does something."""

    def __init__(self, engine: TheusEngine, act: Callable[[], Any]) -> None:
        self.act = act
        self.armed = False
        self.begin, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        engine.invariant(name="meeting")(self.ask)
        self.armed = True

    def ask(self, state: Any) -> None:
        _ = state.domain.x
        if self.armed:
            self.armed = False
            self.begin.set()
            assert self.over.wait(30)

    def work(self) -> None:
        assert self.begin.wait(30)
        self.act()
        self.over.set()


def test_what_a_rule_reads_may_change_between_check_and_install() -> None:
    engine = TheusEngine({"domain": {"strict": False, "x": 1}})
    engine.invariant(name="rule")(lambda state: not state.domain.strict or state.domain.x >= 0)
    meeting = Meeting(engine, lambda: engine.compare_and_swap(1, {"domain.strict": True}))
    tx = engine.begin()
    tx.update({"domain.x": -1})
    with pytest.raises(ConflictError):
        tx.commit()
    meeting.thread.join()
    assert engine.state.to_dict()["domain"] == {"strict": True, "x": 1}


def test_a_rule_may_come_between_check_and_install() -> None:
    engine = TheusEngine({"domain": {"x": 1}})
    meeting = Meeting(engine, lambda: put_past_lock(engine))
    tx = engine.begin()
    tx.update({"domain.x": -1})
    with pytest.raises(ConflictError):
        tx.commit()
    meeting.thread.join()
    assert set(engine.invariants) == {"meeting", "late"}
    assert engine.state.domain.x == 1


def put_past_lock(engine: TheusEngine) -> None:
    engine.invariant(name="late")(lambda state: state.domain.x >= 0)


def test_a_rule_may_go_between_check_and_install() -> None:
    engine = TheusEngine({"domain": {"x": 1, "y": 1}})
    engine.invariant(name="rule")(lambda state: state.domain.x >= 0)
    meeting = Meeting(engine, lambda: engine.remove_invariant("rule"))
    engine.compare_and_swap(1, {"domain.x": 4})
    meeting.thread.join()
    engine.compare_and_swap(2, {"domain.x": -4})


def test_a_rule_that_is_added_while_its_keys_change() -> None:
    engine = TheusEngine({"domain": {"x": 0}})
    stop = threading.Event()

    @process(inputs=["domain.x"], outputs=["domain.x"], name="up")
    def up(ctx: Any) -> None:
        ctx.domain.x += 1

    engine.register(up)

    def work() -> None:
        while not stop.is_set():
            engine.run("up")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for number in range(50):
            engine.invariant(name=f"rule {number}")(lambda state: state.domain.x >= 0)
    finally:
        stop.set()
        thread.join()
    refused(lambda: engine.compare_and_swap(engine.state.version, {"domain.x": -1}), engine)
    assert len(engine.invariants) == 50


def test_a_compare_and_swap_conflicts_on_its_own_keys_only() -> None:
    engine, _ = bank()
    engine.compare_and_swap(1, {"domain.b": 6})
    engine.compare_and_swap(1, {"domain.a": 6})
    assert engine.state.version == 3


def test_what_invariants_read_is_no_cause() -> None:
    engine, _ = bank(keep_reads=True)
    engine.register(take)
    engine.run(take, much=1)
    blame = engine.blame("domain.a")
    assert "domain.b" not in repr(blame)


# --- against a rule that is always asked ---------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.one_of(
    st.integers(-2, 3),
    st.dictionaries(KEYS, st.integers(-2, 3), max_size=2),
    st.lists(st.integers(-2, 3), max_size=3),
)
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, VALUES),
    st.tuples(st.just("inner"), KEYS, KEYS, st.integers(-2, 3)),
    st.tuples(st.just("del"), KEYS),
    st.tuples(st.just("append"), KEYS, st.integers(-2, 3)),
    st.tuples(st.just("item"), KEYS, st.integers(-2, 3)),
    st.tuples(st.just("pop"), KEYS),
    st.tuples(st.just("turn"), KEYS),
    st.tuples(st.just("incr"), KEYS, st.integers(-2, 2)),
    st.tuples(st.just("alias"), KEYS, KEYS),
)


def apply(tx: Any, step: tuple[Any, ...]) -> None:
    """One step on guards of a transaction; steps that do not fit do nothing."""
    verb, key, *rest = step
    there = tx.domain.get(key)
    if verb == "set":
        tx.domain[key] = copy.deepcopy(rest[0])
    elif verb == "del":
        tx.domain.pop(key, None)
    elif verb == "inner" and isinstance(there, dict | type(tx.domain)):
        there[rest[0]] = rest[1]
    elif verb == "incr" and not hasattr(there, "__len__"):
        tx.incr(f"domain.{key}", rest[0])
    elif verb == "alias" and key in tx.domain and rest[0] != key:
        tx.domain[rest[0]] = there
    elif hasattr(there, "append"):
        if verb == "append":
            there.append(rest[0])
        elif verb == "item" and len(there):
            there[0] = rest[0]
        elif verb == "pop" and len(there):
            there.pop()
        elif verb == "turn":
            there.reverse()


def number(value: Any) -> int:
    """A number of whatever is there, by a way that depends on what it is."""
    if hasattr(value, "append"):
        return len(value) - 1 if len(value) > 2 else sum(value)
    if hasattr(value, "get"):
        return int(value.get("a", 1)) if "b" not in value else sum(value.values())
    return 0 if value is None else int(value)


def rule_first(domain: Any) -> bool:
    return number(domain.get("a")) >= 0 or number(domain.get("b")) > 0


def rule_switch(domain: Any) -> bool:
    return "c" not in domain or number(domain["c"]) + number(domain.get("b")) >= -1


def rule_shape(domain: Any) -> bool:
    return len(domain) < 3 or next(iter(domain)) != "c"


RULES = (rule_first, rule_switch, rule_shape)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(STEPS, min_size=1, max_size=3), max_size=12))
def test_it_refuses_exactly_what_would_break_it(commits: list[list[tuple[Any, ...]]]) -> None:
    ruled = TheusEngine({"domain": {}})
    free = TheusEngine({"domain": {}})
    for rule in RULES:
        ruled.invariant(name=rule.__name__)(lambda state, rule=rule: rule(state.domain))
    for steps in commits:
        before = ruled.state.to_dict()
        with free.transaction() as tx:
            for step in steps:
                apply(tx, step)
        after = free.state.to_dict()
        holds = all(rule(after["domain"]) for rule in RULES)
        try:
            with ruled.transaction() as tx:
                for step in steps:
                    apply(tx, step)
        except InvariantViolationError:
            assert not holds
            assert ruled.state.to_dict() == before
            with free.transaction() as tx:
                tx.set("domain", before["domain"])
        else:
            assert holds
            assert ruled.state.to_dict() == after
            assert list(ruled.state.domain) == list(after["domain"])


def one_of_many(tx: Any, draw: random.Random) -> None:
    """A change that may break one of the rules, together with others."""
    keys = list("abc")
    step = draw.choice(["set", "inner", "del", "append", "item", "pop", "turn", "incr", "alias"])
    value = draw.choice([draw.randint(-2, 3), {"a": draw.randint(-2, 3)}, [draw.randint(-2, 3)]])
    key, other = draw.choice(keys), draw.choice(keys)
    rest = {
        "set": (value,),
        "inner": (other, draw.randint(-2, 3)),
        "incr": (draw.randint(-2, 2),),
        "alias": (other,),
    }
    apply(tx, (step, key, *rest.get(step, (draw.randint(-2, 3),))))


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
@pytest.mark.parametrize("seed", range(3))
def test_every_version_of_a_busy_engine_keeps_every_rule(isolation: str, seed: int) -> None:
    engine = TheusEngine({"domain": {}}, isolation=isolation, time_travel=True)
    for rule in RULES:
        engine.invariant(name=rule.__name__)(lambda state, rule=rule: rule(state.domain))

    def work(number: int) -> int:
        draw, denied = random.Random(1000 * seed + number), 0
        for _ in range(100):
            try:
                for attempt in engine.attempts():
                    with attempt as tx:
                        one_of_many(tx, draw)
                        time.sleep(0)
                        one_of_many(tx, draw)
            except InvariantViolationError:
                denied += 1
        return denied

    with ThreadPoolExecutor(4) as threads:
        denied = sum(threads.map(work, range(4)))
    assert denied > 0
    assert engine.state.version > 20
    for version in range(1, engine.state.version + 1):
        domain = engine.state_at(version).to_dict()["domain"]
        assert [rule.__name__ for rule in RULES if not rule(domain)] == []
