"""The analysis of one partition of the flights, and how partial results add up.

A *topic* divides all flights into groups (carriers, hours, routes, classes of weather). A
group is a plain dict of counters and of one histogram of arrival delays in whole minutes.
All of them add, so partial results merge in any order and any number of pieces to exactly
what one pass over the whole table gives: the histogram answers mean, median and every
share of late arrivals without the flights themselves.

Everything is pure: arrays in, plain values out.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flights.tables import FASTEST_WIND, MISSING, NO_WEATHER, hour_key

__all__ = [
    "BINS",
    "EARLIEST",
    "LATE_AFTER",
    "TOPICS",
    "UNKNOWN",
    "WEATHER_CLASSES",
    "Group",
    "Partial",
    "add_topic",
    "analyse",
    "empty_totals",
    "figures",
    "split",
]

EARLIEST, LATEST = -180, 1620
BINS = LATEST - EARLIEST + 1
LATE_AFTER = 15
"""An arrival is late when it is more than so many minutes behind schedule."""

Group = dict[str, Any]
"""``flights``, ``cancelled``, ``departed``, ``dep_minutes``: int; ``arrivals``: int32[BINS]."""

Partial = dict[str, dict[str, Group]]
"""Topic -> group -> its counters; groups without a flight are left out."""

Codes = NDArray[np.int64]

TOPICS = ("all", "carrier", "hour", "route", "rain", "wind", "visibility")


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes of one measure of the weather: `labels[i]` ends below `edges[i]`."""

    field: str
    edges: tuple[float, ...]
    labels: tuple[str, ...]


UNKNOWN = "not measured"

WEATHER_CLASSES = {
    "rain": Classes(
        "precip",  # measured in hundredths of an inch, so anything is at least 0.01
        (0.005, 0.1, 0.3),
        ("dry", "under 0.1 in/h", "0.1 to 0.3 in/h", "over 0.3 in/h"),
    ),
    "wind": Classes(
        "wind_speed",
        (5, 10, 15, 20, 25),
        (
            "under 5 mph",
            "5 to 10 mph",
            "10 to 15 mph",
            "15 to 20 mph",
            "20 to 25 mph",
            "over 25 mph",
        ),
    ),
    "visibility": Classes(
        "visib",
        (1, 3, 5, 10),
        ("under 1 mile", "1 to 3 miles", "3 to 5 miles", "5 to 10 miles", "10 miles"),
    ),
}


