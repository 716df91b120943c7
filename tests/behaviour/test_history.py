"""The engine's memory: old versions, differences, blame, bisect, and its bounds."""

from __future__ import annotations

import copy
import gc
import json
import math
import pickle
import threading
import weakref
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theus import TheusEngine, process
from theus.delta import DeltaEntry, apply
from theus.errors import ConflictError, PathError, SettingsError, VersionTooOldError


def engine_of(domain: dict[str, Any], **options: Any) -> TheusEngine:
    return TheusEngine({"domain": domain}, time_travel=True, keep_reads=True, **options)


def commit(engine: TheusEngine, **fields: Any) -> int:
    with engine.transaction() as tx:
        for name, value in fields.items():
            tx.domain[name] = value
    return engine.state.version


# --- state_at --------------------------------------------------------------------------------


def test_every_version_can_be_read() -> None:
    with engine_of({"n": 0, "gone": 1, "xs": [0]}) as engine:
        for number in range(1, 50):
            with engine.transaction() as tx:
                tx.domain.n = number
                tx.domain.xs.insert(0, number)
                tx.domain[f"k{number % 3}"] = number
                if number == 10:
                    del tx.domain["gone"]
        for number in range(50):
            domain = engine.state_at(number + 1).domain
            assert (domain.n, len(domain.xs), "gone" in domain) == (number, number + 1, number < 10)
            assert domain.xs == [*range(number, 0, -1), 0]
            assert list(domain)[:2] == ["n", "gone"][: 1 + (number < 10)] + ["xs"] * (number >= 10)


def test_the_newest_version_can_always_be_read() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        commit(engine, n=1)
        assert engine.state_at(2) is engine.state


def test_a_version_that_somebody_holds_can_be_read() -> None:
    with TheusEngine({"domain": {"n": 0}}) as engine:
        held = engine.state
        commit(engine, n=1)
        commit(engine, n=2)
        assert engine.state_at(1).domain.n == 0
        with pytest.raises(VersionTooOldError):
            engine.state_at(2)  # nobody has it
        del held
        with pytest.raises(VersionTooOldError, match="time_travel=True"):
            engine.state_at(1)


def test_the_history_ends_where_the_settings_say() -> None:
    with engine_of({"n": 0}, history=10) as engine:
        for number in range(1, 31):
            commit(engine, n=number)
        assert [engine.state_at(version).domain.n for version in range(21, 32)] == [*range(20, 31)]
        with pytest.raises(VersionTooOldError, match="begins with version 21") as caught:
            engine.state_at(20)
        assert (caught.value.snapshot, caught.value.current) == (20, 31)
        assert engine.stats()["history"] == 10
        engine.collect()
        assert engine.stats()["undo_records"] == 10


@pytest.mark.parametrize("version", [0, -1, 5])
def test_a_version_that_never_was_is_refused(version: int) -> None:
    with engine_of({"n": 0}) as engine:
        commit(engine, n=1)
        with pytest.raises(VersionTooOldError, match="numbered up to 2"):
            engine.state_at(version)


@pytest.mark.parametrize("version", ["1", 1.0, True, None])
def test_a_version_is_an_int(version: Any) -> None:
    with engine_of({"n": 0}) as engine, pytest.raises(TypeError, match="a version is an int"):
        engine.state_at(version)


def test_an_old_version_stays_while_it_is_held() -> None:
    with engine_of({"n": 0}, history=3) as engine:
        held = engine.state_at(1)
        for number in range(1, 20):
            commit(engine, n=number)
        assert held.domain.n == 0
        assert engine.state_at(7).domain.n == 6  # all that is newer than what somebody holds
        del held
        engine.collect()
        with pytest.raises(VersionTooOldError):
            engine.state_at(7)


def test_versions_are_read_by_threads_while_others_commit() -> None:
    wrong: list[Any] = []
    with engine_of({"a": 0, "b": 0}, history=50) as engine:

        def read() -> None:
            while not done.is_set():
                newest = engine.state.version
                for version in range(max(1, newest - 40), newest + 1, 7):
                    try:
                        domain = engine.state_at(version).domain
                    except VersionTooOldError:
                        continue
                    if (domain.a, domain.b) != (version - 1, 1 - version):
                        wrong.append((version, domain.a, domain.b))
                engine.blame("domain.a")
                entries = engine.diff(newest)
                if {entry.path for entry in entries} not in (
                    {("domain", "a"), ("domain", "b")},
                    set(),
                ):
                    wrong.append(entries)

        done = threading.Event()
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 3000):
            commit(engine, a=number, b=-number)
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]


