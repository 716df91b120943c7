"""Promise: what outlives its transaction refuses use, whatever its memory is used for by then."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from theus import OutboxMsg, TheusEngine, process
from theus.errors import TransactionStateError

START = {"domain": {"n": 0, "d": {"x": {"y": 0}}, "l": [1, [2], {"k": 1}], "s": {1, 2}}}

USES: dict[str, Callable[[dict[str, Any]], object]] = {
    "item": lambda held: held["domain"]["n"],
    "attribute": lambda held: held["domain"].n,
    "child": lambda held: held["d"]["x"],
    "assignment": lambda held: held["x"].__setitem__("y", 1),
    "deletion": lambda held: held["d"].__delitem__("x"),
    "iteration": lambda held: list(held["domain"]),
    "running iteration": lambda held: next(held["iterator"]),
    "keys": lambda held: list(held["domain"].keys()),
    "kept items": lambda held: list(held["items"]),
    "equality": lambda held: held["x"] == {},
    "plain copy": lambda held: held["domain"].to_dict(),
    "length": lambda held: len(held["l"]),
    "list item": lambda held: held["l"][0],
    "item of an item": lambda held: held["k"]["k"],
    "append": lambda held: held["l"].append(1),
    "sort": lambda held: held["l"].sort(),
    "membership": lambda held: 1 in held["s"],
    "addition": lambda held: held["s"].add(3),
    "set operation": lambda held: held["s"] | {3},
    "area": lambda held: held["tx"].domain,
    "path": lambda held: held["tx"].set("domain.n", 1),
    "commuting": lambda held: held["tx"].incr("domain.n", 1),
    "state": lambda held: held["tx"].state,
    "commit": lambda held: held["tx"].commit(),
    "savepoint": lambda held: held["point"].rollback(),
    "message": lambda held: held["outbox"].add(OutboxMsg("late", 1)),
}
ENDS = ["commit", "rollback", "error"]


@pytest.fixture
def engine() -> Iterator[TheusEngine]:
    with TheusEngine(START) as made:
        yield made


def hold(tx: Any) -> dict[str, Any]:
    """Handles of every kind, and a write, so that there are drafts too."""
    domain = tx.domain
    held: dict[str, Any] = {
        "tx": tx,
        "domain": domain,
        "d": domain["d"],
        "x": domain["d"]["x"],
        "l": domain["l"],
        "k": domain["l"][2],
        "s": domain["s"],
        "items": domain["d"].items(),
        "iterator": iter(domain["l"]),
        "point": tx.savepoint(),
        "outbox": tx.outbox,
    }
    next(held["iterator"])
    held["x"]["y"] = -1
    return held


def ended(engine: TheusEngine, end: str) -> dict[str, Any]:
    tx = engine.begin()
    if end != "error":
        held = hold(tx)
        getattr(tx, end)()
        return held
    with pytest.raises(ZeroDivisionError), tx:
        held = hold(tx)
        held["n"] = 1 // 0
    return held


def use_memory_again(engine: TheusEngine, times: int) -> None:
    for number in range(times):
        with engine.transaction() as tx:
            tx.domain["d"]["x"]["y"] = number + 1
            assert (tx.domain["l"][2]["k"], 1 in tx.domain["s"]) == (1, True)


@pytest.mark.parametrize("end", ENDS)
def test_every_use_after_the_end_is_refused(engine: TheusEngine, end: str) -> None:
    several = [ended(engine, end) for _ in range(5)]
    several[1:4] = []
    gc.collect()
    use_memory_again(engine, 1000)
    before = engine.state
    for held in several:
        for name, use in USES.items():
            with pytest.raises(TransactionStateError, match="ended"):
                pytest.fail(f"{name}: {use(held)!r}")
        assert "ended" in repr(held["x"])
        assert "y" not in repr(held["x"])
    assert engine.state is before


def test_a_guard_of_an_ended_transaction_cannot_be_assigned(engine: TheusEngine) -> None:
    held = ended(engine, "commit")
    with engine.transaction() as tx:
        with pytest.raises(TransactionStateError, match="ended"):
            tx.domain["again"] = held["x"]
        tx.domain["n"] = 1
    assert "again" not in engine.state.domain


def test_what_a_process_leaves_behind_is_refused(engine: TheusEngine) -> None:
    left: list[Any] = []

    @process(inputs=["domain"], outputs=["domain.n"])
    def body(ctx: Any) -> None:
        left.extend([ctx, ctx.domain, ctx.domain["d"]["x"]])
        ctx.domain["n"] += 1

    for _ in range(100):
        engine.run(body)
    assert engine.state.domain["n"] == 100
    for number, each in enumerate(left):
        with pytest.raises(TransactionStateError, match="'body' has ended"):
            pytest.fail(repr(each.domain["n"] if number % 3 == 0 else each.to_dict()))


def test_interleaved_transactions_keep_to_their_own(engine: TheusEngine) -> None:
    """Guards, drafts and transactions are made again from the memory of ended ones."""
    running: list[tuple[int, Any, Any, Any]] = []
    for number in range(600):
        tx = engine.begin()
        guard = tx.domain["d"]["x"]
        guard["y"] = number
        running.append((number, tx, guard, tx.state))
        if number % 3 == 2:
            _, other, _, _ = running.pop(len(running) // 2)
            other.rollback()
            del other
        if len(running) > 40:
            _, other, _, _ = running.pop(0)
            other.rollback()
    for number, tx, guard, state in running:
        assert guard["y"] == tx.domain["d"]["x"]["y"] == number
        assert state.domain["d"]["x"]["y"] == 0
        tx.rollback()
    assert engine.state.version == 1
    assert engine.stats()["snapshots_alive"] == len(running) + 1
