"""One key written and committed, on every write path, in small and large states."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from benchmarks.states import WRITE_PATHS, engine_of, read_key

SIZES = (10, 100_000)


@pytest.mark.benchmark(group="commit of one key")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WRITE_PATHS)
def test_commit(benchmark: Any, name: str, size: int) -> None:
    engine, values, write = engine_of(size), count(1000), WRITE_PATHS[name]
    before = engine.stats()["commits"]
    benchmark(lambda: write(engine, next(values)))
    assert engine.state.domain["k3"] == next(values) - 1
    assert engine.stats()["commits"] - before == next(values) - 1001


@pytest.mark.benchmark(group="read of one key")
@pytest.mark.parametrize("size", SIZES)
def test_read(benchmark: Any, size: int) -> None:
    engine = engine_of(size)
    assert benchmark(read_key, engine) == engine.state.domain["k3"]
