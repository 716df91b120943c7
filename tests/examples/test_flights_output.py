"""What the flights example shows: chart, report, delivered findings, command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("rich", reason="the example reports with rich (extra `demo`)")

from flights import chart, command, run
from flights.delivery import FindingsFile
from flights.job import Outcome
from flights.progress import ProgressBars
from flights.report import print_report
from rich.console import Console

from theus import OutboxMsg

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {
    "carrier_names": {"AA": 'A & "B" <Air>', "UA": "United"},
    "airport_names": {"BOS": "Logan", "ATL": "Atlanta"},
}


def figures(late: int, arrived: int = 1000, mean: float = 5.0) -> dict[str, Any]:
    return {
        "flights": arrived + 20,
        "cancelled": 20,
        "cancelled_share": 20 / (arrived + 20),
        "arrived": arrived,
        "late": late,
        "late_share": late / arrived,
        "mean_delay": mean,
        "median_delay": -2.5,
        "mean_departure_delay": 7.0,
    }


@pytest.fixture
def summary() -> dict[str, dict[str, dict[str, Any]]]:
    return {
        "all": {"all": figures(240)},
        "carrier": {"AA": figures(100), "UA": figures(370), "ZZ": figures(3, arrived=10)},
        "hour": {"05": figures(100), "06": figures(200), "21": figures(400)},
        "route": {"JFK-BOS": figures(150, mean=-1.5), "EWR-ATL": figures(300, mean=9.25)},
        "rain": {"dry": figures(220), "over 0.3 in/h": figures(610), "not measured": figures(1)},
        "wind": {"under 5 mph": figures(196)},
        "visibility": {"10 miles": figures(215)},
    }


@pytest.fixture
def outcome(summary: dict[str, Any]) -> Outcome:
    return Outcome(
        summary=summary,
        names=NAMES,
        quality={},
        findings=[{"id": "one", "text": "A finding with [brackets].", "figures": {}}],
        steps=["load_tables", "merge_part", "merge_part"],
        engine={"commits": 3, "conflicts": 4, "retries": 4, "max_attempts": 5},
        heavy_bytes=2_000_000,
        warnings=["a wind too fast"],
        delivered=1,
        seconds=1.25,
        files=[Path("out") / "findings.jsonl"],
    )


def texts(root: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def test_the_chart_is_well_formed_and_says_what_it_shows(summary: dict[str, Any]) -> None:
    root = ElementTree.fromstring(chart.draw(summary, NAMES))
    assert root.get("role") == "img"
    title, described = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text
    assert described is not None and "1,000 arrivals, 24.0% of them late" in (described.text or "")
    shown = texts(root)
    assert 'A & "B" <Air>' in shown
    assert {"05", "06", "21", "37.0%", "61.0%", "dry"} <= set(shown)
    assert "not measured" not in shown
    assert "ZZ" not in shown, "a carrier with few flights is not ranked"


def test_bars_are_as_long_as_their_shares(summary: dict[str, Any]) -> None:
    root = ElementTree.fromstring(chart.draw(summary, NAMES))
    bars = [node for node in root.iter(f"{SVG}rect") if "bar" in node.get("class", "")]
    columns = {}
    for bar in bars:
        tip = bar.find(f"{SVG}title")
        assert tip is not None and tip.text
        columns[tip.text.split(":")[0]] = (float(bar.get("width", 0)), float(bar.get("height", 0)))
    heights = [columns[hour][1] for hour in ("05", "06", "21")]
    assert heights == pytest.approx([heights[0], 2 * heights[0], 4 * heights[0]], abs=0.2)
    assert columns["United"][0] == pytest.approx(3.7 * columns['A & "B" <Air>'][0], abs=0.4)


def test_the_worst_is_marked_twice_and_nothing_leaves_the_paper(summary: dict[str, Any]) -> None:
    root = ElementTree.fromstring(chart.draw(summary, NAMES))
    worst = [node.text for node in root.iter(f"{SVG}text") if node.get("class") == "worst-label"]
    assert {"21", "40%", "United", "37.0%", "over 0.3 in/h", "61.0%"} <= set(worst)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for node in root.iter(f"{SVG}rect"):
        right = float(node.get("x", 0)) + float(node.get("width", 0))
        bottom = float(node.get("y", 0)) + float(node.get("height", 0))
        assert right <= width and bottom <= height


def test_colours_of_text_and_bars_stand_out(summary: dict[str, Any]) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for rule, least in (("text", 4.5), (".note", 4.5), (".bar", 3.0), (".worst-bar", 3.0)):
        style = re.search(rf"^{re.escape(rule)} {{.*fill: (#\w+);", chart.STYLE, re.M)
        assert style is not None, rule
        assert 1.05 / (luminance(style[1]) + 0.05) >= least, rule


def test_the_report_shows_everything_at_80_columns(outcome: Outcome) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        print_report(outcome, console)
        shown = console.export_text()
    for text in (
        "A finding with [brackets].",
        "Audit: a wind too fast",
        '  A & "B" <Air>',
        "21:00",
        "EWR-ATL  Atlanta",
        "+9.2",
        "4, answered by 4 retries; no process needed more than 5 attempts",
        "2, up to 8 at a time",
        "findings.jsonl",
    ):
        assert text in shown or text in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.index("EWR-ATL") < shown.index("JFK-BOS"), "the worst route comes first"


def test_bars_in_the_terminal_follow_the_shares(outcome: Outcome) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        print_report(outcome, console)
        shown = console.export_text()
    lines = {line.split()[0]: line for line in shown.splitlines() if ":00" in line}
    assert lines["21:00"].count("█") == 30
    assert lines["06:00"].count("█") == 15
    assert lines["05:00"].count("█") == 7 and "▌" in lines["05:00"]


def test_a_message_is_written_once(tmp_path: Path) -> None:
    message = OutboxMsg("finding", {"id": "a", "text": "ü"})
    with FindingsFile(tmp_path / "f.jsonl") as file:
        file.deliver(message)
        file.deliver(message)
        file.deliver(OutboxMsg("finding", {"id": "b", "text": "b"}))
    lines = [json.loads(line) for line in file.path.read_text(encoding="utf-8").splitlines()]
    assert [line["finding"]["id"] for line in lines] == ["a", "b"]
    assert lines[0]["id"] == message.id


def test_progress_follows_the_state() -> None:
    class Domain:
        parts: tuple[int, ...] = ()
        partials: tuple[int, ...] = ()
        quality: tuple[int, ...] = ()
        findings: tuple[int, ...] = ()
        merged = 0

    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    domain = Domain()
    with console.file, ProgressBars(console) as bars:
        bars.show(domain)
        domain.parts, domain.quality, domain.partials = (1, 2, 3), (1,), (1, 2)
        domain.merged = 1
        bars.show(domain)
        done = {task.description: (task.completed, task.total) for task in bars._progress.tasks}
    assert done == {
        "Loading the tables": (1, 1),
        "Checking them": (1, 1),
        "Analysing partitions": (3, 3),
        "Merging partial results": (1, 3),
        "Telling the findings": (0, 1),
    }


@pytest.mark.parametrize("words", [["--workers", "0"], ["--parts", "x"], ["--unknown"]])
def test_a_wrong_command_line_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run.arguments(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_missing_data_ends_with_a_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flights.tables.PACKAGE", "no_such_data_package")
    given = run.arguments(["--out", str(tmp_path / "out")])
    assert command.run(given) == 1
    assert "extra `demo`" in capsys.readouterr().err
