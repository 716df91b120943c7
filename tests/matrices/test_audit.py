"""The matrix of audit: engines do what the truth table says."""

from __future__ import annotations

from itertools import islice

from tests.matrices.audit import LIMITS, SIDES, cases, wrong
from theus.audit import AuditLevel

STEP = 11
"""Each eleventh case, which meets every row of the table; the script tries all."""


def test_the_matrix_meets_every_row() -> None:
    tried = list(islice(cases(), 0, None, STEP))
    assert len(tried) > 500
    rows = {case[:-1] for case in tried}
    assert len(rows) == len(SIDES) * len(AuditLevel) * len(LIMITS) * 6


def test_engines_do_what_the_table_says() -> None:
    faults = {case: wrong(case) for case in islice(cases(), 0, None, STEP)}
    assert {case: fault for case, fault in faults.items() if fault} == {}
