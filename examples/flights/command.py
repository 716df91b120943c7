"""What the command does: the job, its progress and its report."""

from __future__ import annotations

import argparse

from rich.console import Console

from flights.csvfile import TableError
from flights.job import Options, Outcome, run_job
from flights.progress import ProgressBars
from flights.report import print_report
from flights.tables import DataMissingError
from theus.errors import AuditError

__all__ = ["run"]


def run(given: argparse.Namespace) -> int:
    """Run the job; the exit status of the program."""
    console = Console(quiet=given.quiet)
    try:
        options = Options(given.out, given.workers, given.parts)
        outcome = _job(options, console)
    except (TableError, DataMissingError, AuditError) as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False)
        return 1
    print_report(outcome, console)
    return 0


def _job(options: Options, console: Console) -> Outcome:
    if console.quiet:
        return run_job(options)
    with ProgressBars(console) as bars:
        return run_job(options, bars.show)
