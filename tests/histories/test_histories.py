"""Random histories on the real engine: none has an anomaly; snapshot isolation shows write skew."""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.histories.checker import Anomaly, check, names
from tests.histories.layouts import LAYOUTS
from tests.histories.workload import Shape, one_history
from tests.model.subject import make_engine
from theus.errors import ConflictError

DEEP = os.environ.get("THEUS_TEST_DEPTH") == "deep"
SEEDS = 10_000 if DEEP else 770  # times 13 layouts: over 10,000 histories
SHAPES = (Shape(), Shape(txns=5, keys=2, longest=6, at_once=5), Shape(12, 4, 3, 6))


#: Layouts whose writes read nothing, so that snapshot isolation does not validate them either:
#: nothing is lost, but what was read before may be stale.
BLIND = {
    "list in place",
    "list by path",
    "list nested",
    "keys of a mapping",
    "items of a mapping",
}


def anomalies(
    layout: str, seeds: range, isolation: str = "serializable"
) -> dict[int, list[Anomaly]]:
    """What is found in the histories of some seeds."""
    make = partial(make_engine, isolation=isolation)
    found = {}
    for seed in seeds:
        shape = SHAPES[seed % len(SHAPES)]
        history = one_history(make, LAYOUTS[layout], seed, shape, ConflictError)
        if bad := check(history, realtime=True):
            found[seed] = bad
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_anomaly_in_interleaved_transactions(layout: str) -> None:
    assert anomalies(layout, range(SEEDS)) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_snapshot_isolation_shows_write_skew_and_nothing_worse(layout: str) -> None:
    found = anomalies(layout, range(90), "snapshot")
    kinds = {name for bad in found.values() for name in names(bad)}
    assert "G2" in kinds
    stale = {"G-single", "lost-update"} if layout in BLIND else set()
    assert kinds <= {"G2", "G2-realtime", "G-single-realtime"} | stale
