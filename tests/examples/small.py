"""Small tables in the form of the data package, made from a seed, for tests of the example."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from pathlib import Path
from typing import Any

FLIGHTS: list[str] = next(
    csv.reader(
        [
            "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,"
            "flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
        ]
    )
)
WEATHER: list[str] = next(
    csv.reader(
        [
            "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,"
            "visib,time_hour"
        ]
    )
)
CARRIERS = {"AA": "American", "B6": "JetBlue", "UA": 'United, "the" one'}
ORIGINS = ("EWR", "JFK", "LGA")
DESTINATIONS = ("ATL", "BOS", "SJU")

Row = dict[str, Any]


def flights(count: int, seed: int = 7) -> list[Row]:
    """Flights of January, some cancelled, some diverted, no two with the same number."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        hour, minute = chance.randrange(5, 24), chance.randrange(60)
        delay = min(int(chance.expovariate(1 / 20)) - 12, 1300)
        fate = chance.random()
        row = {
            "year": 2013,
            "month": 1,
            "day": chance.randrange(1, 29),
            "dep_time": "NA" if fate < 0.05 else hour * 100 + minute,
            "sched_dep_time": hour * 100 + minute,
            "dep_delay": "NA" if fate < 0.05 else delay,
            "arr_delay": "NA" if fate < 0.08 else delay + chance.randrange(-20, 20),
            "carrier": chance.choice(list(CARRIERS)),
            "flight": number + 1,
            "origin": chance.choice(ORIGINS),
            "dest": chance.choice(DESTINATIONS),
            "hour": hour,
            "minute": minute,
        }
        rows.append({name: row.get(name, "NA") for name in FLIGHTS})
    return rows


def weather(seed: int = 8) -> list[Row]:
    """Hours of January, some of them missing, some without a wind speed."""
    chance = random.Random(seed)
    rows = []
    for origin in ORIGINS:
        for place in range(28 * 24):
            if chance.random() < 0.02:
                continue
            row = {
                "origin": origin,
                "year": 2013,
                "month": 1,
                "day": place // 24 + 1,
                "hour": place % 24,
                "wind_speed": chance.choice(["NA", 0, 4.9, 5, 12.5, 20, 25, 31, 1048.36]),
                "precip": chance.choice([0, 0, 0, 0.01, 0.09, 0.1, 0.3, 1.2]),
                "visib": chance.choice([0, 0.99, 1, 3, 5, 9, 10]),
            }
            rows.append({name: row.get(name, "NA") for name in WEATHER})
    return rows


def text_of(columns: list[str], rows: list[Row]) -> str:
    """The rows as csv text with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_tables(
    folder: Path, flight_rows: list[Row] | None = None, weather_rows: list[Row] | None = None
) -> Path:
    """Write all files of the data package into `folder`; returns it."""
    rows = flights(600) if flight_rows is None else flight_rows
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", text_of(FLIGHTS, rows))
    hours = weather() if weather_rows is None else weather_rows
    (folder / "weather.csv").write_text(text_of(WEATHER, hours))
    names = [{"carrier": code, "name": name} for code, name in CARRIERS.items()]
    (folder / "airlines.csv").write_text(text_of(["carrier", "name"], names))
    (folder / "airports.csv").write_text("faa,name\nATL,Atlanta <Intl> & more\nBOS,Logan\n")
    return folder
