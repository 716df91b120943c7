"""`map` of pools: grouped, lazy, in order, and each item by itself when something goes wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.parallel import map_tasks as tasks
from tests.unit.parallel.conftest import BACKENDS
from theus.errors import NotTransferableError, SettingsError, TaskTimeoutError, WorkerDiedError
from theus.parallel import make_pool


@pytest.fixture(scope="module", params=BACKENDS)
def any_pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    pool = make_pool(request.param, size=2)
    yield pool
    pool.shutdown()


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    made = make_pool("processes", size=2)
    yield made
    made.shutdown()


def test_it_is_like_the_builtin(any_pool: Any) -> None:
    for size in (0, 1, 7, 5000):
        numbers = range(size)
        assert list(any_pool.map(tasks.double, numbers)) == [2 * number for number in numbers]
    assert list(any_pool.map(max, [1, 5, 3], [4, 2])) == [4, 5]
    assert list(any_pool.map(tasks.double, range(10), chunk=3)) == list(range(0, 20, 2))


def test_many_items_go_in_one_message(pool: Any) -> None:
    before = pool.stats().submitted
    assert sum(pool.map(tasks.double, range(20_000))) == 2 * sum(range(20_000))
    assert pool.stats().submitted - before < 1000


def test_an_endless_source_is_taken_as_there_is_room(any_pool: Any) -> None:
    numbers = itertools.count()
    values = any_pool.map(tasks.double, numbers, chunk=2)
    assert [next(values) for _ in range(5)] == [0, 2, 4, 6, 8]
    values.close()
    assert next(numbers) < 100


@pytest.mark.parametrize("chunk", [1, 4, 100, None])
def test_an_error_is_raised_in_its_place(any_pool: Any, chunk: int | None) -> None:
    values = any_pool.map(tasks.not_five, range(100), chunk=chunk)
    assert [next(values) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(values)
    assert list(values) == []


def test_an_item_that_kills_takes_nothing_with_it(pool: Any) -> None:
    values = pool.map(tasks.die_at_five, range(12), chunk=6)
    assert [next(values) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(WorkerDiedError):
        next(values)
    assert list(pool.map(tasks.double, [1, 2])) == [2, 4]


def test_an_item_over_its_limit(pool: Any) -> None:
    values = pool.map(tasks.sleeps, [0.0, 600.0], timeout=0.5)
    assert next(values) == 0.0
    with pytest.raises(TaskTimeoutError):
        next(values)


def test_what_cannot_travel_is_said(pool: Any) -> None:
    with pytest.raises(NotTransferableError, match="lambda"):
        list(pool.map(lambda x: x, [1]))
    with pytest.raises(NotTransferableError):
        list(pool.map(tasks.double, [lambda: 1]))


@pytest.mark.parametrize("chunk", [0, -3, 1.5, True])
def test_a_wrong_chunk_is_said_at_once(any_pool: Any, chunk: Any) -> None:
    with pytest.raises(SettingsError, match="chunk"):
        any_pool.map(tasks.double, [1], chunk=chunk)
