"""The checker and the generator prove themselves on the reference engine.

It is serializable by construction, so nothing may be found in its histories; broken in a named
way, or with snapshot isolation, the fitting anomalies must be found in them.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.histories.checker import check, names
from tests.histories.layouts import LAYOUTS
from tests.histories.workload import Shape, one_history
from tests.oracle.reference import ReferenceEngine, Refused

SHAPE = Shape()


def anomalies(layout: str, seeds: int, **options: str) -> set[str]:
    """Names of all anomalies of the histories of some seeds."""
    make = partial(ReferenceEngine, **options)
    found: set[str] = set()
    for seed in range(seeds):
        history = one_history(make, LAYOUTS[layout], seed, SHAPE, Refused)
        found |= names(check(history, realtime=True))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_serializable_histories_are_clean(layout: str) -> None:
    assert anomalies(layout, 12) == set()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_most_transactions_do_something(layout: str) -> None:
    made = [
        txn
        for seed in range(12)
        for txn in one_history(ReferenceEngine, LAYOUTS[layout], seed, SHAPE, Refused)
    ]
    assert 0.3 < sum(txn.ok for txn in made) / len(made) < 0.95


@pytest.mark.parametrize("layout", LAYOUTS)
def test_snapshot_isolation_shows_write_skew(layout: str) -> None:
    found = anomalies(layout, 60, isolation="snapshot")
    assert "G2" in found
    assert not found & {"G0", "G1a", "G1b", "G1c", "internal", "lost-write"}


@pytest.mark.parametrize("layout", ["list replaced", "register by item", "keys of a mapping"])
def test_missing_read_validation_is_found(layout: str) -> None:
    assert "G2" in anomalies(layout, 60, fault="no-read-validation")


def test_forgotten_stamps_are_found() -> None:
    assert "lost-update" in anomalies("register by item", 40, fault="stamp-not-moved")
