"""The flights example on a real engine with small tables: contention, rules, contracts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flights import analysis, job
from flights.processes import PROCESSES, summarise
from flights.state import FlightsSystem

from tests.examples import independent, small
from tests.examples.test_flights_analysis import assert_same
from theus import TheusEngine, process
from theus.errors import AuditAbortError, ContractViolationError

WORKFLOW = job.HERE / "workflow.yaml"
RECIPE = job.HERE / "audit_recipe.yaml"
COUNT = 600


def small_rules(folder: Path) -> Path:
    """The rules of the job, for the small tables: other counts, the same tests."""
    text = RECIPE.read_text(encoding="utf-8")
    for full, little in (
        ("eq: 336776", f"eq: {COUNT}"),
        ("max: 336776", f"max: {COUNT}"),
        ("max: 3368", "max: 100"),
        ("eq: 8255", f"eq: {sum(row['dep_time'] == 'NA' for row in small.flights(COUNT))}"),
        ("min_len: 8", "min_len: 1"),
    ):
        assert full in text
        text = text.replace(full, little)
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[TheusEngine]:
    with TheusEngine(FlightsSystem(), audit_recipe=small_rules(tmp_path), pool="threads") as made:
        for function in PROCESSES:
            made.register(function)
        yield made


def run_workflow(engine: TheusEngine, folder: Path, parts: int = 12) -> list[str]:
    return asyncio.run(
        engine.execute_workflow_async(WORKFLOW, zone=engine.heavy, folder=str(folder), parts=parts)
    )


def test_merges_meet_and_nothing_is_lost(engine: TheusEngine, tmp_path: Path) -> None:
    small.write_tables(tmp_path)
    steps = run_workflow(engine, tmp_path)
    domain = engine.state.domain.to_dict()
    assert_same(domain["summary"], independent.compute(tmp_path))
    assert steps.count("analyse_part") == steps.count("merge_part") == domain["merged"] == 12
    assert domain["partials"] == {}, "every partial result was taken away by its merge"
    stats = engine.stats()
    assert stats["conflicts"] > 0
    assert stats["retries"] >= stats["conflicts"]
    assert stats["max_attempts"] <= 7
    assert len(engine.outbox) == len(domain["findings"]) > 0


def test_every_finding_is_sent_once_and_in_order(engine: TheusEngine, tmp_path: Path) -> None:
    run_workflow(engine, small.write_tables(tmp_path), parts=3)
    seen: list[Any] = []
    engine.attach_worker(seen.append)
    assert engine.process_outbox() == len(seen)
    assert engine.process_outbox() == 0
    findings = engine.state.domain.to_dict()["findings"]
    assert [message.payload for message in seen] == findings
    assert [message.key for message in seen] == [finding["id"] for finding in findings]


def test_tables_lie_in_shared_memory_and_are_read_only_in_processes(
    engine: TheusEngine, tmp_path: Path
) -> None:
    run_workflow(engine, small.write_tables(tmp_path), parts=2)
    flights = engine.heavy.get("flights")
    assert len(flights) == COUNT
    assert engine.state.heavy["flights"] is flights


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"dep_delay": "NA"}, "departed_without_delay"),
        ({"sched_dep_time": 459}, "wrong_clock"),
        ({"arr_delay": -400}, "earliest"),
        ({"arr_delay": 3000}, "latest"),
    ],
)
def test_flawed_tables_stop_the_job_at_the_check(
    engine: TheusEngine, tmp_path: Path, change: dict[str, Any], rule: str
) -> None:
    rows = small.flights(COUNT)
    flown = next(row for row in rows if row["arr_delay"] != "NA")
    flown.update(change)
    small.write_tables(tmp_path, rows)
    with pytest.raises(AuditAbortError, match=rf"domain\.quality\.flights\.{rule}"):
        run_workflow(engine, tmp_path)
    domain = engine.state.domain.to_dict()
    assert domain["quality"] == {}, "what a rule refused is not committed"
    assert domain["partials"] == {} and domain["findings"] == []
    assert len(engine.outbox) == 0


def test_a_missing_flight_and_one_listed_twice_are_noticed(
    engine: TheusEngine, tmp_path: Path
) -> None:
    rows = small.flights(COUNT)
    with pytest.raises(AuditAbortError, match="every flight that left"):
        run_workflow(engine, small.write_tables(tmp_path, rows[1:]))
    rows[0] = rows[1]
    with pytest.raises(AuditAbortError, match="No flight is listed twice"):
        run_workflow(engine, small.write_tables(tmp_path, rows))


def test_an_impossible_wind_is_counted_and_does_not_stop(
    engine: TheusEngine, tmp_path: Path
) -> None:
    run_workflow(engine, small.write_tables(tmp_path), parts=2)
    (warning,) = job._warnings(engine)
    assert "Wind speeds are possible" in warning


def test_a_partition_outside_of_the_table_is_refused(engine: TheusEngine, tmp_path: Path) -> None:
    run_workflow(engine, small.write_tables(tmp_path), parts=2)
    with pytest.raises(AuditAbortError, match="last"):
        engine.run("analyse_part", part="99", first=0, last=COUNT + 1)


def test_a_process_can_be_called_on_its_own() -> None:
    arrivals = np.zeros(analysis.BINS, np.int32)
    arrivals[[-analysis.EARLIEST, 20 - analysis.EARLIEST]] = 1
    group = {"flights": 2, "cancelled": 0, "departed": 2, "dep_minutes": 9, "arrivals": arrivals}
    ctx = SimpleNamespace(domain=SimpleNamespace(totals={"all": {"all": group}}))
    row = summarise(ctx)["all"]["all"]
    assert (row["late"], row["mean_delay"], row["median_delay"]) == (1, 10.0, 10.0)


def test_a_process_is_held_to_its_contract(engine: TheusEngine) -> None:
    @process(inputs=["domain.totals"], outputs=["domain.merged"])
    def sneak(ctx: Any) -> None:
        ctx.domain.totals["all"] = {}

    engine.register(sneak)
    before = engine.state
    with pytest.raises(ContractViolationError, match="totals"):
        engine.run("sneak")
    assert engine.state is before
