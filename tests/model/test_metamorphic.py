"""Relations between runs that hold whatever the program does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.model.programs import KEYS, LEAVES, VALUES, list_calls, map_calls
from tests.model.subject import content, make_engine
from tests.oracle.methods import INVOKE
from tests.oracle.values import clone, same

Call = tuple[str, tuple[Any, ...]]
WRITING = frozenset(
    {
        "setitem",
        "delitem",
        "pop",
        "setdefault",
        "popitem",
        "clear",
        "update",
        "ior",
        "append",
        "extend",
        "iadd",
        "insert",
        "remove",
        "sort",
        "reverse",
    }
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)
LISTS = st.lists(VALUES, max_size=4)
ON_MAP = st.lists(map_calls(VALUES).filter(lambda call: call[0] in WRITING), max_size=5)
ON_LIST = st.lists(list_calls(VALUES).filter(lambda call: call[0] in WRITING), max_size=5)


def play(container: Any, program: list[Call]) -> None:
    """Do what can be done of a program."""
    for name, args in program:
        try:
            INVOKE[name](container, *clone(list(args)))
        except (KeyError, IndexError, TypeError, ValueError):
            continue


@given(MAPS, LISTS, ON_MAP, ON_LIST)
def test_disjoint_transactions_commute(
    left: Any, right: Any, on_left: list[Call], on_right: list[Call]
) -> None:
    states = []
    for order in (0, 1):
        engine = make_engine({"domain": {"left": left, "right": right}, "global": {}})
        one, two = engine.begin(), engine.begin()
        play(one.domain["left"], on_left)
        play(two.domain["right"], on_right)
        for tx in (one, two) if order else (two, one):
            tx.commit()
        states.append(content(engine.state))
        engine.shutdown()
    assert same(states[0], states[1])


@given(MAPS, ON_MAP, ON_MAP)
def test_rolled_back_to_a_savepoint_is_never_written(
    start: Any, kept: list[Call], undone: list[Call]
) -> None:
    states = []
    for with_savepoint in (False, True):
        engine = make_engine({"domain": {"it": start}, "global": {}})
        with engine.transaction() as tx:
            play(tx.domain["it"], kept)
            if with_savepoint:
                mark = tx.savepoint()
                play(tx.domain["it"], undone)
                tx.domain["other"] = 1
                mark.rollback()
        states.append((engine.state.version, content(engine.state)))
        engine.shutdown()
    assert states[0][0] == states[1][0]
    assert same(states[0][1], states[1][1])


@given(MAPS, ON_MAP)
def test_a_commit_split_in_two_gives_the_same_tree(start: Any, program: list[Call]) -> None:
    whole = make_engine({"domain": {"it": start}, "global": {}})
    parts = make_engine({"domain": {"it": start}, "global": {}})
    with whole.transaction() as tx:
        play(tx.domain["it"], program)
    for call in program:
        with parts.transaction() as tx:
            play(tx.domain["it"], [call])
    assert same(content(whole.state), content(parts.state))
    whole.shutdown()
    parts.shutdown()


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_goes_in_comes_out(tree: Any) -> None:
    engine = make_engine({"domain": tree, "global": {}})
    assert same(engine.state.domain.to_dict(), tree)
    assert same(content(engine.state)["domain"], tree)
    assert engine.state.domain == tree
    with engine.transaction() as tx:
        assert same(tx.domain.to_dict(), tree)
        tx.domain["copied"] = clone(tree)
    assert same(engine.state.domain["copied"].to_dict(), tree)
    engine.shutdown()


@given(MAPS, st.lists(ON_MAP, min_size=1, max_size=4))
def test_a_snapshot_does_not_see_later_commits(start: Any, programs: list[list[Call]]) -> None:
    engine = make_engine({"domain": {"it": start}, "global": {}})
    reader = engine.begin()
    held = [(engine.state, content(engine.state))]
    for program in programs:
        with engine.transaction() as tx:
            play(tx.domain["it"], program)
        held.append((engine.state, content(engine.state)))
    for state, frozen in held:
        assert same(content(state), frozen)
    assert same(reader.domain["it"].to_dict(), clone(start))
    reader.rollback()
    engine.shutdown()


@given(MAPS, ON_MAP)
def test_a_private_child_does_not_touch_its_parent(start: Any, program: list[Call]) -> None:
    """`State.update` outside an engine: a new State beside the old one."""
    engine = make_engine({"domain": {"it": start}, "global": {}})
    before, frozen = engine.state, content(engine.state)
    mine = clone(start)
    play(mine, program)
    child = before.update(data={"domain": {"it": clone(mine)}})
    assert same(content(child)["domain"]["it"], mine)
    assert engine.state is before
    assert same(content(before), frozen)
    engine.shutdown()


@given(st.lists(LEAVES, max_size=4), st.lists(LEAVES, min_size=1, max_size=4))
def test_refused_attempts_leave_no_trace(start: list[Any], values: list[Any]) -> None:
    """A transaction that lost and is repeated gives what one that won at once gives."""
    engine = make_engine({"domain": {"l": start, "hot": 0}, "global": {}})
    lost = engine.begin()
    lost.domain["l"].extend(lost.domain["l"][:] + values)
    with engine.transaction() as tx:
        tx.domain["l"].append("won")
    before = engine.state
    try:
        lost.commit()
        raise AssertionError("the list that was read has changed")
    except RuntimeError:
        assert engine.state is before
    with engine.transaction() as tx:
        tx.domain["l"].extend(tx.domain["l"][:] + values)
    base = [*start, "won"]
    assert same(content(engine.state)["domain"]["l"], base + base + values)
    engine.shutdown()