# --- bounds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("travels", [False, True])
@pytest.mark.parametrize("shape", ["text", "tree", "list"])
def test_the_log_keeps_to_its_bytes(shape: str, travels: bool) -> None:
    size = 10_000
    makers = {
        "text": lambda number: "x" * size + str(number),
        "tree": lambda number: {f"{number}-{key}": key for key in range(size // 100)},
        "list": lambda number: [number, *range(size // 40)],
    }
    limit = 40 * size
    options: dict[str, Any] = {"history_bytes": limit, "time_travel": travels}
    with TheusEngine({"domain": {"v": 0}}, **options) as engine:
        for number in range(400):
            with engine.transaction() as tx:
                if shape == "list" and number:
                    tx.domain.v.insert(0, number)
                else:
                    tx.domain.v = makers[shape](number)
            stats = engine.stats()
            assert stats["history_bytes"] <= limit
        assert 5 < stats["history"] < 400
        first = engine._store.history.first
        assert engine.blame("domain.v").version == 401
        if travels:
            assert engine.state_at(first - 1).version == first - 1
            with pytest.raises(VersionTooOldError):
                engine.state_at(first - 2)


def test_one_commit_over_the_limit_stays() -> None:
    with engine_of({"v": "x" * 5000}, history_bytes=1000) as engine:
        commit(engine, v="y" * 5000)
        assert engine.stats()["history"] == 1
        assert engine.state_at(1).domain.v[0] == "x"
        commit(engine, v="z")
        assert engine.stats()["history"] == 1
        assert engine.state_at(2).domain.v[0] == "y"


def test_bytes_are_forgotten_with_the_records() -> None:
    with engine_of({"n": 0}, history=8) as engine:
        for number in range(100):
            commit(engine, n=str(number % 10) * 5000)
        before = engine.stats()["history_bytes"]
        assert before > 8 * 5000
        for number in range(20):
            commit(engine, n=number)
        assert engine.stats()["history_bytes"] < before / 5


@pytest.mark.parametrize("option", ["history", "history_bytes"])
def test_a_bound_is_at_least_one(option: str) -> None:
    with pytest.raises(SettingsError, match=option):
        TheusEngine({}, **{option: 0})


# --- the heavy zone --------------------------------------------------------------------------


class Thing:
    """Something that the state holds by reference."""


def test_the_heavy_zone_is_not_kept() -> None:
    with engine_of({"n": 0}) as engine:
        first = Thing()
        seen = weakref.ref(first)
        with engine.transaction() as tx:
            tx.update(heavy={"x": first}, data={"domain": {"n": 1}})
        held = engine.state
        with engine.transaction() as tx:
            tx.update(heavy={"x": Thing()})
        assert engine.state_at(2).heavy["x"] is first  # somebody holds that version
        del first, held, tx
        gc.collect()
        assert seen() is None
        assert engine.state_at(2).domain.n == 1
        with pytest.raises(VersionTooOldError, match="heavy zone of version 2 is not kept"):
            engine.state_at(2).heavy
        assert isinstance(engine.state.heavy["x"], Thing)
        with engine.transaction() as tx:
            tx.delete("heavy.x")
        assert len(engine.state.heavy) == 0
        change = engine.blame("heavy.x")
        assert change is not None
        assert (change.version, change.paths) == (4, ("heavy.x",))


@pytest.mark.parametrize("travels", [False, True])
def test_an_engine_in_its_own_heavy_zone_can_go(travels: bool) -> None:
    def live() -> Any:
        engine = TheusEngine({"domain": {"n": 0}}, time_travel=travels)
        box = Thing()
        box.engine = engine  # type: ignore[attr-defined]
        for number in range(3):
            with engine.transaction() as tx:
                tx.update(heavy={"box": box})
                tx.domain.n = number + (tx.get("heavy.box") is not None)
        return weakref.ref(box)

    seen = live()
    gc.collect()
    assert seen() is None


# --- diff ------------------------------------------------------------------------------------


@dataclass
class User:
    name: str
    tags: list[str] = field(default_factory=list)


def test_a_difference_says_what_changed() -> None:
    with engine_of({"n": 0, "m": {"a": 1, "b": {"c": 2}}, "xs": [1, 2], "s": {1}}) as engine:
        with engine.transaction() as tx:
            tx.domain.n = 5
            tx.domain.m.b.c = 3
            del tx.domain["m"]["a"]
            tx.domain.xs.append(3)
            tx.domain.s.add(2)
            tx.domain.new = {"x": 1}
        with engine.transaction() as tx:
            tx.domain.n = 0  # as before
        assert set(map(str, engine.diff(1))) == {
            "set domain.m.b.c: 2 -> 3",
            "delete domain.m.a: 1 -> None",
            "insert domain.xs[2]: None -> 3",
            "set domain.s: {1} -> {1, 2}",
            "insert domain.new: None -> {'x': 1}",
        }
        assert engine.diff(2, 3) == (DeltaEntry("set", ("domain", "n"), 5, 0),)
        assert engine.diff(3, 2) == (DeltaEntry("set", ("domain", "n"), 0, 5),)
        assert engine.diff(2, 2) == engine.diff(3) == ()
        assert str(engine.diff(2, 3)) == "set domain.n: 5 -> 0"


def test_states_can_be_compared_without_time_travel() -> None:
    with TheusEngine({"domain": {"n": 0, "m": {"a": 1}}}, history=2) as engine:
        before = engine.state
        for number in range(1, 9):  # the log has lost the first of them
            commit(engine, n=number)
        assert engine.diff(before) == (DeltaEntry("set", ("domain", "n"), 0, 8),)
        with pytest.raises(VersionTooOldError, match="hold the State itself"):
            engine.diff(5)


def test_fields_of_records_are_compared() -> None:
    with engine_of({"user": User("ann", ["x"])}) as engine:
        with engine.transaction() as tx:
            tx.domain.user.name = "bob"
            tx.domain.user.tags.append("y")
        entries = engine.diff(1)
        assert set(map(str, entries)) == {
            "set domain.user.name: 'ann' -> 'bob'",
            "insert domain.user.tags[1]: None -> 'y'",
        }
        before = engine.state_at(1).to_dict()
        kept = copy.deepcopy(before)
        assert apply(before, entries) == engine.state.to_dict()
        assert before == kept


def test_states_of_two_engines_have_no_common_history() -> None:
    with engine_of({}) as engine, engine_of({}) as other:
        with pytest.raises(ValueError, match="different engines"):
            engine.diff(other.state)
        commit(engine, n=1)
        with pytest.raises(ValueError, match="different engines"):
            engine.diff(other.state, 2)


def patched(document: Any, patch: list[dict[str, Any]]) -> Any:
    """RFC 6902, the three operations that a difference needs."""
    document = copy.deepcopy(document)
    for operation in patch:
        tokens = operation["path"].split("/")[1:]
        keys = [token.replace("~1", "/").replace("~0", "~") for token in tokens]
        target = document
        for key in keys[:-1]:
            target = target[int(key)] if isinstance(target, list) else target[key]
        last = int(keys[-1]) if isinstance(target, list) else keys[-1]
        if operation["op"] == "remove":
            del target[last]
        elif operation["op"] == "add" and isinstance(target, list):
            target.insert(last, operation["value"])
        else:
            assert operation["op"] == "add" or last in target or isinstance(target, list)
            target[last] = operation["value"]
    return document


LEAVES = st.integers(0, 3) | st.text("a/~", max_size=2) | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("a/~", max_size=2), below),
    max_leaves=6,
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "delete", "append", "insert", "pop", "inner"]),
        st.sampled_from(["a", "b/c", "d~e"]),
        VALUES,
    ),
    max_size=12,
)


