"""Rule-based machine: an engine and the oracle through the same random life.

Several transactions are open at once; states, views and iterators are held and dropped in any
order. After every step each side has answered the same, a commit has done what the oracle
says it must, and at the end of an example nothing is left of what was kept for readers.

The rules are few, so that hypothesis spends most steps on work and commits; rarer things share
a rule and are chosen by name:

=====================================================  ==========================================
begin, commit, abort                                   `begin`, `commit`, `end`
read, write, delete, add again, every method           `work`, `more_work` (calls of `programs`)
assign a guard, move, the same key twice, by path      `special`
savepoint, roll back                                   `savepoints`
exception inside, compare-and-swap with a version,     `outside`
 also one behind the log of changes
hold and drop states, iterate while others commit      `readers`
export in every form, a second engine from a state,    `branches`
 older versions and their differences
-----------------------------------------------------  ------------------------------------------
versions rise by one, a commit succeeds exactly when   `Steps.settle`
 the oracle says so
every living state is equal to its frozen copy         `check_held`, `check_newest`
the log of changes leads to the same tree, forward     `Replica.follow`, `Branches.undo_all`
 at every step and backward at the end
records are bounded by places and living snapshots     `Branches.check_records`
nothing is left when all are dropped                   `teardown`
=====================================================  ==========================================
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.model.branches import Branches
from tests.model.programs import KEYS, VALUES

START = st.fixed_dictionaries(
    {
        "a": st.dictionaries(KEYS, VALUES, max_size=3),
        "l": st.lists(VALUES, max_size=3),
        "s": st.sets(st.integers(0, 5), max_size=3),
        "n": st.integers(0, 3),
    }
)
SPECIAL = st.sampled_from(
    [
        "same_key_twice",
        "move",
        "assign_guard",
        "pop_from_set",
        "update",
        "set_path",
        "delete_path",
        "commute",
        "append_by_path",
        "mark_by_path",
        "peek",
        "get_path",
        "ensure",
        "iterate_guard",
        "export_guard",
    ]
)
POINTS = st.sampled_from(["savepoint", "roll_back_to_savepoint"])
READERS = st.sampled_from(["hold", "drop", "check_held", "iterate_state", "finish_iterators"])
BRANCHES = st.sampled_from(["export_state", "fork", "work_on_fork", "look_back"])
OUTSIDE = st.sampled_from(["compare_and_swap", "return_container", "raise_inside"])


class StateMachine(RuleBasedStateMachine):
    """The whole of it; `isolation` is what subclasses choose."""

    isolation = "serializable"
    steps: Branches

    @initialize(domain=START, window=st.sampled_from([4096, 3]), travels=st.booleans())
    def start(self, domain: dict[str, Any], window: int, travels: bool) -> None:
        self.steps = Branches(domain, self.isolation, window, travels)
        self.steps.begin()

    @precondition(lambda self: len(self.steps.open) < 3)
    @rule()
    def begin(self) -> None:
        self.steps.begin()

    @precondition(lambda self: self.steps.open)
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        self.steps.work(data)

    @precondition(lambda self: self.steps.open)
    @rule(data=st.data())
    def more_work(self, data: st.DataObject) -> None:
        self.steps.work(data)

    @precondition(lambda self: self.steps.open)
    @rule(data=st.data(), name=SPECIAL)
    def special(self, data: st.DataObject, name: str) -> None:
        getattr(self.steps, name)(data)

    @precondition(lambda self: self.steps.open)
    @rule(data=st.data(), name=POINTS)
    def savepoints(self, data: st.DataObject, name: str) -> None:
        getattr(self.steps, name)(data)

    @precondition(lambda self: len(self.steps.open) > 1)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.steps.commit(data)

    @precondition(lambda self: len(self.steps.open) > 1)
    @rule(data=st.data(), gives_up=st.integers(0, 3))
    def end(self, data: st.DataObject, gives_up: int) -> None:
        if gives_up:
            self.steps.commit(data)
        else:
            self.steps.abort(data)

    @precondition(lambda self: self.steps.open)
    @rule(data=st.data(), name=OUTSIDE)
    def outside(self, data: st.DataObject, name: str) -> None:
        getattr(self.steps, name)(data)

    @rule(data=st.data(), name=READERS)
    def readers(self, data: st.DataObject, name: str) -> None:
        getattr(self.steps, name)(data)

    @rule(data=st.data(), name=BRANCHES)
    def branches(self, data: st.DataObject, name: str) -> None:
        getattr(self.steps, name)(data)

    @invariant()
    def newest(self) -> None:
        self.steps.check_newest()

    def teardown(self) -> None:
        if not hasattr(self, "steps") or sys.exc_info()[0] is not None:
            return
        steps = self.steps
        for pair in steps.open:
            pair.close()
        steps.open.clear()
        steps.held.clear()
        steps.iterators.clear()
        steps.close()
        names = ["snapshots_alive"] if steps.travels else ["undo_records", "snapshots_alive"]
        left = kept(steps.engine, names)
        if any(left.values()):
            gc.collect()  # errors that were caught may hold a State in a cycle of frames
            left = kept(steps.engine, names)
        steps.engine.shutdown()
        assert not any(left.values()), left


def kept(engine: Any, names: list[str]) -> dict[str, int]:
    """What an engine keeps for readers that are gone."""
    engine.collect()
    stats = engine.stats()
    return {name: stats[name] for name in names}
