"""Promise: arrays of the heavy zone are versions like all other state.

What a process writes through a lease is visible with its commit, whole, or never; who reads an
older version reads it to the end; and memory goes back when the last reader is gone.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from theus import ContractViolationError, StateUpdate, TheusEngine, process
from theus.errors import ContextError, HeavyReadOnlyError, HeavyZoneFullError, TheusError

N = 10_000


@process(inputs=["heavy.grid"], outputs=["heavy.grid", "domain.n"])
def bump(ctx: Any, by: float = 1.0, fail: bool = False) -> None:
    grid = ctx.heavy.writable("grid")
    grid += by
    ctx.domain.n = int(ctx.heavy["grid"][0])
    if fail:
        raise ValueError("no")


@process(outputs=["heavy.grid"])
def make(ctx: Any, value: float = 0.0) -> None:
    ctx.heavy.out("grid", (N,))[:] = value


@process(inputs=["heavy.grid"])
def total(ctx: Any) -> float:
    return float(ctx.heavy["grid"].sum())


@pytest.fixture
def engine() -> Iterator[TheusEngine]:
    with TheusEngine({"domain": {"n": 0}}) as made:
        made.run(make)
        yield made


def leased(engine: TheusEngine) -> int:
    gc.collect()
    return engine.heavy.stats().leased


def test_what_was_written_is_there_with_the_commit(engine: TheusEngine) -> None:
    before = engine.state.version
    engine.run(bump, by=2.5)
    assert engine.state.version == before + 1
    assert engine.state.domain.n == 2
    assert (engine.state.heavy["grid"] == 2.5).all()
    assert engine.run(total) == 2.5 * N


def test_an_exception_leaves_the_version_before_byte_for_byte(engine: TheusEngine) -> None:
    state, array = engine.state, engine.state.heavy["grid"]
    bytes_before, in_use = array.tobytes(), leased(engine)
    with pytest.raises(ValueError, match="no"):
        engine.run(bump, fail=True)
    assert engine.state is state
    assert engine.state.heavy["grid"] is array
    assert array.tobytes() == bytes_before
    assert leased(engine) == in_use


def test_a_reader_of_an_older_version_reads_it_to_the_end(engine: TheusEngine) -> None:
    old = engine.state
    for _ in range(5):
        engine.run(bump)
    assert (old.heavy["grid"] == 0).all()
    assert (engine.state.heavy["grid"] == 5).all()
    one = N * 8 // 4096 * 4096 + 4096
    assert leased(engine) == 2 * one
    del old
    engine.collect()
    assert leased(engine) == one


def test_a_hundred_versions_take_the_memory_of_two(engine: TheusEngine) -> None:
    engine.run(bump)
    chunks = engine.heavy.stats().chunk_bytes
    for _ in range(100):
        engine.run(bump)
    assert engine.heavy.stats().chunk_bytes == chunks
    assert engine.state.heavy["grid"][0] == 101


def test_of_two_that_write_one_key_both_are_counted(engine: TheusEngine) -> None:
    errors = []

    def work() -> None:
        try:
            for _ in range(20):
                engine.run(bump)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (engine.state.heavy["grid"] == 80).all()
    engine.collect()
    assert leased(engine) <= 2 * 81_920


def test_nobody_sees_it_before_the_commit(engine: TheusEngine) -> None:
    seen = []

    @process(inputs=["heavy.grid"], outputs=["heavy.grid"])
    def slowly(ctx: Any) -> None:
        grid = ctx.heavy.writable("grid")
        grid[: N // 2] = 7
        seen.append(float(engine.state.heavy["grid"].sum()))
        grid[N // 2 :] = 7
        seen.append(float(ctx.heavy["grid"].sum()))

    engine.run(slowly)
    assert seen == [0.0, 7.0 * N]
    assert (engine.state.heavy["grid"] == 7).all()


def test_the_same_attempt_writes_the_same_memory(engine: TheusEngine) -> None:
    @process(inputs=["heavy.grid"], outputs=["heavy.grid"])
    def twice(ctx: Any) -> bool:
        first, second = ctx.heavy.writable("grid"), ctx.heavy.writable("grid")
        first[0] = 5
        return bool(second[0] == 5 and ctx.heavy["grid"][0] == 5)

    leases = engine.heavy.stats().leases
    with pytest.raises(TheusError):  # what it returns is no array, and goes nowhere
        assert engine.run(twice)
        raise ContextError("it was right")
    assert engine.heavy.stats().leases == leases + 1


KEPT: list[Any] = []


@process(inputs=["heavy.grid"], outputs=["heavy.grid"])
def keeps(ctx: Any, how: str) -> None:
    grid = ctx.heavy.writable("grid")
    KEPT[:] = [{"array": grid, "view": grid[1:], "plain": np.asarray(grid)}[how]]


@pytest.mark.parametrize("how", ["array", "view", "plain"])
def test_what_a_process_kept_cannot_change_what_was_committed(
    engine: TheusEngine, how: str
) -> None:
    engine.run(keeps, how=how)
    kept = KEPT.pop()
    if how == "array":
        with pytest.raises(HeavyReadOnlyError):
            kept[0] = 9
    else:
        kept[:] = 9
        assert kept[0] == 9
    assert (engine.state.heavy["grid"] == 0).all()
    engine.run(bump)
    assert (engine.state.heavy["grid"] == 1).all()


def test_what_is_written_may_be_returned_or_put_elsewhere(engine: TheusEngine) -> None:
    @process(inputs=["heavy.grid"], outputs=["heavy.grid", "heavy.tail", "heavy.other"])
    def spread(ctx: Any) -> Any:
        grid = ctx.heavy.writable("grid")
        grid[:] = np.arange(N)
        ctx.heavy["tail"] = grid[-5:]
        KEPT[:] = [grid]
        return StateUpdate(heavy={"other": grid[::2]})

    engine.run(spread)
    heavy = engine.state.heavy
    for key, expected in [("tail", np.arange(N)[-5:]), ("other", np.arange(N)[::2])]:
        assert (heavy[key] == expected).all()
        with pytest.raises(ValueError, match="WRITEABLE"):
            heavy[key].flags.writeable = True
    with pytest.raises(HeavyReadOnlyError):
        KEPT.pop()[:] = 0
    assert (heavy["tail"] == np.arange(N)[-5:]).all()


def test_a_transaction_publishes_a_lease_of_the_allocator(engine: TheusEngine) -> None:
    lease = engine.heavy.lease((4,), "i4", key="table")
    mine = lease.array
    mine[:] = 3
    with engine.transaction() as tx:
        tx.update(heavy={"table": mine})
    assert engine.state.heavy["table"].tolist() == [3, 3, 3, 3]
    with pytest.raises(HeavyReadOnlyError):
        mine[0] = 4
    other = engine.heavy.lease((4,), "i4", key="table")
    other.array[:] = 5
    with engine.transaction() as tx:
        tx.update(heavy={"table": other.seal()})
    assert engine.state.heavy["table"].tolist() == [5, 5, 5, 5]


def test_the_contract_decides_who_writes(engine: TheusEngine) -> None:
    @process(inputs=["heavy.grid"])
    def reads(ctx: Any) -> None:
        ctx.heavy.writable("grid")

    @process(inputs=["heavy.grid"])
    def takes(ctx: Any) -> None:
        ctx.heavy.out("grid", 4)

    @process(outputs=["heavy.grid"], semantic="pure")
    def pure(ctx: Any) -> None:
        ctx.heavy.out("grid", 4)

    for func in (reads, takes, pure):
        with pytest.raises(ContractViolationError):
            engine.run(func)
    assert leased(engine) == 81_920


def test_what_cannot_be_leased_says_so(engine: TheusEngine) -> None:
    engine.compare_and_swap(engine.state.version, heavy={"thing": object()})

    @process()
    def tries(ctx: Any, key: str) -> None:
        ctx.heavy.writable(key)

    with pytest.raises(ContextError, match=r"heavy\.thing is a object, not an array"):
        engine.run(tries, key="thing")
    with pytest.raises(KeyError):
        engine.run(tries, key="missing")


def test_no_room_is_an_error_and_changes_nothing() -> None:
    with TheusEngine({"domain": {"n": 0}}, heap_mb=1) as engine:
        engine.run(make)
        state = engine.state

        @process(outputs=["heavy.big"])
        def big(ctx: Any) -> None:
            ctx.heavy.out("big", 1 << 20)

        with pytest.raises(HeavyZoneFullError, match="'big'"):
            engine.run(big)
        assert engine.state is state


def test_the_first_attempt_of_a_conflict_leaves_nothing(engine: TheusEngine) -> None:
    attempts = []

    @process(inputs=["heavy.grid"], outputs=["heavy.grid"])
    def disturbed(ctx: Any) -> None:
        grid = ctx.heavy.writable("grid")
        grid += 10
        attempts.append(float(grid[0]))
        if len(attempts) == 1:
            worker = threading.Thread(target=engine.run, args=(bump,))
            worker.start()
            worker.join()

    engine.run(disturbed)
    assert attempts == [10.0, 11.0]
    assert (engine.state.heavy["grid"] == 11).all()
    engine.collect()
    assert leased(engine) == 81_920
