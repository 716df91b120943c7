"""Promise: a returned value commits exactly as the same value set in a transaction would.

A lone output that is a leaf takes a shorter way through the core than other writes; here both
ways get the same trees, paths, values and neighbours.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theus import TheusEngine, process
from theus.errors import ConflictError, ContractViolationError, PathError, TheusError

NAMES = st.sampled_from(["a", "b", "items", "keys"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, -0.0, 1.0]), NAMES
)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda below: st.one_of(
            st.dictionaries(NAMES, below, max_size=3), st.lists(below, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)
VALUES = st.one_of(LEAVES.filter(lambda value: value is not None), TREES, st.lists(LEAVES))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: ".".join(["domain", *names]))


def outcome(engine: TheusEngine, work: Any) -> tuple[Any, ...]:
    """The error of some work, the state after it and what the log says of it."""
    try:
        work()
        failure = None
    except TheusError as error:
        failure = isinstance(error, (ContractViolationError, PathError))
    log = [[(op.kind, op.path) for op in record.ops] for record in engine._store.history.records(1)]
    domain = engine.state.domain.to_dict()
    return failure, engine.state.version, repr(domain), log


@settings(max_examples=300, deadline=None)
@given(tree=TREES, path=PATHS, value=VALUES, level=st.sampled_from(["serializable", "snapshot"]))
def test_as_if_set_by_path(tree: Any, path: str, value: Any, level: str) -> None:
    with (
        TheusEngine({"domain": tree}, isolation=level) as one,
        TheusEngine({"domain": tree}, isolation=level) as two,
    ):

        def by_hand() -> None:
            with two.transaction() as tx:
                tx.set(path, value)

        returning = process(outputs=[path])(lambda ctx: value)
        assert outcome(one, lambda: one.run(returning)) == outcome(two, by_hand)


@pytest.mark.parametrize(
    ("between", "again"),
    [
        ({"domain.out": 7}, True),
        ({"domain.seen": 7}, True),
        ({"domain": {"other": 7}}, False),
        ({"domain.inner.x": 7}, False),
    ],
)
def test_other_commits_meanwhile(between: dict[str, Any], again: bool) -> None:
    start = {"domain": {"out": 0, "seen": 0, "other": 0, "inner": {"x": 0}}}
    with TheusEngine(start) as engine:
        calls = []

        @process(inputs=["domain.seen"], outputs=["domain.out"])
        def work(ctx: Any) -> int:
            calls.append(ctx.domain.seen)
            if len(calls) == 1:
                engine.compare_and_swap(engine.state.version, data=between)
            return 5

        engine.run(work)
        assert engine.state.domain["out"] == 5
        assert len(calls) == (2 if again else 1)


def test_a_value_that_was_there_changes_nothing_and_comes_before_what_happened_meanwhile() -> None:
    with TheusEngine({"domain": {"out": 5}}) as engine:
        calls = []

        @process(outputs=["domain.out"])
        def work(ctx: Any) -> int:
            calls.append(1)
            if len(calls) == 1:
                engine.compare_and_swap(engine.state.version, data={"domain": {"out": 6}})
            return 5

        engine.run(work)
        assert (engine.state.domain["out"], engine.state.version, len(calls)) == (6, 2, 1)


def test_a_reader_from_outside_sees_the_container_change() -> None:
    with TheusEngine({"domain": {"user": {"name": "ann"}}}) as engine:
        engine.register(process(outputs=["domain.user.name"])(lambda ctx: "bob"))
        name = next(iter(engine.registry))
        with pytest.raises(ConflictError), engine.transaction() as tx:
            assert tx.domain.user.to_dict() == {"name": "ann"}
            engine.run(name)
            tx.domain["seen"] = True
        assert engine.state.domain.user.to_dict() == {"name": "bob"}


def test_what_the_body_wrote_and_a_returned_value_go_together() -> None:
    with TheusEngine({"domain": {"a": 0, "b": 0}}) as engine:

        @process(outputs=["domain.a", "domain.b"])
        def both(ctx: Any) -> tuple[int, int]:
            ctx.domain.a = 3
            ctx.domain.b = 3
            return 1, 2

        @process(outputs=["domain.a"])
        def one(ctx: Any) -> int:
            ctx.domain.a = 9
            del ctx.domain.a
            return 8

        engine.run(both)
        assert engine.state.domain.to_dict() == {"a": 1, "b": 2}
        engine.run(one)
        assert list(engine.state.domain.items()) == [("b", 2), ("a", 8)]


def test_an_output_that_is_private_is_refused() -> None:
    with TheusEngine({"domain": {"_a": 0}}) as engine, pytest.raises(ContractViolationError):
        engine.run(process(outputs=["domain._a"])(lambda ctx: 1))


def test_a_transaction_knows_whether_anything_is_pending() -> None:
    with TheusEngine({"domain": {"a": 0, "items": [1]}}) as engine:
        with engine.transaction() as tx:
            assert not tx.has_writes
            point = tx.savepoint()
            tx.domain["a"] = 1
            assert tx.has_writes
            point.rollback()
            assert not tx.has_writes
            tx.domain["items"].append(2)
            assert tx.has_writes


def test_a_first_write_is_seen_by_everything_that_looks() -> None:
    looks: list[Any] = [
        lambda tx: tx.domain["a"],
        lambda tx: tx.get("domain.a"),
        lambda tx: tx.peek("domain.a"),
        lambda tx: tx.domain.to_dict()["a"],
        lambda tx: dict(tx.domain.items())["a"],
        lambda tx: tx.pending_data["domain"]["a"],
        lambda tx: tx.delta_log[0].new,
        lambda tx: tx.data["domain"]["a"],
        lambda tx: tx.savepoint() and tx.domain["a"],
        lambda tx: tx.incr("domain.a", 0) or tx.domain["a"],
    ]
    for look in looks:
        with TheusEngine({"domain": {"a": 0, "b": 0}}) as engine, engine.transaction() as tx:
            tx.domain["a"] = 5
            assert look(tx) == 5
            tx.domain["b"] = 6
            assert (look(tx), tx.domain["b"]) == (5, 6)


def test_iteration_notices_a_first_write() -> None:
    with TheusEngine({"domain": {"a": 0, "b": 0}}) as engine, engine.transaction() as tx:
        keys = iter(tx.domain)
        next(keys)
        tx.domain["new"] = 1
        with pytest.raises(RuntimeError, match="changed size"):
            next(keys)
