"""Measure the goals and print, for each: floor, target, gate, measured, verdict.

    python -m benchmarks.run [--only 1,7,18] [--json FILE]

Figures are ratios of minima over interleaved rounds, unless a unit is printed. Exit 1 if a figure
misses its gate.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.table import EXTRA, GOALS, Goal, NotMeasured, Row, verdict_of

MODULES = (
    "goals_reads",
    "goals_commits",
    "goals_memory",
    "goals_calls",
    "goals_channels",
    "goals_conditions",
    "goals_diffs",
    "goals_contention",
    "goals_history",
    "goals_invariants",
    "goals_heavy",
)
HEAD = f"{'no':>3}  {'goal':<84}{'floor':>10}{'target':>11}{'gate':>11}{'measured':>11}  verdict"


def load() -> list[Goal]:
    """Import all goals; in the order of their numbers."""
    for name in MODULES:
        importlib.import_module(f"benchmarks.{name}")
    return [GOALS[number] for number in sorted(GOALS)]


def line(row: Row) -> str:
    """One figure as text."""
    bound, goal = row.bound, row.goal
    number = str(goal.number) if goal.number < EXTRA else "+"
    title = f"{goal.title}: {bound.what}" if bound.what else goal.title
    sign = "<=" if bound.at_most else ">="
    asked = ["-" if value is None else f"{sign} {value:g}" for value in (bound.target, bound.gate)]
    measured = f"{row.measured:.2f} {bound.unit}" if bound.unit else f"{row.measured:g}"
    return (
        f"{number:>3}  {title:<84}{bound.floor or '-':>10}{asked[0]:>11}{asked[1]:>11}"
        f"{measured:>11}  {row.verdict}"
    )


def measure(goals: Iterable[Goal]) -> tuple[list[Row], list[str]]:
    """Measure and print each goal; all rows, and what could not be measured."""
    rows, skipped = [], []
    print(HEAD)
    for goal in goals:
        start = perf_counter()
        try:
            found = goal.rows()
        except NotMeasured as reason:
            skipped.append(f"{goal.number:>3}  {goal.title}: not measured: {reason}")
            print(skipped[-1], flush=True)
            continue
        rows += found
        print(*map(line, found), sep="\n", flush=True)
        print(f"goal {goal.number}: {perf_counter() - start:.1f} s", file=sys.stderr)
    return rows, skipped


def summary(rows: Iterable[Row], skipped: list[str]) -> str:
    """How many goals are inside what; a goal counts by its worst figure."""
    by_goal: dict[int, list[Row]] = {}
    for row in rows:
        if row.goal.number < EXTRA:
            by_goal.setdefault(row.goal.number, []).append(row)
    count = Counter(verdict_of(found) for found in by_goal.values())
    return (
        f"{count['target']} of {len(by_goal)} measured goals inside their target, "
        f"{count['gate']} inside their gate only, {count['miss']} miss their gate, "
        f"{len(skipped)} not measured"
    )


def as_data(row: Row) -> dict[str, object]:
    """One figure as plain data."""
    bound = row.bound
    return {
        "number": row.goal.number,
        "goal": row.goal.title,
        "what": bound.what,
        "floor": bound.floor,
        "target": bound.target,
        "gate": bound.gate,
        "at_most": bound.at_most,
        "unit": bound.unit,
        "measured": row.measured,
        "verdict": row.verdict,
    }


def main() -> int:
    """Measure; 1 if a gate is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="numbers of goals, with commas")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    goals = load()
    if options.only:
        wanted = {int(number) for number in options.only.split(",")}
        goals = [goal for goal in goals if goal.number in wanted]
    rows, skipped = measure(goals)
    print(summary(rows, skipped))
    if options.json:
        Path(options.json).write_text(json.dumps([as_data(row) for row in rows], indent=1))
    return 1 if any(row.verdict == "miss" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
