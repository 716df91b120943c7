"""Tries every case of the matrices and prints what came of it; `make matrices` runs it.

The tests try a part of each, chosen so that every row is met. Ends with exit code 1 where a case
went wrong.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.matrices import audit, contracts  # noqa: E402

ACTS = "tests/behaviour/test_pure_acts.py::test_an_act_is_refused_and_has_no_effect"
ZONES = "tests/behaviour/test_zones.py::test_an_act_inside_a_zone"


class Counted:
    """Counts the tests of a run."""

    def __init__(self) -> None:
        self.tried = 0
        self.passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.tried += 1
            self.passed += report.passed


def tests(name: str) -> dict[str, int]:
    """The cases of a parametrized test: how many, and how many of them hold."""
    counted = Counted()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-q", "-p", "no:cacheprovider", str(ROOT / name)], [counted])
    return {"cases": counted.tried, "hold": counted.passed}


def main() -> int:
    """Print a line per matrix."""
    wrong = 0
    for title, counts in (("contracts", contracts.counts()), ("audit", audit.counts())):
        wrong += sum(counts.get(kind, 0) for kind in contracts.WRONG | audit.WRONG)
        print(f"{title}: {', '.join(f'{number} {kind}' for kind, number in counts.items())}")
    for title, name in (("impure acts blocked", ACTS), ("acts in zones", ZONES)):
        found = tests(name)
        wrong += found["cases"] - found["hold"]
        print(f"{title}: {found['hold']} of {found['cases']}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
