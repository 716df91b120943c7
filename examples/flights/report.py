"""The report in the terminal: findings, a chart, tables, and how the run went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flights.analysis import LATE_AFTER, WEATHER_CLASSES
from flights.findings import ENOUGH, Figures, Summary, ranked
from flights.job import Outcome

__all__ = ["print_report"]

ROUTES_SHOWN = 5
BAR_CELLS = 30
EIGHTHS = " ▏▎▍▌▋▊▉"

Row = tuple[str, Figures]


def print_report(outcome: Outcome, console: Console) -> None:
    """Write the whole report to `console`."""
    _heading(console, "Findings")
    console.print(_findings(outcome))
    summary, names = outcome.summary, outcome.names
    _heading(console, f"Arrivals more than {LATE_AFTER} minutes late, by hour of departure")
    console.print(_hours(summary))
    _heading(console, "Carriers (arrival delays in minutes)")
    console.print(_carriers(summary, names["carrier_names"]))
    _heading(console, f"Routes with at least {ENOUGH} flights: the {ROUTES_SHOWN} worst and best")
    console.print(_routes(summary, names["airport_names"]))
    _heading(console, "Weather at departure")
    console.print(_weather(summary))
    _heading(console, "The run")
    console.print(_run(outcome))


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _findings(outcome: Outcome) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(justify="right", style="dim")
    table.add_column()
    for number, finding in enumerate(outcome.findings, 1):
        table.add_row(str(number), Text(finding["text"]))
    for warning in outcome.warnings:
        table.add_row("!", Text(f"Audit: {warning}", style="yellow"))
    return table


def _figures_table(first: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for name in ("flights", "cancelled", "late", "mean", "median"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add(table: Table, label: str, row: Figures, style: str = "") -> None:
    table.add_row(
        label,
        f"{row['flights']:,}",
        _percent(row["cancelled_share"]),
        _percent(row["late_share"]),
        _minutes(row["mean_delay"]),
        _minutes(row["median_delay"]),
        style=style,
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _minutes(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"


def _bar(share: float, top: float) -> str:
    """A bar of `BAR_CELLS` cells at `top`, in steps of an eighth of a cell."""
    eighths = round(share / top * BAR_CELLS * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _hours(summary: Summary) -> Table:
    rows: list[Row] = sorted(ranked(summary["hour"], "late_share"))
    top = max((row["late_share"] for _, row in rows), default=0.0) or 1.0
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(justify="right")
    table.add_column(min_width=BAR_CELLS)
    table.add_column(justify="right")
    table.add_column(justify="right")
    for hour, row in rows:
        worst = row["late_share"] == top
        table.add_row(
            f"{hour}:00",
            Text(_bar(row["late_share"], top), style="dark_orange" if worst else "blue"),
            _percent(row["late_share"]),
            f"{row['flights']:,} flights",
            style="bold" if worst else "",
        )
    return table


def _carriers(summary: Summary, names: Mapping[str, str]) -> Table:
    table = _figures_table("carrier")
    rows = summary["carrier"].items()
    known = sorted(
        (item for item in rows if item[1]["arrived"]), key=lambda item: item[1]["late_share"]
    )
    for code, row in known:
        few = row["flights"] < ENOUGH
        _add(table, f"{code}  {names.get(code, code)}", row, "dim" if few else "")
    return table


def _routes(summary: Summary, airports: Mapping[str, str]) -> Table:
    rows = ranked(summary["route"], "mean_delay")
    table = _figures_table("route")
    shown: Iterable[Row] = rows[::-1][:ROUTES_SHOWN]
    for label, row in shown:
        _add(table, _route(label, airports), row)
    table.add_section()
    table.add_row("...", style="dim")
    for label, row in rows[:ROUTES_SHOWN][::-1]:
        _add(table, _route(label, airports), row)
    return table


def _route(label: str, airports: Mapping[str, str]) -> str:
    return f"{label}  {airports.get(label.split('-')[1], '')}".rstrip()


def _weather(summary: Summary) -> Table:
    table = _figures_table("")
    for topic, classes in WEATHER_CLASSES.items():
        table.add_row(topic, style="bold")
        for label in classes.labels:
            if label in summary[topic]:
                _add(table, f"  {label}", summary[topic][label])
    return table


def _run(outcome: Outcome) -> Table:
    stats = outcome.engine
    merges = outcome.steps.count("merge_part")
    facts: dict[str, Any] = {
        "time": f"{outcome.seconds:.1f} s",
        "processes run": f"{len(outcome.steps)}, {stats['commits']} commits",
        "shared memory": f"{outcome.heavy_bytes / 1e6:.1f} MB, read in place by all workers",
        "merges": f"{merges}, up to 8 at a time on the same totals",
        "conflicts": f"{stats['conflicts']}, answered by {stats['retries']} retries; "
        f"no process needed more than {stats['max_attempts']} attempts",
        "findings delivered": f"{outcome.delivered}, each once",
        "files": "\n".join(str(path) for path in outcome.files),
    }
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, value)
    return table
