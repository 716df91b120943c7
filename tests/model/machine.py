"""Rule-based machine: an engine and the oracle through the same random life.

Several transactions are open at once; states, views and iterators are held and dropped in any
order. After every step each side has answered the same, a commit has done what the oracle
says it must, and at the end of an example nothing is left of what was kept for readers.
"""

from __future__ import annotations

import gc
import operator
import sys
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.model.pairs import Pair
from tests.model.programs import KEYS, LEAVES, VALUES, Alias, list_calls, map_calls, set_calls
from tests.model.subject import content, make_engine, reach
from tests.oracle.footprint import Clash
from tests.oracle.model import Model, ModelTransaction, Verdict
from tests.oracle.values import Plain, at, clone, containers, same
from theus.errors import ConflictError, ContextError

START = st.fixed_dictionaries(
    {
        "a": st.dictionaries(KEYS, VALUES, max_size=4),
        "l": st.lists(VALUES, max_size=4),
        "s": st.sets(st.integers(0, 5), max_size=3),
        "n": st.integers(0, 3),
    }
)
FIELDS = st.one_of(
    st.tuples(st.just("n"), st.integers(-2, 2)), st.tuples(st.sampled_from(["a", "new"]), VALUES)
)
WORK = st.lists(
    st.one_of(
        st.tuples(st.just(dict), map_calls(VALUES)),
        st.tuples(st.just(list), list_calls(VALUES)),
        st.tuples(st.just(set), set_calls()),
    ),
    min_size=2,
    max_size=5,
)


@dataclass
class Held:
    """A State that someone keeps, and what it showed when it was taken."""

    state: Any
    frozen: Plain
    version: int


class Boom(Exception):
    """Raised inside a transaction."""


