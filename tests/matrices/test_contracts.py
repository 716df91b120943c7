"""The matrix of contracts: no miss, no false alarm, and every error names what was refused."""

from __future__ import annotations

from itertools import islice

from tests.matrices.contract_oracle import ANY_ITEM, Need, refused
from tests.matrices.contracts import ACCESSES, CONTRACTS, WAYS, cases, wrong

STEP = 11
"""Each eleventh case, which meets every access, contract and way; the script tries all."""


def test_the_matrix_is_large_and_has_both_answers() -> None:
    tried = list(islice(cases(), 0, None, STEP))
    answers = [refused(case.needs, case.inputs, case.outputs) is None for case in tried]
    assert len(tried) >= 500
    assert min(answers.count(True), answers.count(False)) >= 500
    names = [case.name.split(" / ") for case in tried]
    assert {parts[1] for parts in names if len(parts) == 3} == set(WAYS)
    assert {parts[-1].rpartition(" in ")[0] for parts in names} == set(CONTRACTS)
    assert len({parts[0] for parts in names if len(parts) == 3}) == len(
        {(row.kind, row.name, row.needs[-1:]) for row in ACCESSES}
    )


def test_there_is_no_miss_and_no_false_alarm() -> None:
    faults = {case.name: wrong(case) for case in islice(cases(), 0, None, STEP)}
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_the_oracle_tells_covered_from_not() -> None:
    read = [Need("read", ("a", "b"))]
    assert refused(read, ["a"], []) is None
    assert refused(read, ["a.*"], []) is None
    assert refused(read, [], ["**.b"]) is None
    assert refused(read, ["a.c", "b", "a.b.c"], []) == read[0]
    assert refused([Need("pass", ("a",))], ["a.b.c"], []) is None
    assert refused([Need("write", ("a",))], ["a"], ["a.b"]) is not None
    assert refused([Need("write", ("a", ANY_ITEM))], [], ["a.*"]) is None
    assert refused([Need("write", ("a", ANY_ITEM))], [], ["a.0"]) is not None