def change(domain: Any, kind: str, key: str, value: Any) -> None:
    if kind == "set":
        domain[key] = value
    elif kind == "delete":
        domain.pop(key, None)
    elif kind == "inner":
        domain["rows"][0]["x"] = value
    elif kind == "insert":
        domain["rows"].insert(0, {"x": value})
    elif kind == "append":
        domain["rows"].append({"x": value})
    elif len(domain["rows"]) > 1:
        domain["rows"].pop(0)


@settings(max_examples=200, deadline=None)
@given(CHANGES)
def test_a_json_patch_turns_one_version_into_the_other(changes: list[Any]) -> None:
    with engine_of({"a": 1, "rows": [{"x": 1}, {"x": 2}]}) as engine:
        for kind, key, value in changes:
            with engine.transaction() as tx:
                change(tx.domain, kind, key, value)
        newest = engine.state
        for version in range(1, newest.version + 1):
            before = engine.state_at(version)
            patch = engine.diff(before).to_json_patch()
            assert json.loads(json.dumps(patch)) == patch
            assert patched(before.to_dict(), patch) == newest.to_dict()
            back = engine.diff(newest, before).to_json_patch()
            assert patched(newest.to_dict(), back) == before.to_dict()


def test_a_json_patch_spells_keys_and_values_as_json_does() -> None:
    with engine_of({"m": {}}) as engine:
        with engine.transaction() as tx:
            tx.domain["m"].update({1: User("ann"), None: 0.5})
            tx.domain["m"][True] = {2, 1}
        paths = {one["path"]: one["value"] for one in engine.diff(1).to_json_patch()}
        assert paths == {
            "/domain/m/1": [1, 2],  # 1 and True are one key
            "/domain/m/null": 0.5,
        }
        with engine.transaction() as tx:
            tx.domain["m"][(1, 2)] = 1
        with pytest.raises(TypeError):
            engine.diff(2).to_json_patch()