def split(rows: int, parts: int) -> list[tuple[int, int]]:
    """Divide `rows` into `parts` half-open ranges whose sizes differ by one at most."""
    if parts < 1:
        raise ValueError(f"the flights cannot be divided into {parts} parts; 1 is the least")
    marks = [rows * number // parts for number in range(parts + 1)]
    return list(pairwise(marks))


def analyse(
    flights: NDArray[np.void],
    weather: NDArray[np.void],
    index: NDArray[np.int32],
    names: Mapping[str, Sequence[str]],
) -> Partial:
    """The partial result of these flights; `names` has carriers, origins, destinations.

    Reads the arrays where they are (they may be views of shared memory) and changes
    nothing. Linear in the flights.

    Raises
    ------
    ValueError
        A delay lies outside `EARLIEST` .. `LATEST` minutes.
    """
    arr = flights["arr_delay"]
    arrived = arr != MISSING
    delays = arr[arrived].astype(np.int64)
    if len(delays) and (delays.min() < EARLIEST or delays.max() > LATEST):
        raise ValueError(
            f"arrival delays reach from {delays.min()} to {delays.max()} minutes; "
            f"the histogram holds {EARLIEST} to {LATEST}"
        )
    return {
        topic: _count_groups(flights, arrived, delays, codes, labels)
        for topic, (codes, labels) in _topics(flights, weather, index, names).items()
    }


def empty_totals() -> Partial:
    """What partial results are added to."""
    return {topic: {} for topic in TOPICS}


def add_topic(into: MutableMapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Add the groups of one topic of a partial result to the totals of that topic."""
    for label, group in groups.items():
        if label not in into:
            into[label] = dict(group)
            continue
        total = into[label]
        for field, value in group.items():
            total[field] = total[field] + value


def figures(group: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader wants to know of a group; exact but for the final division.

    ``flights, cancelled, arrived, late`` are counts, ``late_share`` is of the arrived,
    ``cancelled_share`` of the flights; delays are minutes. What has no flight to be
    computed from is None.
    """
    histogram = np.asarray(group["arrivals"])
    arrived = int(histogram.sum())
    late = int(histogram[LATE_AFTER + 1 - EARLIEST :].sum())
    total = int(histogram.astype(np.int64) @ np.arange(EARLIEST, LATEST + 1))
    flights, departed = int(group["flights"]), int(group["departed"])
    return {
        "flights": flights,
        "cancelled": int(group["cancelled"]),
        "cancelled_share": _share(int(group["cancelled"]), flights),
        "arrived": arrived,
        "late": late,
        "late_share": _share(late, arrived),
        "mean_delay": _share(total, arrived),
        "median_delay": _median(histogram) if arrived else None,
        "mean_departure_delay": _share(int(group["dep_minutes"]), departed),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _median(histogram: NDArray[np.int32]) -> float:
    """The middle delay, or halfway between the two middle ones."""
    seen = np.cumsum(histogram, dtype=np.int64)
    middle = [(seen[-1] - 1) // 2, seen[-1] // 2]
    low, high = np.searchsorted(seen, middle, side="right")
    return (int(low) + int(high)) / 2 + EARLIEST


def _topics(
    flights: NDArray[np.void],
    weather: NDArray[np.void],
    index: NDArray[np.int32],
    names: Mapping[str, Sequence[str]],
) -> dict[str, tuple[Codes, Sequence[str]]]:
    """Topic -> (number of the group of each flight, labels of the groups)."""
    origins, destinations = names["origins"], names["destinations"]
    routes = [f"{origin}-{dest}" for origin in origins for dest in destinations]
    rows = index[hour_key(flights)]
    topics: dict[str, tuple[Codes, Sequence[str]]] = {
        "all": (np.zeros(len(flights), np.int64), ["all"]),
        "carrier": (flights["carrier"].astype(np.int64), names["carriers"]),
        "hour": (flights["hour"].astype(np.int64), [f"{hour:02}" for hour in range(24)]),
        "route": (flights["origin"].astype(np.int64) * len(destinations) + flights["dest"], routes),
    }
    for topic, classes in WEATHER_CLASSES.items():
        codes = _weather_codes(weather[classes.field], rows, classes)
        topics[topic] = (codes, (*classes.labels, UNKNOWN))
    return topics


def _weather_codes(values: NDArray[np.float64], rows: NDArray[np.int32], classes: Classes) -> Codes:
    """The class of the weather of each flight; the last one is `UNKNOWN`."""
    of_hour = np.searchsorted(classes.edges, values, side="right")
    unknown = np.isnan(values)
    if classes.field == "wind_speed":
        unknown |= values > FASTEST_WIND
    of_hour[unknown] = len(classes.labels)
    of_hour = np.append(of_hour, len(classes.labels))
    return of_hour[np.where(rows == NO_WEATHER, len(values), rows)].astype(np.int64)


def _count_groups(
    flights: NDArray[np.void],
    arrived: NDArray[np.bool_],
    delays: NDArray[np.int64],
    codes: Codes,
    labels: Sequence[str],
) -> dict[str, Group]:
    size = len(labels)
    departed = flights["dep_time"] != MISSING
    count = np.bincount(codes, minlength=size)
    gone = np.bincount(codes[departed], minlength=size)
    minutes = np.zeros(size, np.int64)
    np.add.at(minutes, codes[departed], flights["dep_delay"][departed])
    cells = codes[arrived] * BINS + (delays - EARLIEST)
    histograms = np.bincount(cells, minlength=size * BINS).astype(np.int32).reshape(size, BINS)
    return {
        labels[code]: {
            "flights": int(count[code]),
            "cancelled": int(count[code] - gone[code]),
            "departed": int(gone[code]),
            "dep_minutes": int(minutes[code]),
            "arrivals": histograms[code].copy(),
        }
        for code in np.flatnonzero(count).tolist()
    }
