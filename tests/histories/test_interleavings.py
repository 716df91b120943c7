"""All 34,650 orders of three transactions of four steps: each is as good as a serial one."""

from __future__ import annotations

import os

import pytest

from tests.histories.interleavings import SCENARIOS, Scenario, orders, run_order, serial_outcomes
from tests.model.subject import make_engine
from tests.oracle.reference import ReferenceEngine, Refused
from theus.errors import ConflictError

ORDERS = list(orders())
DEEP = os.environ.get("THEUS_TEST_DEPTH") == "deep"
EVERY = {"increments of one counter", "a ring of write skew", "phantoms in a mapping"}


def strange(scenario: Scenario, isolation: str = "serializable") -> list[tuple[int, ...]]:
    """The orders whose outcome no serial order gives; of some scenarios only each fifth is run."""
    allowed = serial_outcomes(scenario)
    bad = []
    for order in ORDERS if DEEP or scenario.name in EVERY else ORDERS[::5]:
        engine = make_engine({"domain": scenario.domain, "global": {}}, isolation)
        committed, outcome = run_order(engine, scenario, order, ConflictError)
        assert committed, "the first to commit cannot lose"
        if outcome not in allowed[committed]:
            bad.append(order)
    return bad


def test_number_of_orders() -> None:
    assert len(ORDERS) == len(set(ORDERS)) == 34_650


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_order_is_serializable(name: str) -> None:
    assert strange(SCENARIOS[name]) == []


def test_snapshot_isolation_is_not_serializable() -> None:
    assert strange(SCENARIOS["a ring of write skew"], "snapshot")


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_reference_agrees_on_some_orders(name: str) -> None:
    scenario = SCENARIOS[name]
    allowed = serial_outcomes(scenario)
    for order in ORDERS[::500]:
        engine = ReferenceEngine({"domain": scenario.domain})
        committed, outcome = run_order(engine, scenario, order, Refused)
        assert outcome in allowed[committed], order


def test_a_broken_reference_is_found_out() -> None:
    scenario = SCENARIOS["a ring of write skew"]
    allowed = serial_outcomes(scenario)
    bad = 0
    for order in ORDERS[::300]:
        engine = ReferenceEngine({"domain": scenario.domain}, fault="no-read-validation")
        committed, outcome = run_order(engine, scenario, order, Refused)
        bad += outcome not in allowed[committed]
    assert bad
