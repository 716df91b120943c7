"""Promise: a process writes in place in a worker as it does here, within its contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from theus import ContractViolationError, TheusEngine, process
from theus.errors import ContextError, HeavyReadOnlyError, HeavyZoneError, ImmutableError
from theus.parallel import ParallelContext


@dataclass
class User:
    name: str = "An"
    tags: list[str] = field(default_factory=list)


def start() -> dict[str, Any]:
    return {
        "domain": {
            "n": 1,
            "xs": [1, 2],
            "users": {"a": {"name": "An"}, "b": {"name": "Bo"}},
            "record": User(),
            "array": np.arange(4.0),
            "hidden": 5,
            "log_events": [1],
            "const_rate": 2,
            "results": {},
        }
    }


@process(inputs=["domain.n", "domain.xs"], outputs=["domain.n", "domain.xs"], parallel=True)
def grow(ctx: Any) -> None:
    ctx.domain.xs.append(ctx.domain.n)
    ctx.domain.n += len(ctx.domain.xs)


@process(outputs=["domain.users.*"], parallel=True)
def rename(ctx: Any) -> None:
    ctx.domain.users.a.name = "Anna"
    ctx.domain.users["c"] = {"name": "Cy"}


@process(outputs=["domain.results.sum"], parallel=True)
def into_a_mapping_that_is_there(ctx: Any) -> None:
    ctx.domain.results.sum = 3


@process(inputs=["domain.record"], outputs=["domain.record"], parallel=True)
def change_a_record(ctx: Any) -> None:
    ctx.domain.record.name = "Bo"
    ctx.domain.record.tags.append("x")


@process(inputs=["domain.array"], outputs=["domain.array"], parallel=True)
def change_an_array(ctx: Any) -> None:
    ctx.domain.array[1:] *= 2


@process(inputs=["domain.n"], outputs=["domain.xs"], parallel=True)
def writes_an_input(ctx: Any) -> None:
    ctx.domain.n = 3


@process(inputs=["domain.n"], outputs=["domain.xs"], parallel=True)
def writes_what_it_does_not_see(ctx: Any) -> None:
    ctx.domain["other"] = 3


@process(inputs=["domain.n"], outputs=["domain.xs"], parallel=True)
def looks_around(ctx: Any) -> None:
    list(ctx.domain)


@process(inputs=["domain.xs"], outputs=["domain.n"], parallel=True, semantic="pure")
def pure(ctx: Any) -> int:
    ctx.domain.xs.append(1)
    return 1


@process(parallel=True)
def appends_only(ctx: Any) -> None:
    ctx.domain.log_events.append(2)


@process(parallel=True)
def rewrites_a_log(ctx: Any) -> None:
    ctx.domain.log_events[0] = 2


@process(parallel=True)
def rewrites_a_constant(ctx: Any) -> None:
    ctx.domain.const_rate = 3


@process(outputs=["domain.n"], parallel=True)
def counts(ctx: Any) -> None:
    ctx.incr("domain.n", 1)


@process(parallel=True)
def fails_after_writing(ctx: Any) -> None:
    ctx.domain.n = 100
    ctx.heavy["x"] = 1
    raise ValueError("no")


@process(parallel=True)
def saves(ctx: Any) -> None:
    ctx.savepoint()


@process(parallel=True)
def peeks(ctx: Any) -> Any:
    return ctx.peek("domain.n"), ctx.ensure("domain.xs[0]"), ctx.peek("domain.gone", 7)


@process(inputs=["heavy.*"], outputs=["heavy.*"], parallel=True)
def heavy_writes(ctx: Any) -> None:
    made = ctx.heavy.out("made", (50_000,))
    made[:] = 2
    grid = ctx.heavy.writable("grid")
    grid += 1
    assert ctx.heavy["grid"][0] == grid[0]
    ctx.heavy["plain"] = np.ones(10)


@process(inputs=["heavy.grid"], outputs=["heavy.grid"], parallel=True)
def heavy_fails(ctx: Any) -> None:
    ctx.heavy.writable("grid")[:] = 9
    raise ValueError("no")


@process(inputs=["heavy.grid"], parallel=True)
def heavy_without_right(ctx: Any) -> None:
    ctx.heavy.writable("grid")


KEPT: list[Any] = []


@process(inputs=["heavy.grid"], outputs=["heavy.grid"], parallel=True)
def heavy_keeps(ctx: Any) -> None:
    KEPT.append(ctx.heavy.writable("grid"))
    KEPT.append(KEPT[0][5:])


@process(outputs=["domain.n"], parallel=True)
def writes_through_what_it_kept(ctx: Any) -> int:
    KEPT[1][:] = 77
    try:
        KEPT[0][:] = 77
    except HeavyReadOnlyError:
        return 1
    return 0


@pytest.fixture(params=["inline", "threads", "processes"])
def engine(request: pytest.FixtureRequest) -> Iterator[TheusEngine]:
    with TheusEngine(start(), pool=request.param, pool_size=1) as made:
        yield made


@pytest.fixture
def workers() -> Iterator[TheusEngine]:
    with TheusEngine(start(), pool="processes", pool_size=1) as made:
        with made.transaction() as tx:
            tx.update(heavy={"old": 1})
        lease = made.heavy.lease((10_000,), key="grid")
        lease.array[:] = 0
        with made.transaction() as tx:
            tx.update(heavy={"grid": lease.seal()})
        yield made


def test_writes_come_back_as_one_commit(engine: TheusEngine) -> None:
    engine.run(grow)
    domain = engine.state.domain
    assert (domain.n, list(domain.xs), engine.state.version) == (4, [1, 2, 1], 2)
    engine.run(rename)
    assert engine.state.domain.users == {
        "a": {"name": "Anna"}, "b": {"name": "Bo"}, "c": {"name": "Cy"},
    }  # fmt: skip
    engine.run(into_a_mapping_that_is_there)
    assert engine.state.domain.results == {"sum": 3}


def test_records_and_arrays_that_are_changed_come_back(engine: TheusEngine) -> None:
    engine.run(change_a_record)
    record = engine.state.domain.record
    assert (record.name, list(record.tags)) == ("Bo", ["x"])
    engine.run(change_an_array)
    assert engine.state.domain.array.tolist() == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (writes_an_input, r"Illegal Write.*'domain\.n'"),
        (writes_what_it_does_not_see, r"Illegal Write.*'domain\.other'"),
        (looks_around, r"Illegal Read.*'domain'"),
    ],
)
def test_the_contract_holds_at_the_access(engine: TheusEngine, func: Any, text: str) -> None:
    before = engine.state
    with pytest.raises(ContractViolationError, match=text):
        engine.run(func)
    assert engine.state is before


def test_a_pure_process_writes_nothing_in_place(engine: TheusEngine) -> None:
    with pytest.raises(ImmutableError, match=r"domain\.xs"):
        engine.run(pure)


def test_zones_hold_for_what_comes_back(engine: TheusEngine) -> None:
    engine.run(appends_only)
    assert list(engine.state.domain.log_events) == [1, 2]
    for func in (rewrites_a_log, rewrites_a_constant):
        before = engine.state
        with pytest.raises(ContractViolationError):
            engine.run(func)
        assert engine.state is before


def test_an_error_rolls_back_everything(engine: TheusEngine) -> None:
    before = engine.state
    with pytest.raises(ValueError, match="no"):
        engine.run(fails_after_writing)
    assert engine.state is before


def test_what_a_worker_does_not_have_says_so(engine: TheusEngine) -> None:
    with pytest.raises(ContextError, match="no savepoints"):
        engine.run(saves)
    assert engine.run(peeks) == (1, 1, 7)


def test_counters_are_exact_from_many_threads() -> None:
    with TheusEngine(start(), pool="processes", pool_size=2) as engine:
        list(engine.map(add_one, [None] * 200))
        assert engine.state.domain.n == 201
        threads = [
            threading.Thread(target=lambda: [engine.run(counts) for _ in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.state.domain.n == 281


@process(inputs=["domain.n"], outputs=["domain.n"], parallel=True)
def add_one(ctx: Any, item: None) -> None:
    ctx.domain.n += 1


def test_arrays_that_a_worker_writes_are_versions(workers: TheusEngine) -> None:
    before = workers.state
    workers.run(heavy_writes)
    heavy = workers.state.heavy
    assert (heavy["made"] == 2).all()
    assert (heavy["grid"] == 1).all()
    assert heavy["plain"].tolist() == [1.0] * 10
    assert heavy["old"] == 1
    assert (before.heavy["grid"] == 0).all()
    assert heavy["made"].shm is not None
    for key in ("made", "grid"):
        with pytest.raises(HeavyReadOnlyError):
            heavy[key][0] = 5


def test_a_worker_that_fails_leaves_the_array_and_no_memory(workers: TheusEngine) -> None:
    state, leased = workers.state, workers.heavy.stats().leased
    with pytest.raises(ValueError, match="no"):
        workers.run(heavy_fails)
    with pytest.raises(ContractViolationError, match="Illegal Write"):
        workers.run(heavy_without_right)
    assert workers.state is state
    assert (state.heavy["grid"] == 0).all()
    assert workers.heavy.stats().leased == leased


def test_what_a_worker_keeps_cannot_change_what_was_committed(workers: TheusEngine) -> None:
    workers.run(heavy_keeps)
    assert workers.run(writes_through_what_it_kept) == 1
    assert (workers.state.heavy["grid"] == 0).all()


def test_every_kind_of_pool_has_memory_for_arrays(engine: TheusEngine) -> None:
    engine.run(makes_an_array)
    assert engine.state.heavy["made"].tolist() == [3.0] * 4
    with pytest.raises(HeavyReadOnlyError):
        engine.state.heavy["made"][0] = 1


@process(outputs=["heavy.made"], parallel=True)
def makes_an_array(ctx: Any) -> None:
    ctx.heavy.out("made", 4)[:] = 3


def test_a_context_by_itself_has_no_memory_for_arrays() -> None:
    context = ParallelContext(writes=True)
    with pytest.raises(HeavyZoneError, match="no worker process"):
        context.heavy.out("made", 4)
