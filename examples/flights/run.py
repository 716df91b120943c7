"""Run the job: ``python examples/flights/run.py [--out DIR] [--workers N] [--quiet]``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; ends the program with a message where it is wrong."""
    parser = argparse.ArgumentParser(
        description="On-time analysis of all flights that left New York City in 2013."
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/flights"),
        help="folder for findings.jsonl, flights.svg and summary.json (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=_count, default=2, help="worker processes (default: %(default)s)"
    )
    parser.add_argument(
        "--parts", type=_count, default=16, help="partitions of the flights (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="write the files and print nothing")
    return parser.parse_args(words)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return value


def main(words: list[str] | None = None) -> int:
    """Run the job as the command line says; 0, or 1 with a message where it cannot be done."""
    given = arguments(words)
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return int(import_module("flights.command").run(given))


if __name__ == "__main__":
    sys.exit(main())
