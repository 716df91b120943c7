"""The pure part of the flights example: analysis, quality, findings."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flights import analysis, findings, quality, tables
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import independent, small


class Case:
    """Small tables, loaded, and what the analysis of any slices of them gives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables = tables.load_tables(folder)
        names = self.tables.names
        self.codes = {
            "carriers": names.carriers,
            "origins": names.origins,
            "destinations": names.destinations,
        }
        self.names = {
            "carrier_names": names.carrier_names,
            "airport_names": names.airport_names,
        }
        self.index = tables.weather_index(self.tables.weather, len(names.origins))

    def analyse(self, first: int, last: int) -> analysis.Partial:
        flights = self.tables.flights[first:last]
        return analysis.analyse(flights, self.tables.weather, self.index, self.codes)

    def merged(self, slices: list[tuple[int, int]]) -> analysis.Partial:
        totals = analysis.empty_totals()
        for first, last in slices:
            for topic, groups in self.analyse(first, last).items():
                analysis.add_topic(totals[topic], groups)
        return totals

    def summary(self, slices: list[tuple[int, int]]) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            topic: {label: analysis.figures(group) for label, group in groups.items()}
            for topic, groups in self.merged(slices).items()
        }


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(small.write_tables(tmp_path_factory.mktemp("small")))


def assert_same(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for topic, groups in expected.items():
        assert found[topic].keys() == groups.keys(), topic
        for label, figures in groups.items():
            for name, value in figures.items():
                same = value if value is None else pytest.approx(value, rel=1e-12)
                assert found[topic][label][name] == same, (topic, label, name)


def test_small_tables_give_what_the_independent_way_gives(case: Case) -> None:
    assert_same(case.summary([(0, 600)]), independent.compute(case.folder))


@given(st.lists(st.integers(0, 600), max_size=12), st.randoms(use_true_random=False))
def test_any_pieces_in_any_order_add_up_to_the_whole(
    case: Case, cuts: list[int], chance: Any
) -> None:
    marks = sorted([0, 600, *cuts])
    slices = list(pairwise(marks))
    chance.shuffle(slices)
    assert case.summary(slices) == case.summary([(0, 600)])


def test_no_flights_give_no_groups(case: Case) -> None:
    assert case.analyse(5, 5) == analysis.empty_totals()


def test_inputs_stay_as_they_are(case: Case) -> None:
    flights = case.tables.flights.copy()
    flights.flags.writeable = False
    analysis.analyse(flights, case.tables.weather, case.index, case.codes)
    np.testing.assert_array_equal(flights, case.tables.flights)


def test_merging_changes_no_partial_result(case: Case) -> None:
    totals = analysis.empty_totals()
    first, second = case.analyse(0, 300), case.analyse(300, 600)
    for partial in (first, second):
        analysis.add_topic(totals["carrier"], partial["carrier"])
    again = case.analyse(0, 300)
    for label, group in again["carrier"].items():
        assert first["carrier"][label]["flights"] == group["flights"]
        np.testing.assert_array_equal(first["carrier"][label]["arrivals"], group["arrivals"])


@given(
    st.lists(
        st.integers(analysis.EARLIEST, analysis.EARLIEST + analysis.BINS - 1),
        min_size=1,
        max_size=60,
    )
)
def test_a_histogram_knows_mean_median_and_share(delays: list[int]) -> None:
    histogram = np.bincount(np.array(delays) - analysis.EARLIEST, minlength=analysis.BINS)
    group = {"flights": len(delays), "cancelled": 0, "departed": 0, "dep_minutes": 0}
    found = analysis.figures({**group, "arrivals": histogram.astype(np.int32)})
    assert found["median_delay"] == np.median(delays)
    assert math.isclose(found["mean_delay"], np.mean(delays), abs_tol=1e-9)
    assert found["late"] == sum(delay > analysis.LATE_AFTER for delay in delays)


def test_a_group_without_arrivals_has_no_delay(case: Case) -> None:
    group = {"flights": 2, "cancelled": 2, "departed": 0, "dep_minutes": 0}
    found = analysis.figures({**group, "arrivals": np.zeros(analysis.BINS, np.int32)})
    assert found["late_share"] is found["mean_delay"] is found["median_delay"] is None
    assert found["cancelled_share"] == 1.0


def test_a_delay_beyond_the_histogram_is_refused(case: Case) -> None:
    flights = case.tables.flights.copy()
    flights["arr_delay"][7] = 5000
    with pytest.raises(ValueError, match="to 5000 minutes; the histogram holds -180 to 1620"):
        analysis.analyse(flights, case.tables.weather, case.index, case.codes)


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_partitions_cover_every_row_once(rows: int, parts: int) -> None:
    ranges = analysis.split(rows, parts)
    assert [row for first, last in ranges for row in range(first, last)] == list(range(rows))
    sizes = [last - first for first, last in ranges]
    assert len(ranges) == parts
    assert max(sizes) - min(sizes) <= 1


def test_no_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="0 parts"):
        analysis.split(10, 0)


def test_quality_counts_every_flaw(case: Case) -> None:
    flights = case.tables.flights.copy()
    clean = quality.check_flights(flights)
    assert clean["rows"] == 600
    flaws = ("arrived_without_departing", "departed_without_delay", "wrong_clock", "listed_twice")
    assert all(clean[flaw] == 0 for flaw in flaws)
    gone = np.flatnonzero(flights["arr_delay"] != tables.MISSING)
    flights["dep_time"][gone[0]] = tables.MISSING
    flights["dep_delay"][gone[1]] = tables.MISSING
    flights["minute"][gone[2]] ^= 1
    flights[gone[3]] = flights[gone[4]]
    found = quality.check_flights(flights)
    assert [found[flaw] for flaw in flaws] == [1, 2, 1, 1]


def test_quality_of_the_weather(case: Case) -> None:
    weather = np.append(case.tables.weather, case.tables.weather[:1])
    found = quality.check_weather(case.tables.flights, weather, case.index)
    assert found["rows"] == len(weather)
    assert found["repeated_hours"] == 1
    assert found["impossible_winds"] == np.count_nonzero(weather["wind_speed"] > 1000)
    keys = tables.hour_key(case.tables.flights)
    assert found["flights_without_weather"] == np.count_nonzero(case.index[keys] < 0)


def test_findings_name_the_extremes(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "ENOUGH", 10)
    summary = case.summary([(0, 600)])
    told = {finding["id"]: finding for finding in findings.find(summary, case.names)}
    rows = {label: row for label, row in summary["hour"].items() if row["flights"] >= 10}
    worst = max(rows, key=lambda hour: rows[hour]["late_share"])
    assert (
        f"from {worst}:00 to {worst}:59 {rows[worst]['late_share']:.1%} do" in told["hours"]["text"]
    )
    assert worst in told["hours"]["figures"]
    assert told["overall"]["figures"]["all"]["flights"] == 600
    assert "American (AA)" in " ".join(finding["text"] for finding in told.values())
    assert len(told) == len(findings._FINDERS)


def test_what_cannot_be_told_is_left_out(case: Case) -> None:
    assert findings.find({topic: {} for topic in analysis.TOPICS}, case.names) == []
    few = case.summary([(0, 40)])
    told = {finding["id"] for finding in findings.find(few, case.names)}
    assert "overall" in told
    assert not told & {"hours", "routes", "busiest-route"}
