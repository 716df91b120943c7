"""More that can happen in the life of an engine: it is exported, forked, followed by its log, and
looked at for what it keeps.
"""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.model.pairs import Pair
from tests.model.replay import Replica
from tests.model.steps import WORK, Steps
from tests.model.subject import content, make_engine, reach
from tests.oracle.model import Model
from tests.oracle.values import Plain, at, clone, containers, same
from theus.delta import apply
from theus.interop import TheusEncoder

EXPORTS = st.sampled_from(["to_dict", "pickle", "copy", "deepcopy", "json"])


@dataclass
class Fork:
    """An engine made from what another one showed, and an oracle of its own."""

    engine: Any
    model: Model


class Branches(Steps):
    """`Steps`, with a replica that follows the log, forks, exports and bounds.

    `window` is how many commits the log keeps; where the engine `travels`, all its versions stay
    readable.
    """

    def __init__(
        self, domain: dict[str, Any], isolation: str, window: int, travels: bool = False
    ) -> None:
        super().__init__(domain, isolation, window, travels)
        self.window = window
        self.travels = travels
        self.forks: list[Fork] = []
        self.replica = Replica(self.model.newest, self.model.version)

    # --- export --------------------------------------------------------------------------------

    def export_state(self, data: st.DataObject) -> None:
        """A held state, or a part of it, in every form that leaves the engine."""
        held = self._some_state(data)
        if held is None:
            return
        how = data.draw(EXPORTS, "export")
        places = [path for path, _ in containers(held.frozen) if path]
        path = data.draw(st.sampled_from(places), "place")
        check_export(reach(held.state, path), at(held.frozen, path), how)
        if how == "to_dict":
            assert same(held.state.to_dict(), held.frozen)
        elif how != "json":
            assert same(content(exported(held.state, how)), held.frozen)

    def export_guard(self, data: st.DataObject) -> None:
        """A guard, as plain data: a read of all that is below it, or of one level."""
        pair = self.pick(data, writes=False)
        path = data.draw(st.sampled_from(pair.places()), "place")
        target = pair.model.locate(path)
        guard = reach(pair.real, path)
        how = data.draw(st.sampled_from(["copy", "deepcopy", "pickle"]), "export")
        if how == "copy" and not isinstance(target, list):  # items are compared below
            pair.model.call(target, "copy")
        else:
            pair.model.call(target, "eq", clone(target))
        out = exported(guard, how)
        if how == "copy":  # containers inside are the guards of the transaction
            in_order = set if isinstance(target, set) else list
            assert in_order(out) == in_order(target) and len(out) == len(target)
            return
        assert same(out, clone(target))
        assert all(a is not b for _, a in containers(out) for _, b in containers(target))

    # --- fork ----------------------------------------------------------------------------------

    def fork(self, data: st.DataObject) -> None:
        """A second engine begins with what the newest, or a held, state shows."""
        if len(self.forks) > 1:
            return
        held = self._some_state(data)
        shown = (held.state if held is not None else self.engine.state).to_dict()
        engine = make_engine(shown, self.isolation)
        self.forks.append(Fork(engine, Model(shown, engine.state.version)))

    def work_on_fork(self, data: st.DataObject) -> None:
        """A transaction on a fork; neither engine may notice the other."""
        if not self.forks:
            return
        fork = data.draw(st.sampled_from(self.forks), "fork")
        before = self.engine.state
        pair = Pair(fork.engine.begin(), fork.model.begin(self.isolation))
        for kind, call in data.draw(WORK, "calls"):
            path = self.place(data, pair, kind)
            if path is not None:
                pair.call(path, *call)
        pair.real.commit()
        if fork.engine.state.version != fork.model.version:
            fork.model.commit(pair.model)
        self.check_fork(fork)
        assert self.engine.state is before

    def check_fork(self, fork: Fork) -> None:
        """A fork shows what its own transactions made."""
        assert fork.engine.state.version == fork.model.version
        assert same(content(fork.engine.state), clone(fork.model.newest)), "the fork differs"

    # --- the past ------------------------------------------------------------------------------

    def look_back(self, data: st.DataObject) -> None:
        """An older version, and the difference of two of them in both directions."""
        newest = self.model.version
        if not self.travels:
            return
        oldest = max(newest - self.window, min(self.model.trees))
        one, other = (data.draw(st.integers(oldest, newest), "version") for _ in "ab")
        before, after = self.model.trees[one], self.model.trees[other]
        assert same(content(self.engine.state_at(one)), clone(before)), f"version {one} differs"
        entries = self.engine.diff(one, other)
        assert apply(clone(before), entries) == after, entries
        assert apply(clone(after), self.engine.diff(other, one)) == before
        assert bool(entries) == (before != after or _kinds(before) != _kinds(after)), entries

    # --- what an engine keeps and what it tells ------------------------------------------------

    def undo_all(self) -> None:
        """Back from the newest version by the log: the content of every version.

        The log does not say where a key that went had been, so the order of keys is not compared.
        """
        for version, tree in self.replica.backward():
            assert tree == self.model.trees[version], f"undone to {version}: {tree!r}"

    def check_newest(self) -> None:
        """Besides the newest state: the replica, the forks and the bound on records."""
        super().check_newest()
        self.replica.follow(self.engine)
        assert self.replica.version == self.model.version
        assert same(self.replica.tree, clone(self.model.newest)), "the log tells another story"
        for fork in self.forks:
            self.check_fork(fork)
        if not self.travels:
            self.check_records()

    def check_records(self) -> None:
        """Undo records are at most the places that changed times the snapshots that are alive,
        and as many again that wait for their turn to go."""
        self.engine.collect()
        stats = self.engine.stats()
        most = 2 * self.replica.places() * stats["snapshots_alive"]
        assert stats["undo_records"] <= most, f"{most} at most, but {stats}"
        assert stats["history"] <= self.window

    def close(self) -> None:
        """End of the life: all that is held is let go."""
        self.undo_all()
        for fork in self.forks:
            assert not fork.engine.stats()["undo_records"]
            fork.engine.shutdown()
        self.forks.clear()

    def _some_state(self, data: st.DataObject) -> Any:
        return data.draw(st.sampled_from(self.held), "state") if self.held else None


def exported(value: Any, how: str) -> Any:
    """What comes out of a view, guard or State."""
    if how == "pickle":
        return pickle.loads(pickle.dumps(value))
    return copy.copy(value) if how == "copy" else copy.deepcopy(value)


def check_export(view: Any, frozen: Plain, how: str) -> None:
    """One container of a state, exported, is what it was."""
    if how == "to_dict":
        name = {dict: "to_dict", list: "to_list"}.get(type(frozen))
        assert same(getattr(view, name)() if name else set(view), clone(frozen))
    elif how == "json":
        assert as_json(view) == as_json(frozen)
    else:
        assert exported(view, how) == frozen


def _kinds(tree: Plain) -> str:
    """What equality does not see: 1, 1.0 and True are the same to it."""
    return repr(sorted_keys(tree))


def sorted_keys(tree: Plain) -> Plain:
    """The same tree with its keys in a fixed order."""
    if isinstance(tree, dict):
        return {key: sorted_keys(tree[key]) for key in sorted(tree, key=repr)}
    if isinstance(tree, list):
        return [sorted_keys(item) for item in tree]
    return sorted(tree, key=repr) if isinstance(tree, set) else tree


def as_json(value: Any) -> str | None:
    """A container as JSON, or None where a key of it has no place there."""
    try:
        return json.dumps(value, cls=TheusEncoder)
    except TypeError:
        return None
