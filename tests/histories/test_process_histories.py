"""Ten thousand random histories of processes that suspend inside: no anomaly in any of them.

Every history is one event loop with some calls of `await engine.execute(...)` whose bodies await
before every step, so that any order of steps of all attempts can come about. The engine repeats
who lost. Half of the layouts are lists that are appended to, half are registers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import pytest

from tests.histories.checker import Anomaly, check, names
from tests.histories.layouts import LAYOUTS
from tests.histories.processes import process_history
from tests.model.subject import make_engine
from theus._core.fault import set_fault

DEEP = os.environ.get("THEUS_TEST_DEPTH") == "deep"
HISTORIES = 10_000  #: in all, at least
SEEDS = HISTORIES if DEEP else -(-HISTORIES // len(LAYOUTS))  #: per layout
SHAPES = ((3, 2), (4, 3), (5, 4), (4, 2))  #: processes and keys
WORKLOADS = {"list", "register"}

#: Writes of these read nothing, so nothing is lost under snapshot isolation, but what was read
#: before a write may be stale.
BLIND = {
    "list in place",
    "list by path",
    "list nested",
    "keys of a mapping",
    "items of a mapping",
}


@dataclass
class Tally:
    """What some histories came to."""

    histories: int = 0
    committed: int = 0
    repeated: int = 0
    found: dict[int, list[Anomaly]] = field(default_factory=dict)

    def kinds(self) -> set[str]:
        """Names of the anomalies that were found."""
        return {name for bad in self.found.values() for name in names(bad)}


def tally(layout: str, seeds: range, isolation: str = "serializable") -> Tally:
    """Run and check the histories of some seeds."""
    sums = Tally()
    for seed in seeds:
        count, keys = SHAPES[seed % len(SHAPES)]
        data = {"domain": LAYOUTS[layout].tree(keys), "global": {}}
        with make_engine(data, isolation) as engine:
            history = process_history(engine, LAYOUTS[layout], seed, count, keys)
            sums.repeated += engine.stats()["retries"]
        assert len(history) > count
        if bad := check(history, realtime=True):
            sums.found[seed] = bad
        sums.histories += 1
        sums.committed += sum(txn.ok for txn in history) - 1  # the last one only reads
    return sums


@pytest.fixture
def read_validation_off() -> Iterator[None]:
    """The planted bug that lets stale readers commit."""
    set_fault("no-read-validation")
    yield
    set_fault(None)


@pytest.fixture(scope="module")
def checked() -> Callable[[str], Tally]:
    """What all histories of a layout came to; they are run when a test first asks for them."""
    return cache(lambda layout: tally(layout, range(SEEDS)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_anomaly_in_processes_that_suspend(layout: str, checked: Callable[[str], Tally]) -> None:
    sums = checked(layout)
    assert sums.found == {}
    assert sums.committed > 2 * SEEDS, "the histories are too idle to say much"


def test_ten_thousand_histories_were_checked(checked: Callable[[str], Tally]) -> None:
    """Counted, not computed."""
    count: Counter[str] = Counter()
    for layout in LAYOUTS:
        count[LAYOUTS[layout].workload] += checked(layout).histories
    assert sum(count.values()) >= HISTORIES
    assert set(count) == WORKLOADS
    assert min(count.values()) > HISTORIES // 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_snapshot_isolation_shows_write_skew_and_nothing_worse(layout: str) -> None:
    sums = tally(layout, range(120), "snapshot")
    assert "G2" in sums.kinds()
    stale = {"G-single", "lost-update"} if layout in BLIND else set()
    assert sums.kinds() <= {"G2", "G2-realtime", "G-single-realtime"} | stale


@pytest.mark.usefixtures("read_validation_off")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_processes_without_read_validation_are_found_out(layout: str) -> None:
    assert "G2" in tally(layout, range(120)).kinds()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_processes_of_one_history_really_interleave(layout: str) -> None:
    """Attempts that were repeated show that conflicts happened: the tests above are not idle."""
    sums = tally(layout, range(60))
    assert sums.repeated > 20
