"""Promise: the state is a tree. A body that ties a knot gets an error that names the place, on
every way on which the knot would be followed, and leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import CycleError


def two_areas() -> TheusEngine:
    return TheusEngine({"domain": {"a": {"k": 1}, "b": {"k": 1}, "lists": [[1], [2]], "ok": 0}})


def each_holds_the_other(domain: Any) -> None:
    domain.a["other"] = domain.b
    domain.b["other"] = domain.a


def lists_hold_each_other(domain: Any) -> None:
    domain.lists[0].append(domain.lists[1])
    domain.lists[1].append(domain.lists[0])


def a_pending_dict_holds_its_holder(domain: Any) -> None:
    domain.a["inner"] = {}
    domain.a["inner"]["holder"] = domain.a


def a_pending_list_holds_its_holder(domain: Any) -> None:
    mine: dict[str, Any] = {}
    domain.a["inner"] = [mine]
    mine["holder"] = domain.a


def a_pending_dict_holds_itself(domain: Any) -> None:
    domain.a["inner"] = {}
    domain.a["inner"]["me"] = domain.a["inner"]


KNOTS = [
    each_holds_the_other,
    lists_hold_each_other,
    a_pending_dict_holds_its_holder,
    a_pending_list_holds_its_holder,
    a_pending_dict_holds_itself,
]


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
@pytest.mark.parametrize("tie", KNOTS)
def test_a_commit_refuses_it(tie: Callable[[Any], None], isolation: str) -> None:
    engine = (
        two_areas()
        if isolation == "serializable"
        else TheusEngine(two_areas().state.to_dict(), isolation=isolation)
    )
    before = engine.state
    with pytest.raises(CycleError, match="contains itself"), engine.transaction() as tx:
        tie(tx.domain)
    assert engine.state is before
    with engine.transaction() as tx:
        tx.domain.ok = 1
    assert engine.state.domain.ok == 1


@pytest.mark.parametrize(
    "look",
    [
        lambda tx: tx.domain.a.to_dict(),
        lambda tx: repr(tx.domain.a),
        lambda tx: tx.domain.a == {},
        lambda tx: tx.pending_data,
        lambda tx: tx.delta_log,
    ],
    ids=["to_dict", "repr", "equal", "pending_data", "delta_log"],
)
def test_looking_at_it_ends(look: Callable[[Any], Any]) -> None:
    with two_areas().begin() as tx:
        each_holds_the_other(tx.domain)
        with pytest.raises(CycleError, match=r"domain\.[ab]"):
            look(tx)
        tx.rollback()


def test_a_process_that_returns_it() -> None:
    engine = two_areas()

    @process
    def knot(ctx: Any) -> Any:
        each_holds_the_other(ctx.domain)
        return ctx.domain.a

    engine.register(knot)
    before = engine.state
    with pytest.raises(CycleError) as caught:
        engine.run("knot")
    assert caught.value.path in ("domain.a", "domain.b")
    assert engine.state is before


def test_in_a_thread_and_more_than_once() -> None:
    engine = two_areas()
    errors: list[str] = []

    def work() -> None:
        for tie in KNOTS:
            try:
                with engine.transaction() as tx:
                    tie(tx.domain)
            except CycleError as error:
                errors.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == ["T104"] * (4 * len(KNOTS))
    assert engine.state.version == 1


def test_a_value_that_is_only_deep_is_copied() -> None:
    engine = two_areas()
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"k": deep}
    with engine.transaction() as tx:
        tx.domain.a["deep"] = deep
        tx.domain.b["deep"] = tx.domain.a["deep"]
        assert tx.domain.b.to_dict() == {"k": 1, "deep": deep}
    assert engine.state.domain.b.to_dict() == {"k": 1, "deep": deep}


def test_two_places_for_one_container_are_no_knot() -> None:
    engine = two_areas()
    with engine.transaction() as tx:
        tx.domain.a["first"] = tx.domain.b
        tx.domain.a["second"] = tx.domain.b
        assert tx.domain.a.to_dict() == {"k": 1, "first": {"k": 1}, "second": {"k": 1}}
    assert engine.state.domain.a.second == {"k": 1}