# --- blame and why ---------------------------------------------------------------------------


@process(inputs=["domain.price", "domain.rate"], outputs=["domain.total"])
def charge(ctx: Any) -> float:
    """Reads two places and writes a third."""
    return ctx.domain.price * (1 + ctx.domain.rate)


@process(outputs=["domain.price"])
def reprice(ctx: Any, price: float) -> float:
    """Writes blindly."""
    return price


def test_blame_names_version_process_and_what_it_had_read() -> None:
    with engine_of({"price": 10.0, "rate": 0.5, "total": 0.0}) as engine:
        engine.register(charge)
        engine.register(reprice)
        engine.run("reprice", price=20.0)
        engine.run("charge")
        change = engine.blame("domain.total")
        assert change is not None
        assert (change.version, change.process, change.snapshot) == (3, "charge", 2)
        assert change.paths == ("domain.total",)
        assert change.reads == {"domain.price": (2,), "domain.rate": ()}
        assert change.causes == (2,)
        assert [one.process for one in engine.why("domain.total")] == ["charge", "reprice"]
        assert engine.why("domain.total", depth=0) == (change,)
        text = str(change)
        assert "version 3 by charge at " in text
        assert "read domain.price (version 2)" in text
        assert "read domain.rate (before the log)" in text
        assert engine.blame("domain.rate") is None
        assert engine.why("domain.rate") == ()
        assert engine.blame("domain.total", at=2) is None
        assert engine.blame("domain.price", at=engine.state_at(2)).process == "reprice"


@pytest.mark.parametrize("at", [0, 1, 4, 9])
def test_blame_up_to_a_version_that_the_log_does_not_have_is_refused(at: int) -> None:
    with TheusEngine({"domain": {"n": 0}}, history=2) as engine:
        for number in range(1, 6):
            commit(engine, n=number)
        if at == 4:
            assert engine.blame("domain.n", at) is None
            assert engine.blame("domain.n", 5).version == 5  # type: ignore[union-attr]
            return
        with pytest.raises(VersionTooOldError):
            engine.blame("domain.n", at)


def test_blame_does_not_know_reads_that_are_not_kept() -> None:
    with TheusEngine({"domain": {"price": 10.0, "rate": 0.5, "total": 0.0}}) as engine:
        engine.register(charge)
        engine.run("charge")
        [change] = engine.why("domain.total")
        assert (change.version, change.process, change.reads) == (2, "charge", None)
        assert change.causes == ()
        assert "read" not in str(change)


def test_a_value_is_followed_where_its_container_moves() -> None:
    with engine_of({"rows": [{"v": 0}, {"v": 0}]}) as engine:
        with engine.transaction() as tx:
            tx.domain.rows[1].v = 7
        with engine.transaction() as tx:
            tx.domain.rows.pop(0)
        assert engine.blame("domain.rows[0].v").version == 2
        assert engine.blame("domain.rows.0.v").version == 2
        assert engine.blame("domain.rows[-1].v").version == 2
        assert engine.blame("domain.rows[0]").version == 3
        assert engine.blame("domain.rows").version == 3
        assert engine.blame("domain.rows[1]").version == 3  # its removal


def test_a_container_that_came_as_a_whole_has_one_writer() -> None:
    with engine_of({}) as engine:
        commit(engine, box={"deep": {"x": 1, "y": 1}})
        with engine.transaction() as tx:
            tx.domain.box.deep.y = 2
        assert engine.blame("domain.box.deep.x").version == 2
        assert engine.blame("domain.box.deep.y").version == 3
        assert engine.blame("domain.box").version == 3
        assert engine.blame("domain.box.deep.nothing").version == 2
        assert engine.blame("domain.other") is None


