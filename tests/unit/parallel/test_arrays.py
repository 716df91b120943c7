"""Large arrays of tasks: through shared memory, held as long as somebody reads them."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.parallel import array_tasks as tasks
from theus.errors import (
    HeavyReadOnlyError,
    HeavyZoneFullError,
    NotTransferableError,
    WorkerDiedError,
)
from theus.heavy import HeavyZoneAllocator
from theus.parallel import ProcessPool
from theus.parallel.arrays import LARGE

N = 100_000


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[ProcessPool, HeavyZoneAllocator]]:
    with HeavyZoneAllocator(capacity_bytes=64 << 20) as zone:
        with ProcessPool(1, spare=0, heap=lambda: zone) as pool:
            yield pool, zone


@pytest.fixture
def pool(shared: tuple[ProcessPool, HeavyZoneAllocator]) -> ProcessPool:
    return shared[0]


@pytest.fixture
def zone(shared: tuple[ProcessPool, HeavyZoneAllocator]) -> HeavyZoneAllocator:
    shared[0].submit(tasks.drop).result()
    return shared[1]


def leased(zone: HeavyZoneAllocator) -> int:
    gc.collect()
    return zone.stats().leased


def until(what: Any) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


VARIANTS = {
    "float": np.arange(N, dtype="f8"),
    "big endian": np.arange(N, dtype=">i4"),
    "bool": np.arange(N) % 3 == 0,
    "complex": np.arange(N) * 1j,
    "datetime": np.arange(N).astype("datetime64[s]"),
    "bytes": np.array([b"abcdefg"] * N),
    "text": np.array(["äb"] * N),
    "structured": np.zeros(N, dtype=[("a", "i4"), ("b", "f8", (2,))]),
    "two dimensions": np.arange(N, dtype="f4").reshape(100, -1),
    "fortran": np.asfortranarray(np.arange(N, dtype="f4").reshape(100, -1)),
    "strided": np.arange(3 * N, dtype="f8")[::-3],
    "broadcast": np.broadcast_to(np.arange(1000.0), (100, 1000)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_arguments_and_results_are_equal(
    pool: ProcessPool, zone: HeavyZoneAllocator, variant: str
) -> None:
    array = VARIANTS[variant]
    leases = zone.stats().leases
    kind, dtype, shape, content, writeable = pool.submit(tasks.facts, array).result()
    assert zone.stats().leases > leases
    assert (kind, writeable) == ("ShmArray", False)
    assert (dtype, shape, content) == (array.dtype.str, array.shape, array.tobytes())
    back = pool.submit(tasks.same, array).result()
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.flags.f_contiguous == array.flags.f_contiguous or variant in (
        "strided",
        "broadcast",
    )
    assert (back == array).all()
    del back
    assert leased(zone) == 0


def test_small_arrays_and_arrays_of_objects_are_copied(
    pool: ProcessPool, zone: HeavyZoneAllocator
) -> None:
    leases = zone.stats().leases
    small = np.zeros(LARGE - 1, dtype="u1")
    objects = np.array([{"a": 1}] * N)
    for array in (small, objects, np.zeros(0), np.array(3.0)):
        found = pool.submit(tasks.same, array).result()
        assert type(found) is np.ndarray
        assert found.flags.writeable
        assert (found == array).all()
    assert zone.stats().leases == leases


def test_results_are_read_without_a_copy(pool: ProcessPool, zone: HeavyZoneAllocator) -> None:
    found = pool.submit(tasks.double, np.ones(N)).result()
    assert found.shm is not None
    assert (found == 2).all()
    with pytest.raises(HeavyReadOnlyError):
        found[0] = 1
    assert leased(zone) >= N * 8
    del found
    assert leased(zone) == 0


def test_what_lies_in_shared_memory_is_not_copied_again(
    pool: ProcessPool, zone: HeavyZoneAllocator
) -> None:
    lease = zone.lease(N)
    lease.array[:] = np.arange(N)
    sealed = lease.seal()
    named = zone.put("named", np.arange(N))
    leases = zone.stats().leases
    assert pool.submit(tasks.total, sealed).result() == sum(range(N))
    assert pool.submit(tasks.total, named).result() == sum(range(N))
    assert zone.stats().leases == leases
    back = pool.submit(tasks.part, sealed).result()
    assert back.tolist() == [1, 2]
    assert back.descriptor().block == sealed.descriptor().block
    zone.free("named")


def test_one_array_twice_in_a_message_is_one(pool: ProcessPool, zone: HeavyZoneAllocator) -> None:
    array = np.ones(N)
    leases = zone.stats().leases
    found = pool.submit(tasks.same, [array, array, {"again": array}]).result()
    assert zone.stats().leases == leases + 1
    assert found[0] is found[1] is found[2]["again"]


def test_an_argument_cannot_be_written(pool: ProcessPool) -> None:
    with pytest.raises(HeavyReadOnlyError, match=r"read-only.*copy"):
        pool.submit(tasks.write, np.ones(N)).result()


def test_what_a_task_keeps_stays_as_it_is(pool: ProcessPool, zone: HeavyZoneAllocator) -> None:
    assert pool.submit(tasks.keep, np.full(N, 3.0)).result() == 1
    assert leased(zone) >= N * 8
    for value in range(5):
        pool.submit(tasks.total, np.full(N, float(value))).result()
    assert pool.submit(tasks.kept).result() == 3.0 * N
    assert pool.submit(tasks.keep, np.full(N, 4.0)).result() == 2
    assert pool.submit(tasks.kept).result() == 7.0 * N
    pool.submit(tasks.drop).result()
    assert leased(zone) == 0


def test_a_cancelled_and_a_failed_task_give_their_memory_back(
    pool: ProcessPool, zone: HeavyZoneAllocator
) -> None:
    busy = pool.submit(time.sleep, 0.3)
    waiting = pool.submit(tasks.total, np.ones(N))
    assert waiting.cancel()
    busy.result()
    assert leased(zone) == 0
    with pytest.raises(NotTransferableError):
        pool.submit(tasks.total, [np.ones(N), lambda: None])
    assert leased(zone) == 0


def test_the_memory_of_a_dead_worker_goes_back() -> None:
    with (
        HeavyZoneAllocator() as zone,
        ProcessPool(1, spare=1, heap=lambda: zone) as pool,
    ):
        with pytest.raises(WorkerDiedError):
            pool.submit(tasks.die, np.ones(N)).result()
        with pytest.raises(WorkerDiedError):  # while it sends a result it was lent memory for
            pool.submit(tasks.die_with_result, N).result()
        pool.submit(tasks.keep, np.ones(N)).result()
        assert leased(zone) > 0
        for pid in pool.pids():
            os.kill(pid, 9)
        until(lambda: leased(zone) == 0)
        assert pool.submit(tasks.total, np.ones(N)).result() == N


def test_who_does_not_wait_is_told_that_there_is_no_room() -> None:
    with (
        HeavyZoneAllocator(capacity_bytes=2 << 20) as zone,
        ProcessPool(1, spare=0, heap=lambda: zone) as pool,
    ):
        held = zone.lease(1 << 20, "u1").seal()
        with pytest.raises(HeavyZoneFullError):
            pool.submit(tasks.total, np.ones(1 << 17), wait=False)
        found = pool.submit(tasks.double, held).result()  # no room for the result: it is copied
        assert type(found) is np.ndarray
        assert pool.stats().pending == 0
        futures = []
        del held
        for _ in range(20):  # more than there is room for at a time: each waits for the others
            futures.append(pool.submit(tasks.total, np.ones(1 << 16)))
        assert [future.result() for future in futures] == [1 << 16] * 20


def test_a_pool_has_memory_of_its_own_and_leaves_none() -> None:
    with ProcessPool(1, spare=0) as pool:
        found = pool.submit(tasks.double, np.ones(N)).result()
        name = found.shm.name
        assert name in os.listdir("/dev/shm")
    assert name not in os.listdir("/dev/shm")
    assert (found == 2).all()


def test_reading_takes_no_memory_of_the_worker(pool: ProcessPool, zone: HeavyZoneAllocator) -> None:
    lease = zone.lease((32 << 20) // 8)
    lease.array[:] = 1
    sealed = lease.seal()
    pool.submit(tasks.own_memory_after, sealed).result()
    grown, found = pool.submit(tasks.own_memory_after, sealed).result()
    assert found == sealed.size
    assert grown < 1 << 20
