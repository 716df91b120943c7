"""The oracle answers the table of conflicts as written, so that it can judge others by it."""

from __future__ import annotations

import pytest

from tests.oracle.cases import CASES, TREE, Case
from tests.oracle.model import Model, Verdict
from tests.oracle.reference import ReferenceEngine, Refused
from tests.oracle.values import plain, same

ISOLATIONS = ("serializable", "snapshot")


FOUND_BY = {
    "no-read-validation": {"leaf", "keys, one appears", "append, length read"},
    "no-ancestor-check": {"removed container, write inside", "replaced set, add"},
}


def refused(engine: ReferenceEngine, case: Case) -> bool:
    """Whether the second transaction of a case was refused."""
    first, second = engine.begin(), engine.begin()
    case.first(first)
    case.second(second)
    first.commit()
    try:
        second.commit()
    except Refused:
        return True
    return False


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, isolation: str) -> None:
    case = CASES[name]
    assert refused(ReferenceEngine(TREE, isolation=isolation), case) == case.expected(isolation)


@pytest.mark.parametrize("fault", FOUND_BY)
def test_planted_bugs_change_answers(fault: str) -> None:
    wrong = {
        case.name
        for level in ISOLATIONS
        for case in CASES.values()
        if refused(ReferenceEngine(TREE, isolation=level, fault=fault), case)
        != case.expected(level)
    }
    assert FOUND_BY[fault] <= wrong


def test_a_commit_replays_on_the_newest_version() -> None:
    engine = ReferenceEngine(TREE)
    one, two = engine.begin(), engine.begin()
    one.domain["l"].append(1)
    one.domain["m"]["p"] = 1
    two.domain["l"].append(2)
    two.domain["m"]["q"] = 2
    two.commit()
    one.commit()
    assert engine.state.domain["l"] == [10, 20, 30, 2, 1]
    assert list(engine.state.domain["m"]) == ["q", "p"]


def test_a_readded_key_moves_to_the_end() -> None:
    engine = ReferenceEngine(TREE)
    tx = engine.begin()
    del tx.domain["a"]["x"]
    tx.domain["a"]["x"] = 1
    tx.commit()
    assert list(engine.state.domain["a"]) == ["y", "in", "x"]


def test_rolling_back_to_a_savepoint_is_never_having_written() -> None:
    model = Model(TREE)
    tx = model.begin()
    domain = tx.locate(("domain",))
    tx.call(domain, "setitem", "n", 6)
    mark = tx.savepoint()
    tx.call(domain, "setitem", "n", 7)
    tx.call(tx.locate(("domain", "l")), "append", 7)
    tx.call(domain, "pop", "a")
    tx.rollback_to(mark)
    model.commit(tx)
    expected = plain(TREE)
    expected["domain"]["n"] = 6
    assert same(model.newest, expected)


def test_an_alias_is_copied_with_its_last_content() -> None:
    model = Model(TREE)
    tx = model.begin()
    domain = tx.locate(("domain",))
    source = tx.locate(("domain", "a"))
    tx.call(domain, "setitem", "b", source)
    tx.call(source, "setitem", "x", 9)
    model.commit(tx)
    assert model.newest["domain"]["a"] == model.newest["domain"]["b"]
    assert model.newest["domain"]["b"]["x"] == 9
    assert model.newest["domain"]["a"] is not model.newest["domain"]["b"]


def test_writes_that_cancel_out_may_do_either() -> None:
    model = Model(TREE)
    one, two = model.begin(), model.begin()
    one.call(one.locate(("domain",)), "setitem", "n", 6)
    one.call(one.locate(("domain",)), "setitem", "n", 5)
    two.call(two.locate(("domain",)), "getitem", "n")
    two.call(two.locate(("domain",)), "setitem", "new", 5)
    assert model.judge(one) is Verdict.COMMIT
    model.commit(one)
    assert model.judge(two) is Verdict.EITHER


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1}, {True}),
        ([1], (1,)),
        ({1: 0}, {True: 0}),
    ],
)
def test_strict_comparison(left: object, right: object) -> None:
    assert same(left, left)
    assert not same(left, right)