class StateMachine(RuleBasedStateMachine):
    """The whole of it; `isolation` is what subclasses choose."""

    isolation = "serializable"

    @initialize(domain=START)
    def start(self, domain: dict[str, Any]) -> None:
        data = {"domain": domain, "global": {"g": 1}}
        self.engine = make_engine(data, self.isolation)
        self.model = Model(data, self.engine.state.version)
        self.open: list[Pair] = []
        self.held: list[Held] = []
        self.iterators: list[tuple[Any, list[Any]]] = []

    def teardown(self) -> None:
        if not hasattr(self, "engine") or sys.exc_info()[0] is not None:
            return
        for pair in self.open:
            pair.close()
        self.open.clear()
        self.held.clear()
        self.iterators.clear()
        self.engine.collect()
        left = self.engine.stats()
        if left["undo_records"] or left["snapshots_alive"]:
            gc.collect()  # errors that were caught may hold a State in a cycle of frames
            self.engine.collect()
            left = self.engine.stats()
        self.engine.shutdown()
        assert left["undo_records"] == 0, left
        assert left["snapshots_alive"] == 0, left

    def pick(self, data: st.DataObject, label: str) -> Pair:
        return self.open[data.draw(st.integers(0, len(self.open) - 1), label)]

    def place(self, data: st.DataObject, pair: Pair, kind: type) -> Any:
        """A path to a private container of this kind, or None."""
        places = [path for path in pair.places() if isinstance(pair.holder(path), kind)]
        return data.draw(st.sampled_from(places), "place") if places else None

    # --- transactions ------------------------------------------------------------------------

    @precondition(lambda self: len(self.open) < 3)
    @rule()
    def begin(self) -> None:
        self.open.append(Pair(self.engine.begin(), self.model.begin(self.isolation)))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), calls=WORK)
    def work(self, data: st.DataObject, calls: list[tuple[type, Any]]) -> None:
        """Some operations of one transaction, each on some container."""
        self.do(data, calls)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), calls=WORK)
    def work_more(self, data: st.DataObject, calls: list[tuple[type, Any]]) -> None:
        """The same again: most steps should be work."""
        self.do(data, calls)

    def do(self, data: st.DataObject, calls: list[tuple[type, Any]]) -> None:
        pair = self.pick(data, "transaction")
        pair.iterators.clear()
        for kind, call in calls:
            path = self.place(data, pair, kind)
            if path is not None:
                pair.call(path, *call)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def pop_from_set(self, data: st.DataObject) -> None:
        pair = self.pick(data, "transaction")
        path = self.place(data, pair, set)
        if path is not None:
            pair.iterators.clear()
            pair.pop_from_set(path)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), key=KEYS, as_item=st.booleans())
    def assign_guard(self, data: st.DataObject, key: Any, as_item: bool) -> None:
        """A container is put at a second place: an alias until the commit copies it."""
        pair = self.pick(data, "transaction")
        source = data.draw(st.sampled_from(pair.places()), "source")
        target = self.place(data, pair, list if as_item else dict)
        if target is None or not pair.may_alias(target, source):
            return
        pair.iterators.clear()
        call = ("append", (Alias(source),)) if as_item else ("setitem", (key, Alias(source)))
        pair.call(target, *call)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), new=KEYS)
    def move(self, data: st.DataObject, new: Any) -> None:
        pair = self.pick(data, "transaction")
        path, target = self.place(data, pair, dict), self.place(data, pair, dict)
        keys = list(pair.holder(path))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys), "key")
        moved = [c for _, c in containers(pair.holder(path)[key])]
        if all(c is not pair.holder(target) for c in moved):
            pair.iterators.clear()
            pair.move(path, key, target, new)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), key=KEYS, first=VALUES, last=VALUES, order=st.permutations("sds"))
    def same_key_twice(
        self, data: st.DataObject, key: Any, first: Any, last: Any, order: list[str]
    ) -> None:
        """Set, delete, set in some order, in one commit."""
        pair = self.pick(data, "transaction")
        path = self.place(data, pair, dict)
        values = [first, last]
        pair.iterators.clear()
        for step in order:
            pair.call(
                path, *(("setitem", (key, values.pop())) if step == "s" else ("pop", (key, None)))
            )

    @precondition(lambda self: self.open)
    @rule(data=st.data(), field=FIELDS)
    def update(self, data: st.DataObject, field: tuple[str, Any]) -> None:
        pair, (key, value) = self.pick(data, "transaction"), field
        pair.iterators.clear()
        pair.real.update(data={"domain": {key: clone(value)}})
        pair.model.call(pair.model.locate(("domain",)), "setitem", key, clone(value))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), field=FIELDS)
    def set_path(self, data: st.DataObject, field: tuple[str, Any]) -> None:
        pair, (key, value) = self.pick(data, "transaction"), field
        pair.iterators.clear()
        pair.real.set(f"domain.{key}", clone(value))
        pair.model.call(pair.model.locate(("domain",)), "setitem", key, clone(value))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), key=st.sampled_from(["a", "n", "new"]))
    def delete_path(self, data: st.DataObject, key: str) -> None:
        pair = self.pick(data, "transaction")
        domain = pair.model.locate(("domain",))
        if key in domain:
            pair.iterators.clear()
            pair.real.delete(f"domain.{key}")
            pair.model.call(domain, "delitem", key)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), by=st.integers(-2, 2), name=st.sampled_from(["incr", "max", "min"]))
    def commute(self, data: st.DataObject, by: int, name: str) -> None:
        pair = self.pick(data, "transaction")
        pair.iterators.clear()
        combine = {"incr": operator.add, "max": max, "min": min}[name]
        getattr(pair.real, name)("domain.n", by)
        pair.model.commute(("domain",), "n", lambda old: combine(old, by), by)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), values=st.lists(LEAVES, max_size=2), many=st.booleans())
    def append_by_path(self, data: st.DataObject, values: list[Any], many: bool) -> None:
        pair = self.pick(data, "transaction")
        if not isinstance(pair.holder(("domain",)).get("l"), list):
            return
        pair.iterators.clear()
        target = pair.model.locate(("domain", "l"))
        if many:
            pair.real.extend("domain.l", values)
            pair.model.call(target, "extend", values)
        for value in values if not many else ():
            pair.real.append("domain.l", value)
            pair.model.call(target, "append", value)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), value=st.integers(0, 5), name=st.sampled_from(["add", "discard"]))
    def mark_by_path(self, data: st.DataObject, value: int, name: str) -> None:
        pair = self.pick(data, "transaction")
        if isinstance(pair.holder(("domain",)).get("s"), set):
            pair.iterators.clear()
            getattr(pair.real, name)("domain.s", value)
            pair.model.call(pair.model.locate(("domain", "s")), name, value)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def peek(self, data: st.DataObject) -> None:
        """All of the private view, without a note."""
        pair = self.pick(data, "transaction")
        assert same(pair.real.peek("domain"), clone(pair.model.tree["domain"]))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), key=st.sampled_from(["a", "n", "l", "new"]))
    def get_path(self, data: st.DataObject, key: str) -> None:
        pair = self.pick(data, "transaction")
        pair.real.get(f"domain.{key}")
        pair.model.call(pair.model.locate(("domain",)), "get", key)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def ensure(self, data: st.DataObject) -> None:
        pair = self.pick(data, "transaction")
        if "n" in pair.holder(("domain",)):
            pair.real.ensure("domain.n")
            pair.model.ensure(("domain", "n"))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def savepoint(self, data: st.DataObject) -> None:
        self.pick(data, "transaction").savepoint()

    @precondition(lambda self: any(pair.marks for pair in self.open))
    @rule(data=st.data())
    def roll_back_to_savepoint(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from([p for p in self.open if p.marks]), "transaction")
        pair.roll_back_to(data.draw(st.integers(0, len(pair.marks) - 1), "savepoint"))

    # --- ends --------------------------------------------------------------------------------

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        pair = self.pick(data, "transaction")
        self.open.remove(pair)
        pair.iterators.clear()
        if self.model.is_shifted(pair.model):
            pair.close()
            return
        self.settle(pair.model, pair.real.commit, ConflictError)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        pair = self.pick(data, "transaction")
        self.open.remove(pair)
        before = self.engine.state
        pair.close()
        assert self.engine.state is before

    @precondition(lambda self: len(self.open) == 2)
    @rule(value=VALUES)
    def raise_inside(self, value: Any) -> None:
        before = self.engine.state
        try:
            with self.engine.transaction() as tx:
                tx.domain["a"] = value
                tx.domain["l"] = [value]
                tx.incr("domain.m")
                raise Boom
        except Boom:
            pass
        assert self.engine.state is before

    @precondition(lambda self: self.open)
    @rule(data=st.data(), field=FIELDS)
    def compare_and_swap(self, data: st.DataObject, field: tuple[str, Any]) -> None:
        """With any version there ever was; no snapshot is held for it."""
        version = data.draw(st.integers(min(self.model.trees), self.model.version), "version")
        key, value = field
        tx = self.model.begin("snapshot", version)
        tx.call(tx.locate_quietly(("domain",)), "setitem", key, clone(value))
        change = {"domain": {key: clone(value)}}
        self.settle(tx, lambda: self.engine.compare_and_swap(version, data=change), ContextError)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def return_container(self, data: st.DataObject) -> None:
        """A process takes a container out, changes it as plain data, and returns the whole."""
        tx = self.model.begin(self.isolation)
        domain = tx.locate(("domain",))
        if not isinstance(domain.get("a"), dict):
            return
        new = clone(domain["a"])
        for method, args in data.draw(st.lists(map_calls(LEAVES), max_size=3), "changes"):
            if method in ("setitem", "update", "clear"):
                tx.call(new, method, *args)
        tx.call(domain, "setitem", "a", clone(new))
        self.settle(tx, lambda: self.engine.run(returning(clone(new))), ConflictError)

    def settle(self, tx: ModelTransaction, commit: Any, conflict: type[Exception]) -> None:
        """Commit on both sides; the oracle says what has to happen."""
        verdict = self.model.judge(tx)
        before, version = self.engine.state, self.model.version
        try:
            commit()
        except conflict as error:
            assert verdict is not Verdict.CONFLICT or self.engine.state is before
            assert verdict is not Verdict.COMMIT, f"refused, but nothing it noted changed: {error}"
            return
        assert verdict is not Verdict.CONFLICT, "committed, but what it noted had changed"
        rises = self.engine.state.version - version
        if not rises:
            assert self.engine.state is before
            assert self.model.undid_itself(tx) or self.model.changed(tx) is not Clash.YES, (
                "no new version, but writes that change something"
            )
            return
        assert rises == 1
        assert self.model.changed(tx) is not Clash.NO, "a new version, but nothing differs"
        self.model.commit(tx)

    # --- readers -----------------------------------------------------------------------------

    @precondition(lambda self: len(self.held) < 4)
    @rule()
    def hold(self) -> None:
        self.held.append(Held(self.engine.state, clone(self.model.newest), self.model.version))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        del self.held[data.draw(st.integers(0, len(self.held) - 1), "state")]

    @precondition(lambda self: self.held and len(self.iterators) < 3)
    @rule(data=st.data(), steps=st.integers(0, 2))
    def iterate_state(self, data: st.DataObject, steps: int) -> None:
        """Begin to iterate over a view of a held state; commits will come in between."""
        held = self.held[data.draw(st.integers(0, len(self.held) - 1), "state")]
        places = [p for p, c in containers(held.frozen) if len(p) > 0 and not isinstance(c, set)]
        path = data.draw(st.sampled_from(places), "place")
        frozen, view = at(held.frozen, path), reach(held.state, path)
        running = iter(view.items()) if isinstance(frozen, dict) else iter(view)
        expected = list(frozen.items() if isinstance(frozen, dict) else frozen)
        self.advance(running, expected, steps)
        self.iterators.append((running, expected[steps:]))

    @precondition(lambda self: self.iterators)
    @rule(data=st.data())
    def finish_iterator(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.iterators) - 1), "iterator")
        running, expected = self.iterators.pop(number)
        self.advance(running, expected, len(expected) + 1)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), steps=st.integers(0, 2))
    def iterate_guard(self, data: st.DataObject, steps: int) -> None:
        pair = self.pick(data, "transaction")
        path = self.place(data, pair, dict)
        expected = [key for key, _ in pair.model.call(pair.model.locate(path), "items")]
        running = (key for key, _ in iter(reach(pair.real, path).items()))
        self.advance(running, expected, steps)
        pair.iterators.append((running, expected[steps:]))

    @precondition(lambda self: any(pair.iterators for pair in self.open))
    @rule()
    def finish_guard_iterators(self) -> None:
        for pair in self.open:
            for running, expected in pair.iterators:
                self.advance(running, expected, len(expected) + 1)
            pair.iterators.clear()

    def advance(self, running: Any, expected: list[Any], steps: int) -> None:
        for found, wanted in zip(islice(running, steps), expected, strict=False):
            assert found == wanted, f"iterated to {found!r}, not {wanted!r}"
        if steps > len(expected):
            assert list(running) == []

    @invariant()
    def newest_is_the_models(self) -> None:
        if hasattr(self, "engine"):
            state = self.engine.state
            assert state.version == self.model.version
            assert same(content(state), clone(self.model.newest)), "the newest state differs"

    @precondition(lambda self: self.held)
    @rule()
    def held_states_have_not_changed(self) -> None:
        for held in self.held:
            assert held.state.version == held.version
            assert same(content(held.state), held.frozen), f"version {held.version} differs"
            assert held.state.data == held.frozen


def returning(value: Any) -> Any:
    """A process that gives `value` for the path `domain.a`."""
    from theus import process

    @process(inputs=["domain"], outputs=["domain.a"])
    def whole(ctx: Any) -> Any:
        return value

    return whole
