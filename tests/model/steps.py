"""What can happen in the life of an engine, done to it and to the oracle alike.

Each step draws what it needs, does nothing where its precondition is missing, and compares.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from hypothesis import strategies as st

from tests.model.pairs import Pair
from tests.model.programs import KEYS, LEAVES, VALUES, Alias, list_calls, map_calls, set_calls
from tests.model.subject import content, log_of, make_engine, reach
from tests.oracle.footprint import Clash
from tests.oracle.model import Model, ModelTransaction, Verdict
from tests.oracle.values import Plain, at, clone, containers, same
from theus import process
from theus.errors import ConflictError, ContextError

FIELDS = st.one_of(
    st.tuples(st.just("n"), st.integers(-2, 2)), st.tuples(st.sampled_from(["a", "new"]), VALUES)
)
NAMES = st.sampled_from(["a", "n", "new"])
CHANGES = st.lists(
    map_calls(LEAVES).filter(lambda call: call[0] in ("setitem", "update", "clear", "popitem")),
    max_size=3,
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


class Steps:
    """An engine, its oracle, and everything that is open or held."""

    def __init__(
        self, domain: dict[str, Any], isolation: str, window: int, travels: bool = False
    ) -> None:
        data = {"domain": domain, "global": {"g": 1}}
        self.isolation = isolation
        self.engine = make_engine(data, isolation, history=window, time_travel=travels)
        self.model = Model(data, self.engine.state.version)
        self.open: list[Pair] = []
        self.held: list[Held] = []
        self.iterators: list[tuple[Any, list[Any]]] = []

    def begin(self) -> None:
        """One more transaction."""
        self.open.append(Pair(self.engine.begin(), self.model.begin(self.isolation)))

    def pick(self, data: st.DataObject, writes: bool = True) -> Pair:
        """One of the open transactions; its iterators end when it is going to write."""
        pair = self.open[data.draw(st.integers(0, len(self.open) - 1), "transaction")]
        if writes:
            pair.iterators.clear()
        return pair

    def place(self, data: st.DataObject, pair: Pair, kind: type) -> Any:
        """A path to a private container of this kind, or None."""
        places = [path for path in pair.places() if isinstance(pair.holder(path), kind)]
        return data.draw(st.sampled_from(places), "place") if places else None

    # --- inside a transaction ------------------------------------------------------------------

    def work(self, data: st.DataObject) -> None:
        """Some operations, each on some container."""
        pair = self.pick(data)
        for kind, call in data.draw(WORK, "calls"):
            path = self.place(data, pair, kind)
            if path is not None:
                pair.call(path, *call)

    def pop_from_set(self, data: st.DataObject) -> None:
        """`set.pop`."""
        pair = self.pick(data)
        path = self.place(data, pair, set)
        if path is not None:
            pair.pop_from_set(path)

    def assign_guard(self, data: st.DataObject) -> None:
        """A container is put at a second place: an alias until the commit copies it."""
        pair = self.pick(data)
        source = data.draw(st.sampled_from(pair.places()), "source")
        target = self.place(data, pair, data.draw(st.sampled_from([dict, list])))
        if target is None or not pair.may_alias(target, source):
            return
        if isinstance(pair.holder(target), list):
            pair.call(target, "append", (Alias(source),))
        else:
            pair.call(target, "setitem", (data.draw(KEYS, "key"), Alias(source)))

    def move(self, data: st.DataObject) -> None:
        """A value is taken out of one mapping and put into another."""
        pair = self.pick(data)
        path, target = self.place(data, pair, dict), self.place(data, pair, dict)
        keys = list(pair.holder(path))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys), "key")
        moved = [c for _, c in containers(pair.holder(path)[key])]
        if all(c is not pair.holder(target) for c in moved):
            pair.move(path, key, target, data.draw(KEYS, "new"))

    def same_key_twice(self, data: st.DataObject) -> None:
        """Set, delete, set in some order, in one commit."""
        pair = self.pick(data)
        path, key = self.place(data, pair, dict), data.draw(KEYS, "key")
        for step in data.draw(st.permutations("sds"), "order"):
            if step == "s":
                pair.call(path, "setitem", (key, data.draw(VALUES, "value")))
            else:
                pair.call(path, "pop", (key, None))

    def update(self, data: st.DataObject) -> None:
        """`tx.update(data=...)`, after and before writes in place."""
        pair, (key, value) = self.pick(data), data.draw(FIELDS, "field")
        pair.real.update(data={"domain": {key: clone(value)}})
        pair.model.call(pair.model.locate(("domain",)), "setitem", key, clone(value))

    def set_path(self, data: st.DataObject) -> None:
        """`tx.set`."""
        pair, (key, value) = self.pick(data), data.draw(FIELDS, "field")
        pair.real.set(f"domain.{key}", clone(value))
        pair.model.call(pair.model.locate(("domain",)), "setitem", key, clone(value))

    def delete_path(self, data: st.DataObject) -> None:
        """`tx.delete`."""
        pair, key = self.pick(data), data.draw(NAMES, "key")
        domain = pair.model.locate(("domain",))
        if key in domain:
            pair.real.delete(f"domain.{key}")
            pair.model.call(domain, "delitem", key)

    def commute(self, data: st.DataObject) -> None:
        """`tx.incr`, `tx.max`, `tx.min`."""
        pair, by = self.pick(data), data.draw(st.integers(-2, 2), "by")
        name = data.draw(st.sampled_from(["incr", "max", "min"]), "operation")
        combine = {"incr": operator.add, "max": max, "min": min}[name]
        getattr(pair.real, name)("domain.n", by)
        pair.model.commute(("domain",), "n", lambda old: combine(old, by), by)

    def append_by_path(self, data: st.DataObject) -> None:
        """`tx.append` and `tx.extend`."""
        pair, values = self.pick(data), data.draw(st.lists(LEAVES, max_size=2), "values")
        if not isinstance(pair.holder(("domain",)).get("l"), list):
            return
        target = pair.model.locate(("domain", "l"))
        if len(values) != 1:
            pair.real.extend("domain.l", values)
            pair.model.call(target, "extend", values)
        else:
            pair.real.append("domain.l", values[0])
            pair.model.call(target, "append", values[0])

    def mark_by_path(self, data: st.DataObject) -> None:
        """`tx.add` and `tx.discard`."""
        pair, value = self.pick(data), data.draw(st.integers(0, 5), "value")
        name = data.draw(st.sampled_from(["add", "discard"]), "operation")
        if isinstance(pair.holder(("domain",)).get("s"), set):
            getattr(pair.real, name)("domain.s", value)
            pair.model.call(pair.model.locate(("domain", "s")), name, value)

    def peek(self, data: st.DataObject) -> None:
        """All of the private view, without a note."""
        pair = self.pick(data, writes=False)
        assert same(pair.real.peek("domain"), clone(pair.model.tree["domain"]))

    def get_path(self, data: st.DataObject) -> None:
        """`tx.get`."""
        pair, key = self.pick(data, writes=False), data.draw(NAMES, "key")
        pair.real.get(f"domain.{key}")
        pair.model.call(pair.model.locate(("domain",)), "get", key)

    def ensure(self, data: st.DataObject) -> None:
        """`tx.ensure`."""
        pair = self.pick(data, writes=False)
        if "n" in pair.holder(("domain",)):
            pair.real.ensure("domain.n")
            pair.model.ensure(("domain", "n"))

    def savepoint(self, data: st.DataObject) -> None:
        """A place to return to."""
        self.pick(data, writes=False).savepoint()

    def roll_back_to_savepoint(self, data: st.DataObject) -> None:
        """Back to one of them."""
        pair = self.pick(data)
        if pair.marks:
            pair.roll_back_to(data.draw(st.integers(0, len(pair.marks) - 1), "savepoint"))

    # --- ends ----------------------------------------------------------------------------------

    def commit(self, data: st.DataObject) -> None:
        """One of the open transactions commits, or must not."""
        pair = self.pick(data)
        self.open.remove(pair)
        if self.model.is_shifted(pair.model):
            pair.close()
        else:
            self.settle(pair.model, pair.real.commit, ConflictError)

    def abort(self, data: st.DataObject) -> None:
        """One of them rolls back."""
        pair = self.pick(data)
        self.open.remove(pair)
        before = self.engine.state
        pair.close()
        assert self.engine.state is before

    def raise_inside(self, data: st.DataObject) -> None:
        """A block raises after some writes."""
        value, before = data.draw(VALUES, "value"), self.engine.state
        try:
            with self.engine.transaction() as tx:
                tx.domain["a"] = value
                tx.domain["l"] = [value]
                tx.incr("domain.m")
                raise Boom
        except Boom:
            assert self.engine.state is before

    def compare_and_swap(self, data: st.DataObject) -> None:
        """With any version there ever was, also behind the log; no snapshot is held for it."""
        version = data.draw(st.integers(min(self.model.trees), self.model.version), "version")
        key, value = data.draw(FIELDS, "field")
        tx = self.model.begin("snapshot", version)
        tx.call(tx.locate_quietly(("domain",)), "setitem", key, clone(value))
        change = {"domain": {key: clone(value)}}
        forgotten = version + 1 < log_of(self.engine).first
        swap = partial(self.engine.compare_and_swap, version, data=change)
        self.settle(tx, swap, ContextError, forgotten)

    def return_container(self, data: st.DataObject) -> None:
        """A process takes a container out, changes it as plain data, and returns the whole."""
        tx = self.model.begin(self.isolation)
        domain = tx.locate(("domain",))
        if not isinstance(domain.get("a"), dict):
            return
        new = clone(domain["a"])
        for method, args in data.draw(CHANGES, "changes"):
            if new or method != "popitem":
                tx.call(new, method, *args)
        tx.call(domain, "setitem", "a", clone(new))
        self.settle(tx, lambda: self.engine.run(returning(clone(new))), ConflictError)

    def settle(
        self, tx: ModelTransaction, commit: Any, conflict: type[Exception], forgotten: bool = False
    ) -> None:
        """Commit on both sides; the oracle says what has to happen.

        `forgotten`: the log is too short to tell, so the commit may be refused for that reason.
        """
        verdict = self.model.judge(tx)
        before, version = self.engine.state, self.model.version
        try:
            commit()
        except conflict as error:
            assert self.engine.state is before
            if not (forgotten and "older than the log" in str(error)):
                assert verdict is not Verdict.COMMIT, f"refused, but nothing changed: {error}"
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

    # --- readers -------------------------------------------------------------------------------

    def hold(self, data: st.DataObject) -> None:
        """Keep the newest State."""
        if len(self.held) < 4:
            frozen = clone(self.model.newest)
            self.held.append(Held(self.engine.state, frozen, self.model.version))

    def drop(self, data: st.DataObject) -> None:
        """Let one go."""
        if self.held:
            del self.held[data.draw(st.integers(0, len(self.held) - 1), "state")]

    def check_held(self, data: st.DataObject) -> None:
        """What is held shows what it showed."""
        for held in self.held:
            assert held.state.version == held.version
            assert same(content(held.state), held.frozen), f"version {held.version} differs"
            assert held.state.data == held.frozen

    def iterate_state(self, data: st.DataObject) -> None:
        """Begin to iterate over a view of a held state; commits will come in between."""
        if not self.held or len(self.iterators) > 2:
            return
        held = self.held[data.draw(st.integers(0, len(self.held) - 1), "state")]
        places = [p for p, c in containers(held.frozen) if p and not isinstance(c, set)]
        path = data.draw(st.sampled_from(places), "place")
        frozen, view = at(held.frozen, path), reach(held.state, path)
        running = iter(view.items()) if isinstance(frozen, dict) else iter(view)
        expected = list(frozen.items() if isinstance(frozen, dict) else frozen)
        steps = data.draw(st.integers(0, 2), "steps")
        advance(running, expected, steps)
        self.iterators.append((running, expected[steps:]))

    def finish_iterators(self, data: st.DataObject) -> None:
        """Go to the end with all of them."""
        running = [*self.iterators, *(item for pair in self.open for item in pair.iterators)]
        self.iterators.clear()
        for pair in self.open:
            pair.iterators.clear()
        for iterator, expected in running:
            advance(iterator, expected, len(expected) + 1)

    def iterate_guard(self, data: st.DataObject) -> None:
        """Begin to iterate inside a transaction; commits of others will come in between."""
        pair = self.pick(data, writes=False)
        path = self.place(data, pair, dict)
        expected = [key for key, _ in pair.model.call(pair.model.locate(path), "items")]
        running = (key for key, _ in iter(reach(pair.real, path).items()))
        steps = data.draw(st.integers(0, 2), "steps")
        advance(running, expected, steps)
        pair.iterators.append((running, expected[steps:]))

    def check_newest(self) -> None:
        """The newest state is the oracle's."""
        state = self.engine.state
        assert state.version == self.model.version
        shown, expected = content(state), clone(self.model.newest)
        assert same(shown, expected), f"the newest state is {shown!r}, not {expected!r}"


def advance(running: Any, expected: list[Any], steps: int) -> None:
    """Take some entries of an iterator and compare; past the end it must be at its end."""
    for found, wanted in zip(islice(running, steps), expected, strict=False):
        assert found == wanted, f"iterated to {found!r}, not {wanted!r}"
    if steps > len(expected):
        assert list(running) == []


def returning(value: Any) -> Any:
    """A process that gives `value` for the path `domain.a`."""

    @process(inputs=["domain"], outputs=["domain.a"])
    def whole(ctx: Any) -> Any:
        return value

    return whole
