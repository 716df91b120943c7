"""The processes of the workflow, each with its contract.

`analyse_part` runs in worker processes on the shared arrays. `merge_part` runs many times at
once on the same totals: what one merge read, another may have changed before it commits; it is
then run again on the new totals, so no partial result is lost or added twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from flights import findings, quality, tables
from flights.analysis import add_topic, analyse, figures, split
from theus import OutboxMsg, SemanticType, StateUpdate, process
from theus.heavy import HeavyZoneAllocator

__all__ = ["PROCESSES", "analyse_part", "merge_part", "summarise"]

TABLES = ["heavy.flights", "heavy.weather", "heavy.weather_index"]


@process(
    outputs=[*TABLES, "domain.codes", "domain.names", "domain.parts"],
    errors=["TableError", "FileNotFoundError"],
    side_effects=["reads csv files"],
)
def load_tables(ctx: Any, zone: HeavyZoneAllocator, folder: str, parts: int) -> StateUpdate:
    """Read the csv files in `folder` into shared memory and divide the flights into `parts`."""
    loaded = tables.load_tables(Path(folder))
    names = loaded.names
    index = tables.weather_index(loaded.weather, len(names.origins))
    rows = split(len(loaded.flights), parts)
    domain = {
        "codes": {
            "carriers": names.carriers,
            "origins": names.origins,
            "destinations": names.destinations,
        },
        "names": {"carrier_names": names.carrier_names, "airport_names": names.airport_names},
        "parts": [
            {"id": f"{number:02}", "first": first, "last": last}
            for number, (first, last) in enumerate(rows)
        ],
    }
    heavy = {
        "flights": zone.put("flights", loaded.flights),
        "weather": zone.put("weather", loaded.weather),
        "weather_index": zone.put("weather_index", index),
    }
    return StateUpdate(data={"domain": domain}, heavy=heavy)


@process(inputs=TABLES, outputs=["domain.quality"])
def check_tables(ctx: Any) -> dict[str, dict[str, int]]:
    """Count what the audit rules decide about; a rule that fails refuses the commit."""
    flights, weather, index = (ctx.heavy[path.removeprefix("heavy.")] for path in TABLES)
    return {
        "flights": quality.check_flights(flights),
        "weather": quality.check_weather(flights, weather, index),
    }


@process(
    inputs=[*TABLES, "domain.codes"],
    outputs=["domain.partials.*"],
    semantic=SemanticType.PURE,
    errors=["ValueError"],
    parallel=True,
)
def analyse_part(ctx: Any, part: str, first: int, last: int) -> StateUpdate:
    """Analyse the flights from row `first` up to `last`, in a worker, without copying them."""
    partial = analyse(
        ctx.heavy["flights"][first:last],
        ctx.heavy["weather"],
        ctx.heavy["weather_index"],
        ctx.domain.codes,
    )
    return StateUpdate(key=("domain", "partials", part), val=partial)


@process(inputs=["domain.partials"], outputs=["domain.totals", "domain.partials", "domain.merged"])
async def merge_part(ctx: Any, part: str) -> None:
    """Add one partial result to the totals and take it away, both in one commit.

    It lets the other merges run after every topic, as a process that waits for something
    would; they change the same totals in the meantime.
    """
    for topic, groups in ctx.domain.partials[part].items():
        add_topic(ctx.domain.totals[topic], groups)
        await asyncio.sleep(0)
    del ctx.domain.partials[part]
    ctx.incr("domain.merged", 1)


@process(inputs=["domain.totals"], outputs=["domain.summary"])
def summarise(ctx: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """The figures of every group."""
    return {
        topic: {label: figures(groups[label]) for label in sorted(groups)}
        for topic, groups in ctx.domain.totals.items()
    }


@process(inputs=["domain.summary", "domain.names"], outputs=["domain.findings"])
def tell_findings(ctx: Any) -> list[findings.Finding]:
    """Put the findings into words, and each into a message of its own."""
    told = findings.find(ctx.domain.summary, ctx.domain.names)
    for finding in told:
        ctx.outbox.add(OutboxMsg("finding", finding, key=finding["id"]))
    return told


PROCESSES = (load_tables, check_tables, analyse_part, merge_part, summarise, tell_findings)