def test_what_is_gone_has_a_commit_too() -> None:
    with engine_of({"a": {"b": 1}}) as engine:
        with engine.transaction() as tx:
            del tx.domain["a"]
        assert engine.blame("domain.a").version == 2
        assert engine.blame("domain.a.b").version == 2


@pytest.mark.parametrize("path", ["", "domain..x", "domain.xs.one"])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with engine_of({"xs": [1]}) as engine:
        commit(engine, n=1)
        with pytest.raises((PathError, ValueError)):
            engine.blame(path)


def test_changes_are_plain_data() -> None:
    with engine_of({"n": 0}) as engine:
        commit(engine, n=1)
        change = engine.blame("domain.n")
        with pytest.raises(AttributeError):
            change.version = 5  # type: ignore[misc, union-attr]
        with pytest.raises(TypeError):
            change.reads["x"] = ()  # type: ignore[index, union-attr]
        entries = engine.diff(1)
        assert pickle.loads(pickle.dumps(entries)) == entries


# --- bisect ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [1, 2, 3, 4999, 5000, 9_999, 10_000, None])
def test_bisect_finds_the_first_bad_version_in_few_looks(bad: int | None) -> None:
    looks = 0

    def holds(state: Any) -> bool:
        nonlocal looks
        looks += 1
        return bad is None or state.domain.n < bad

    with engine_of({"n": 1}, history=10_000) as engine:
        for number in range(2, 10_001):
            commit(engine, n=number)
        assert engine.state.version == 10_000
        assert engine.bisect(holds) == bad
        assert looks <= math.ceil(math.log2(10_001)) == 14


def test_bisect_looks_between_two_versions() -> None:
    with engine_of({"n": 1}, history=100) as engine:
        for number in range(2, 51):
            commit(engine, n=number)
        assert engine.bisect(lambda state: state.domain.n < 10, 5, 20) == 10
        assert engine.bisect(lambda state: state.domain.n < 10, 12, 20) == 12
        assert engine.bisect(lambda state: state.domain.n < 30, 5, engine.state_at(20)) is None
        with pytest.raises(KeyError):
            engine.bisect(lambda state: state.domain["nothing"])


def test_bisect_needs_old_versions() -> None:
    with TheusEngine({"domain": {}}) as engine:
        with pytest.raises(SettingsError, match="time_travel=True"):
            engine.bisect(lambda state: True)


def test_what_bisect_looks_at_stays_while_it_looks() -> None:
    with engine_of({"n": 1}, history=20) as engine:
        for number in range(2, 22):
            commit(engine, n=number)

        def holds(state: Any) -> bool:
            for number in range(30):  # more commits than the history has
                commit(engine, other=state.version * 100 + number)
            return state.domain.n < 5

        assert engine.bisect(holds) == 5


# --- conflicts -------------------------------------------------------------------------------


def test_a_conflict_tells_what_the_other_process_did() -> None:
    with TheusEngine({"domain": {"price": 10.0, "rate": 0.5, "total": 0.0}}) as engine:
        engine.register(reprice)
        tx = engine.begin()
        tx.domain.total = tx.domain.price * 2
        engine.run("reprice", price=20.0)
        with pytest.raises(ConflictError) as caught:
            tx.commit()
        error = caught.value
        assert (error.other, error.paths) == ("reprice", ("domain.price",))
        assert error.changes == (DeltaEntry("set", ("domain", "price"), 10.0, 20.0),)
        assert "domain.price (10.0 -> 20.0) changed by 'reprice' since version 1" in str(error)
        assert pickle.loads(pickle.dumps(error)).changes == tuple(error.changes)


def test_a_conflict_shows_the_outcome_of_commuting_operations() -> None:
    with TheusEngine({"domain": {"n": 1, "big": {}}}) as engine:
        tx = engine.begin()
        tx.domain.n = tx.domain.n + len(tx.domain["big"]) + 1
        with engine.transaction() as other:
            other.incr("domain.n", 5)
            other.domain["big"]["key"] = "x" * 1000
        with pytest.raises(ConflictError) as caught:
            tx.commit()
        assert "domain.n (1 -> 6), domain.big.key changed" in str(caught.value)
        assert [(one.op, one.new) for one in caught.value.changes] == [
            ("incr", 6),
            ("set", "x" * 1000),
        ]
