"""The numbers of the flights example, computed another way: csv and numpy, flight by flight.

Shares no code and no idea with the example: rows are read as texts, grouped into lists of
delays, joined with the weather through a dict of texts, and numpy's mean and median look at
the lists. Slow, obvious, and the second opinion.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

PLACE_AND_HOUR = ("origin", "year", "month", "day", "hour")


def rain(text: str) -> str:
    inches = float(text)
    if inches == 0:
        return "dry"
    if inches < 0.1:
        return "under 0.1 in/h"
    return "0.1 to 0.3 in/h" if inches < 0.3 else "over 0.3 in/h"


def wind(text: str) -> str:
    if text == "NA" or float(text) > 150:
        return "not measured"
    speed = float(text)
    if speed < 5:
        return "under 5 mph"
    for low in (5, 10, 15, 20):
        if speed < low + 5:
            return f"{low} to {low + 5} mph"
    return "over 25 mph"


def visibility(text: str) -> str:
    miles = float(text)
    if miles >= 10:
        return "10 miles"
    if miles >= 5:
        return "5 to 10 miles"
    if miles >= 3:
        return "3 to 5 miles"
    return "1 to 3 miles" if miles >= 1 else "under 1 mile"


def read_weather(folder: Path) -> dict[tuple[str, ...], dict[str, str]]:
    with open(folder / "weather.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in PLACE_AND_HOUR), row)
    return found


def groups_of(row: dict[str, str], weather: dict[str, str] | None) -> list[tuple[str, str]]:
    found = [
        ("all", "all"),
        ("carrier", row["carrier"]),
        ("hour", row["hour"].rjust(2, "0")),
        ("route", row["origin"] + "-" + row["dest"]),
    ]
    for topic, column, classify in (
        ("rain", "precip", rain),
        ("wind", "wind_speed", wind),
        ("visibility", "visib", visibility),
    ):
        found.append((topic, "not measured" if weather is None else classify(weather[column])))
    return found


def compute(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Topic -> group -> figures."""
    weather = read_weather(folder)
    delays: dict[tuple[str, str], list[int]] = defaultdict(list)
    departures: dict[tuple[str, str], list[int]] = defaultdict(list)
    flights: dict[tuple[str, str], int] = defaultdict(int)
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        text = io.TextIOWrapper(archive.open("flights.csv"), newline="")
        for row in csv.DictReader(text):
            hour = tuple(row[name] for name in PLACE_AND_HOUR)
            for group in groups_of(row, weather.get(hour)):
                flights[group] += 1
                if row["dep_time"] != "NA":
                    departures[group].append(int(row["dep_delay"]))
                if row["arr_delay"] != "NA":
                    delays[group].append(int(row["arr_delay"]))
    summary: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for group, count in flights.items():
        summary[group[0]][group[1]] = numbers(count, departures[group], delays[group])
    return summary


def numbers(flights: int, departures: list[int], delays: list[int]) -> dict[str, Any]:
    late = sum(1 for delay in delays if delay > 15)
    return {
        "flights": flights,
        "cancelled": flights - len(departures),
        "cancelled_share": (flights - len(departures)) / flights,
        "arrived": len(delays),
        "late": late,
        "late_share": late / len(delays) if delays else None,
        "mean_delay": float(np.mean(delays)) if delays else None,
        "median_delay": float(np.median(delays)) if delays else None,
        "mean_departure_delay": float(np.mean(departures)) if departures else None,
    }
