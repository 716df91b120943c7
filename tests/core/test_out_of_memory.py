"""Promise: a commit that runs out of memory has happened whole or not at all.

The error may come after it, from handing out its signals.

CPython's own test module makes chosen allocations fail; every one of a commit is tried. It runs
in an interpreter of its own.
"""

from __future__ import annotations

import pytest

from tests.support.isolated import run_isolated

pytest.importorskip("_testcapi", reason="this Python was installed without its test modules")

PROGRAM = """
import sys

import _testcapi

from theus import TheusEngine

in_a_row, held = int(sys.argv[1]), sys.argv[2] == "held"
START = {"a": 1, "d": {"x": 1, "y": {"z": 1}}, "l": [1, 2, 3], "s": {1, 2}, "gone": 5, "k": 0}


def replace(tx):
    tx.domain["a"] = [1, 2]


def many_new_keys(tx):
    for number in range(40):
        tx.domain[f"n{number}"] = number


def delete(tx):
    del tx.domain["gone"]
    del tx.domain["d"]["y"]
    tx.domain["last"] = 1


def items(tx):
    tx.domain["l"].append(4)
    tx.domain["l"][0] = 9


def cut(tx):
    tx.domain["l"].pop()
    tx.domain["l"].pop()


def whole_list(tx):
    tx.domain["l"].insert(0, 7)
    tx.domain["l"].extend(range(50))
    tx.domain["k"] = 3


def members(tx):
    for number in range(60):
        tx.domain["s"].add(number)
    tx.domain["s"].discard(2)


def commuting(tx):
    tx.incr("domain.k", 5)
    tx.incr("domain.new", 1)
    tx.max("domain.a", 9)
    tx.append("domain.l", 5)


def everything(tx):
    for work in (replace, delete, items, members):
        work(tx)
    tx.domain["d"]["new"] = {"deep": [1, 2, {"x": 1}]}
    tx.update(heavy={"h": object()}, signal={"t": "1"})


def keys_and_values(engine):
    domain = engine.state.domain.to_dict()
    return list(domain), repr(domain)


def after(start, work):
    engine = TheusEngine({"domain": start})
    tx = engine.begin()
    work(tx)
    tx.commit()
    return keys_and_values(engine)


def attempt(work, number):
    engine = TheusEngine({"domain": START})
    kept = []
    if held:
        kept.append(engine.state)
        with engine.transaction() as tx:
            tx.domain["a"] = 0
        kept.append(engine.state)
    seen = [state.domain.to_dict() for state in kept]
    before = engine.state.domain.to_dict()
    was, wanted = keys_and_values(engine), after(before, work)
    version, failed = engine.state.version, False
    tx = engine.begin()
    work(tx)
    _testcapi.set_nomemory(number, number + in_a_row)
    try:
        tx.commit()
    except MemoryError:
        failed = True
    finally:
        _testcapi.remove_mem_hooks()
    now = keys_and_values(engine)
    where = f"{work.__name__}, allocation {number}: {now}"
    assert now == wanted if not failed else now in (was, wanted), where
    assert engine.state.version - version in ((0, 1) if failed else (1,)), where
    assert [state.domain.to_dict() for state in kept] == seen, where
    with engine.transaction() as tx:
        tx.domain["probe"] = True
    assert keys_and_values(engine)[0] == [*now[0], "probe"], where
    return failed


failures = 0
for work in (
    replace, many_new_keys, delete, items, cut, whole_list, members, commuting, everything
):
    number = quiet = 0
    while quiet < 12:
        failed = attempt(work, number)
        failures += failed
        quiet = 0 if failed else quiet + 1
        number += 1
print(failures)
"""


@pytest.mark.parametrize("held", ["held", "alone"])
@pytest.mark.parametrize("in_a_row", ["1", "4"])
def test_every_allocation_of_a_commit(in_a_row: str, held: str) -> None:
    done = run_isolated(PROGRAM, arguments=[in_a_row, held], warnings="default")
    assert int(done.stdout) > 50, "hardly any allocation failed: what was tested?"
