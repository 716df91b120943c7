"""What the audit rules look at: figures about the tables before anything is analysed.

The rules themselves are in ``audit_recipe.yaml``; here is only counting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flights.tables import FASTEST_WIND, MISSING, NO_WEATHER, hour_key

__all__ = ["check_flights", "check_weather"]


def check_flights(flights: NDArray[np.void]) -> dict[str, int]:
    """Counts about the flights; linear in the rows but for one sort of their identities."""
    dep, arr = flights["dep_delay"], flights["arr_delay"]
    departed, arrived = flights["dep_time"] != MISSING, arr != MISSING
    clock = flights["hour"].astype(np.int32) * 100 + flights["minute"]
    return {
        "rows": len(flights),
        "cancelled": int(np.count_nonzero(~departed)),
        "diverted": int(np.count_nonzero(departed & ~arrived)),
        "arrived_without_departing": int(np.count_nonzero(arrived & ~departed)),
        "departed_without_delay": int(np.count_nonzero(departed != (dep != MISSING))),
        "wrong_clock": int(np.count_nonzero(clock != flights["sched_dep_time"])),
        "listed_twice": len(flights) - len(np.unique(_identity(flights))),
        "earliest": _extreme(np.minimum, dep, arr),
        "latest": _extreme(np.maximum, dep, arr),
    }


def check_weather(
    flights: NDArray[np.void], weather: NDArray[np.void], index: NDArray[np.int32]
) -> dict[str, int]:
    """Counts about the weather and how it meets the flights; linear in the rows."""
    keys = hour_key(weather)
    repeated = np.bincount(keys, minlength=len(index)) > 1
    met = hour_key(flights)
    return {
        "rows": len(weather),
        "impossible_winds": int(np.count_nonzero(weather["wind_speed"] > FASTEST_WIND)),
        "repeated_hours": int(np.count_nonzero(repeated)),
        "flights_in_repeated_hours": int(np.count_nonzero(repeated[met])),
        "flights_without_weather": int(np.count_nonzero(index[met] == NO_WEATHER)),
    }


def _identity(flights: NDArray[np.void]) -> NDArray[np.int64]:
    """One number per (day, carrier, flight number, airport of departure)."""
    number = flights["month"].astype(np.int64)
    for field, size in (("day", 32), ("carrier", 128), ("flight", 1 << 15), ("origin", 128)):
        number = number * size + flights[field]
    return number


def _extreme(choose: np.ufunc, *columns: NDArray[np.int16]) -> int:
    """The lowest or highest delay there is; 0 when no flight has one."""
    known = [column[column != MISSING] for column in columns]
    return int(choose.reduce(np.concatenate(known))) if any(map(len, known)) else 0
