"""The findings of the analysis in plain words, each with the figures it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flights.analysis import LATE_AFTER, UNKNOWN

__all__ = ["ENOUGH", "Finding", "Summary", "find", "place_name", "ranked"]

ENOUGH = 300
"""Groups with fewer flights in the year, not even one a day, are not ranked."""

Figures = Mapping[str, Any]
Summary = Mapping[str, Mapping[str, Figures]]
"""Topic -> group -> what `analysis.figures` gives."""

Finding = dict[str, Any]
"""``id`` (stable), ``text`` (one sentence or two) and ``figures`` (group -> figures)."""

Names = Mapping[str, Mapping[str, str]]
Finder = Callable[[Summary, Names], Finding | None]


def find(summary: Summary, names: Names) -> list[Finding]:
    """All findings, in the order they are told; what lacks the flights to tell it is left out.

    `names` has the mappings ``carrier_names`` and ``airport_names`` from code to name.
    """
    told = (finder(summary, names) for finder in _FINDERS)
    return [finding for finding in told if finding is not None]


def ranked(groups: Mapping[str, Figures], by: str) -> list[tuple[str, Figures]]:
    """The groups with `ENOUGH` flights and a value of the figure `by`, lowest value first."""
    rows = [
        (label, row)
        for label, row in groups.items()
        if label != UNKNOWN and row["flights"] >= ENOUGH and row[by] is not None
    ]
    return sorted(rows, key=lambda item: (item[1][by], item[0]))


def place_name(route: str, airports: Mapping[str, str]) -> str:
    """``JFK to Los Angeles Intl (LAX)``; the bare code where the table lacks the airport."""
    origin, dest = route.split("-")
    known = airports.get(dest)
    return f"{origin} to {known} ({dest})" if known else f"{origin} to {dest}"


def _percent(share: float | None) -> str:
    return "no share" if share is None else f"{share:.1%}"


def _minutes(value: float) -> str:
    """``16.7 minutes late``, ``9.9 minutes early``."""
    side = "early" if value < 0 else "late"
    return f"{abs(value):.1f} minutes {side}"


def _finding(ident: str, text: str, groups: Mapping[str, Figures]) -> Finding:
    return {
        "id": ident,
        "text": text,
        "figures": {label: dict(row) for label, row in groups.items()},
    }


def _overall(summary: Summary, names: Names) -> Finding | None:
    row = summary["all"].get("all")
    if row is None or not row["arrived"]:
        return None
    text = (
        f"Of {row['flights']:,} flights {row['cancelled']:,} ({_percent(row['cancelled_share'])}) "
        f"were cancelled. {_percent(row['late_share'])} of the {row['arrived']:,} arrivals came "
        f"more than {LATE_AFTER} minutes late; the mean arrival was "
        f"{_minutes(row['mean_delay'])}, the median {_minutes(row['median_delay'])}."
    )
    return _finding("overall", text, {"all": row})


def _hours(summary: Summary, names: Names) -> Finding | None:
    rows = ranked(summary["hour"], "late_share")
    if len(rows) < 2:
        return None
    (best, least), (worst, most) = rows[0], rows[-1]
    text = (
        f"Delays build up over the day: of the departures scheduled from {best}:00 to {best}:59 "
        f"{_percent(least['late_share'])} arrive late, from {worst}:00 to {worst}:59 "
        f"{_percent(most['late_share'])} do."
    )
    return _finding("hours", text, {best: least, worst: most})


def _carriers(by: str, what: str) -> Finder:
    def finder(summary: Summary, names: Names) -> Finding | None:
        rows = ranked(summary["carrier"], by)
        if len(rows) < 2:
            return None
        (best, least), (worst, most) = rows[0], rows[-1]
        full = names["carrier_names"]
        show = _percent if by.endswith("share") else _minutes
        text = (
            f"By {what}, {full.get(best, best)} ({best}) does best with {show(least[by])} "
            f"and {full.get(worst, worst)} ({worst}) worst with {show(most[by])}."
        )
        return _finding(f"carriers-by-{by.replace('_', '-')}", text, {best: least, worst: most})

    return finder


def _cancelling(summary: Summary, names: Names) -> Finding | None:
    rows = ranked(summary["carrier"], "cancelled_share")
    if not rows:
        return None
    worst, most = rows[-1]
    overall = summary["all"]["all"]["cancelled_share"]
    text = (
        f"{names['carrier_names'].get(worst, worst)} ({worst}) cancels most: "
        f"{_percent(most['cancelled_share'])} of its flights, against {_percent(overall)} of all."
    )
    return _finding("carriers-by-cancelled-share", text, {worst: most})


def _busiest(summary: Summary, names: Names) -> Finding | None:
    rows = ranked(summary["route"], "flights")
    if not rows:
        return None
    label, row = rows[-1]
    text = (
        f"The busiest route is {place_name(label, names['airport_names'])} with "
        f"{row['flights']:,} flights; {_percent(row['late_share'])} of them arrive late."
    )
    return _finding("busiest-route", text, {label: row})


def _routes(summary: Summary, names: Names) -> Finding | None:
    rows = ranked(summary["route"], "mean_delay")
    if len(rows) < 2:
        return None
    (best, least), (worst, most) = rows[0], rows[-1]
    airports = names["airport_names"]
    text = (
        f"Of the routes with at least {ENOUGH} flights, {place_name(worst, airports)} is the "
        f"worst, on average {_minutes(most['mean_delay'])}, and {place_name(best, airports)} the "
        f"best, on average {_minutes(least['mean_delay'])}."
    )
    return _finding("routes", text, {best: least, worst: most})


def _weather(topic: str, good: str, bad: str, what: str) -> Finder:
    def finder(summary: Summary, names: Names) -> Finding | None:
        groups = summary[topic]
        if good not in groups or bad not in groups:
            return None
        fair, foul = groups[good], groups[bad]
        text = (
            f"Effect of {what}: {_percent(fair['late_share'])} of the arrivals are late and "
            f"{_percent(fair['cancelled_share'])} of the flights cancelled when it is '{good}' "
            f"at departure, {_percent(foul['late_share'])} and "
            f"{_percent(foul['cancelled_share'])} when it is '{bad}'."
        )
        return _finding(f"weather-{topic}", text, {good: fair, bad: foul})

    return finder


_FINDERS: tuple[Finder, ...] = (
    _overall,
    _hours,
    _carriers("mean_delay", "mean arrival"),
    _carriers("median_delay", "median arrival"),
    _carriers("late_share", "share of late arrivals"),
    _cancelling,
    _busiest,
    _routes,
    _weather("rain", "dry", "over 0.3 in/h", "rain"),
    _weather("wind", "under 5 mph", "over 25 mph", "wind"),
    _weather("visibility", "10 miles", "under 1 mile", "visibility"),
)
