"""Workloads that give a verdict: empty when the engine is right, else what they found.

Each planted bug has one that must find it. They assert nothing themselves, so that the same
workload can be required to be clean without the bug and dirty with it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.histories.checker import check, names
from tests.histories.layouts import LAYOUTS
from tests.histories.workload import Shape, one_history
from tests.model.subject import make_engine
from tests.oracle.cases import CASES, TREE
from theus.errors import ConflictError, RetryLimitError

Verdict = set[str]


def histories() -> Verdict:
    """Anomalies of random histories."""
    found: Verdict = set()
    for layout in ("list replaced", "register by item", "keys of a mapping"):
        for seed in range(60):
            history = one_history(make_engine, LAYOUTS[layout], seed, Shape(), ConflictError)
            found |= names(check(history))
    return found


def granularity() -> Verdict:
    """Cases of the table of conflicts that are answered wrong."""
    wrong = set()
    for isolation in ("serializable", "snapshot"):
        for case in CASES.values():
            engine = make_engine(TREE, isolation)
            first, second = engine.begin(), engine.begin()
            case.first(first)
            case.second(second)
            first.commit()
            try:
                second.commit()
                refused = False
            except ConflictError:
                refused = True
            if refused != case.expected(isolation):
                wrong.add(case.name)
    return wrong


def threads() -> Verdict:
    """Increments that threads lose on one counter, with switches of threads all the time."""
    engine = make_engine({"domain": {"n": 0}, "global": {}})
    start, each, workers = threading.Barrier(4), 400, 4

    def work() -> None:
        start.wait()
        for _ in range(each):
            for attempt in engine.attempts():
                with attempt as tx:
                    tx.domain["n"] = tx.domain["n"] + 1

    run_threads(work, workers)
    total = engine.state.domain["n"]
    engine.shutdown()
    return set() if total == each * workers else {f"{each * workers - total} increments lost"}


def run_threads(work: Callable[[], None], count: int) -> None:
    """Run a function in threads that take turns as often as Python allows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        running = [threading.Thread(target=work) for _ in range(count)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    finally:
        sys.setswitchinterval(interval)


def pinned_readers() -> Verdict:
    """Keys that change again and again under readers of different age, in transactions and CAS.

    An old reader makes the engine keep records; a second change of a key moves the stamp of the
    record that is there. Whoever relies on a version between the two must be refused.
    """
    wrong = set()
    for gap in range(3):
        engine = make_engine({"domain": {"n": 0, "other": 0}, "global": {}})
        old = engine.state
        put(engine, "n", 1)
        for number in range(gap):
            put(engine, "other", number + 1)
        seen = engine.state.version
        put(engine, "n", 2)
        if swapped(engine, seen, "n"):
            wrong.add("compare_and_swap at the version between two changes")
        reader = engine.begin()
        reader.domain["n"]
        reader.domain["mark"] = gap
        put(engine, "n", 4)
        if committed(reader):
            wrong.add("commit after a change under an old reader")
        if old.domain["n"] != 0:
            wrong.add("an old reader saw a change")
    return wrong


def put(engine: Any, key: str, value: Any) -> None:
    """One commit of one key."""
    with engine.transaction() as tx:
        tx.domain[key] = value


def swapped(engine: Any, version: int, key: str) -> bool:
    """Whether a compare-and-swap at a version goes through."""
    try:
        engine.compare_and_swap(version, data={"domain": {key: "swapped"}})
    except ConflictError:
        return False
    return True


def committed(tx: Any) -> bool:
    """Whether a transaction commits."""
    try:
        tx.commit()
    except ConflictError:
        return False
    return True


def fences() -> Verdict:
    """Tickets that are still held, or hold others back, after their holders are through."""
    engine = make_engine({"domain": {"n": 0}, "global": {}}, lease_ms=200.0)
    for attempt in engine.attempts():
        with attempt as tx:
            tx.domain["n"] = tx.domain["n"] + 1
            if engine.stats()["tickets"] == 0:
                put(engine, "n", tx.domain["n"] + 1)
    found = set()
    if engine.stats()["waiting"]:
        found.add("a ticket is held by nobody")
    try:
        put(engine, "n", 0)
    except (ConflictError, RetryLimitError, BlockingIOError):
        found.add("a commit was held back by a holder that was through")
    engine.shutdown()
    return found
