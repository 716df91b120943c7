"""The store of objects with versions, and the proxies that show them."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus import TheusEncoder, TheusEngine
from theus._core import SupervisorCore, SupervisorProxy
from theus._core.path import parse_path
from theus.errors import ContractViolationError, TheusError, UnsupportedValueError
from theus.structures import Transaction

# --- the store -------------------------------------------------------------------------------


def test_values_are_held_by_reference_with_a_version_per_key() -> None:
    core = SupervisorCore()
    model = object()
    assert core.write("model", model) == 1
    assert core.write("other", [1]) == 1
    assert core.read("model") is model
    assert core.write("model", model) == 2
    assert (core.get_version("model"), core.get_version("other")) == (2, 1)
    assert core.keys() == ["model", "other"]
    assert core.contains("model")
    assert "model" in core
    assert len(core) == 2
    assert "2 keys" in repr(core)


def test_what_is_not_there() -> None:
    core = SupervisorCore()
    assert core.read("x") is None
    assert core.read("x", 5) == 5
    assert core.get_version("x") == 0
    assert not core.contains("x")
    assert core.remove("x") is False
    core.write("x", None)
    assert core.contains("x")
    assert core.remove("x") is True
    assert core.keys() == []


def test_a_version_is_never_given_twice() -> None:
    core = SupervisorCore()
    core.write("a", 1)
    core.write("a", 2)
    core.remove("a")
    assert core.write("a", 3) == 3


def test_keys_are_texts() -> None:
    with pytest.raises(UnsupportedValueError, match="is a str, not int"):
        SupervisorCore().write(5, 1)  # type: ignore[arg-type]


def test_the_end_of_a_replaced_value_may_use_the_store() -> None:
    core = SupervisorCore()

    class Last:
        def __del__(self) -> None:
            core.write("seen", True)

    core.write("a", Last())
    core.write("a", 1)
    core.write("b", Last())
    core.remove("b")
    assert core.get_version("seen") == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers() | st.just("remove"))))
def test_it_is_a_dict_whose_versions_only_grow(steps: list[tuple[str, Any]]) -> None:
    core, model = SupervisorCore(), dict[str, Any]()
    given_out: dict[str, int] = {}
    for key, value in steps:
        if value == "remove":
            assert core.remove(key) is (model.pop(key, None) is not None)
        else:
            model[key] = (value,)
            version = core.write(key, (value,))
            assert version == core.get_version(key) > given_out.get(key, 0)
            given_out[key] = version
    assert {key: core.read(key) for key in core} == model


def test_no_write_of_many_threads_is_lost() -> None:
    core = SupervisorCore()
    versions: list[list[int]] = [[] for _ in range(8)]
    barrier = threading.Barrier(8)

    def work(mine: list[int]) -> None:
        barrier.wait()
        mine.extend(core.write("hot", number) for number in range(500))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(version for mine in versions for version in mine) == [*range(1, 4001)]


# --- proxies ---------------------------------------------------------------------------------


@dataclass
class Item:
    name: str
    tags: list[str] = field(default_factory=list)

    def rename(self, name: str) -> str:
        self.name = name
        return name

    @property
    def title(self) -> str:
        return self.name.upper()


@attrs.define
class AttrsItem:
    name: str
    tags: list[str] = attrs.field(factory=list)


class ModelItem(pydantic.BaseModel):
    name: str
    tags: list[str] = []


class PlainItem:
    def __init__(self, name: str) -> None:
        self.name = name
        self.tags: list[str] = []
        self._hidden = 1


ITEMS = [
    lambda: {"name": "a", "tags": []},
    lambda: Item("a"),
    lambda: AttrsItem("a"),
    lambda: ModelItem(name="a"),
    lambda: PlainItem("a"),
    lambda: SimpleNamespace(name="a", tags=[]),
]
IDS = ["dict", "dataclass", "attrs", "pydantic", "plain", "namespace"]


@pytest.mark.parametrize("make", ITEMS, ids=IDS)
def test_keys_are_attributes_and_attributes_are_keys(make: Any) -> None:
    target = make()
    proxy = SupervisorProxy(target)
    assert proxy["name"] == proxy.name == "a"
    assert list(proxy) == ["name", "tags"]
    assert len(proxy) == 2
    assert "name" in proxy
    assert "_hidden" not in proxy
    proxy.name = "b"
    assert proxy["name"] == "b"
    proxy["name"] = "c"
    proxy.tags.append("x")
    assert proxy.to_dict() == {"name": "c", "tags": ["x"]}
    assert dict(proxy) == {"name": "c", "tags": ["x"]}
    assert SupervisorProxy(target) == {"name": "c", "tags": ["x"]}
    assert proxy.get("nope", 5) == 5
    for access in (lambda: proxy["nope"], lambda: proxy.__delitem__("nope")):
        with pytest.raises(KeyError):
            access()
    with pytest.raises(AttributeError):
        proxy.nope
    with pytest.raises(AttributeError):
        del proxy.nope


def nested() -> dict[str, Any]:
    return {
        "a": 1,
        "map": {"b": 1, "deep": [{"c": 1}]},
        "list": [1, [2]],
        "set": {1},
        "pair": (1, [2]),
        "item": Item("a", ["x"]),
        "array": np.arange(3),
        "raw": bytearray(b"x"),
    }


WRITES = {
    "item": lambda p: p.__setitem__("a", 2),
    "attribute": lambda p: setattr(p, "a", 2),
    "del item": lambda p: p.__delitem__("a"),
    "del attribute": lambda p: delattr(p, "a"),
    "pop": lambda p: p.pop("a"),
    "popitem": lambda p: p.popitem(),
    "clear": lambda p: p.clear(),
    "update": lambda p: p.update(a=2),
    "setdefault": lambda p: p.setdefault("new", 2),
    "nested attribute": lambda p: setattr(p.map, "b", 2),
    "nested item": lambda p: p["map"].__setitem__("b", 2),
    "below a list": lambda p: p.map.deep[0].__setitem__("c", 2),
    "below a slice": lambda p: p.map.deep[:][0].__setitem__("c", 2),
    "while iterating": lambda p: next(iter(p.map.deep)).__setitem__("c", 2),
    "values": lambda p: next(iter(p["map"].deep.__reversed__())).update(c=2),
    "append": lambda p: p.list.append(2),
    "extend": lambda p: p.list.extend([2]),
    "insert": lambda p: p.list.insert(0, 2),
    "list pop": lambda p: p.list.pop(),
    "remove": lambda p: p.list.remove(1),
    "sort": lambda p: p.map.deep.sort(key=str),
    "reverse": lambda p: p.list.reverse(),
    "list clear": lambda p: p.list.clear(),
    "index": lambda p: p.list.__setitem__(0, 2),
    "slice": lambda p: p.list.__setitem__(slice(0, 1), [2]),
    "del index": lambda p: p.list.__delitem__(0),
    "inner list": lambda p: p.list[1].append(3),
    "+=": lambda p: p.list.__iadd__([3]),
    "list in a tuple": lambda p: p.pair[1].append(3),
    "record field": lambda p: setattr(p.item, "name", "b"),
    "record list": lambda p: p.item.tags.append("y"),
    "record method": lambda p: p.item.rename("b"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_read_only_proxy_refuses_every_write(write: Any) -> None:
    target = nested()
    proxy = SupervisorProxy(target, "store.things", read_only=True)
    with pytest.raises(PermissionError, match=r"permission to change store\.things") as info:
        write(proxy)
    assert isinstance(info.value, TheusError)
    assert isinstance(info.value, ContractViolationError)
    assert repr(target) == repr(nested())


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_same_write_reaches_the_target_of_a_proxy_that_may(write: Any) -> None:
    target = nested()
    target["map"]["deep"].append({"c": 0})
    before = repr(target)
    write(SupervisorProxy(target))
    assert repr(target) != before


def test_leaves_of_a_read_only_proxy_cannot_be_changed_either() -> None:
    target = nested()
    proxy = SupervisorProxy(target, read_only=True)
    assert proxy.set == frozenset({1})
    assert isinstance(proxy.set, frozenset)
    assert isinstance(proxy.raw, bytes)
    with pytest.raises(ValueError, match="read-only"):
        proxy.array[0] = 5
    proxy.to_dict()["map"]["deep"].append(1)
    assert proxy.map.deep == [{"c": 1}]
    assert target["array"][0] == 0


def test_paths_name_the_place() -> None:
    proxy = SupervisorProxy({"a b": {"c": [{"d": 1}]}}, "domain")
    assert proxy.path == "domain"
    assert parse_path(proxy["a b"].c[0].path) == ("domain", "a b", "c", 0)
    assert SupervisorProxy({}).path == ""
    assert SupervisorProxy({}).is_proxy() is True
    assert (SupervisorProxy({}).read_only, SupervisorProxy({}, read_only=True).read_only) == (
        False,
        True,
    )
    assert SupervisorProxy({"m": {}}, "a", read_only=True).m.read_only


def test_a_proxy_of_a_proxy_has_no_more_rights() -> None:
    inner = SupervisorProxy({"a": 1}, read_only=True)
    with pytest.raises(PermissionError):
        SupervisorProxy(inner).a = 2


def test_a_proxy_that_is_stored_stores_what_it_shows() -> None:
    target: dict[str, Any] = {"a": {"b": [1]}, "c": []}
    proxy = SupervisorProxy(target)
    proxy["d"] = proxy.a
    proxy.c.append(proxy.a.b)
    assert target["d"] is target["a"]
    assert target["c"][0] is target["a"]["b"]


def test_methods_and_properties_work_on_the_proxy() -> None:
    item = Item("a")
    proxy = SupervisorProxy(item)
    assert proxy.rename("b") == "b"
    assert item.name == "b"
    assert SupervisorProxy(item, read_only=True).title == "B"


@pytest.mark.parametrize("target", [5, "text", [1], None, {1}, len])
def test_what_has_no_keys_is_refused(target: Any) -> None:
    with pytest.raises(UnsupportedValueError, match="a mapping or an object"):
        SupervisorProxy(target)


def test_copies_are_plain_and_detached() -> None:
    target = {"a": {"b": [1]}}
    proxy = SupervisorProxy(target, read_only=True)
    for copied in (copy.copy(proxy), copy.deepcopy(proxy), pickle.loads(pickle.dumps(proxy))):
        assert type(copied) is dict
        copied["a"]["b"].append(2)
    assert json.dumps(proxy, cls=TheusEncoder) == '{"a": {"b": [1]}}'
    assert repr(proxy) == "<SupervisorProxy read-only '': {'a': {'b': [1]}}>"
    assert target == {"a": {"b": [1]}}


# --- with a transaction -----------------------------------------------------------------------


def test_writes_belong_to_the_transaction() -> None:
    with TheusEngine({"domain": {"user": {"name": "ann", "tags": ["x"]}}}) as engine:
        with engine.transaction() as tx:
            proxy = SupervisorProxy(engine.state.domain.user, "domain.user", transaction=tx)
            proxy.name = "bob"
            proxy["tags"].append("y")
            assert proxy.to_dict() == {"name": "bob", "tags": ["x", "y"]}
            assert {entry.path[2] for entry in tx.delta_log} == {"name", "tags"}
            assert engine.state.domain.user == {"name": "ann", "tags": ["x"]}
        assert engine.state.domain.user == {"name": "bob", "tags": ["x", "y"]}


def test_a_failed_transaction_leaves_no_trace() -> None:
    with TheusEngine({"domain": {"n": 1}}) as engine:
        before = engine.state
        with pytest.raises(ZeroDivisionError), engine.transaction() as tx:
            SupervisorProxy(before.domain, "domain", transaction=tx).n = 2
            raise ZeroDivisionError
        assert engine.state is before


def test_a_target_that_the_state_does_not_have_enters_it() -> None:
    target = {"deep": {"n": 1}}
    with Transaction() as tx:
        proxy = SupervisorProxy(target, "domain.thing", transaction=tx)
        proxy.deep.n = 2
        assert proxy.to_dict() == {"deep": {"n": 2}}
        assert tx.get("domain.thing.deep.n") == 2
    assert target == {"deep": {"n": 1}}


def test_a_read_only_proxy_of_a_transaction_writes_nothing() -> None:
    with Transaction() as tx:
        proxy = SupervisorProxy({"n": 1}, "domain.thing", read_only=True, transaction=tx)
        assert proxy.n == 1
        with pytest.raises(PermissionError):
            proxy.n = 2
        assert not tx.has_writes


def test_reads_are_recorded_and_conflict() -> None:
    with TheusEngine({"domain": {"a": 1, "b": 1}}) as engine:
        tx = engine.begin()
        proxy = SupervisorProxy(engine.state.domain, "domain", transaction=tx)
        proxy.b = proxy.a + 1
        engine.compare_and_swap(1, data={"domain": {"a": 5}})
        with pytest.raises(TheusError, match="a"):
            tx.commit()
        assert engine.state.domain == {"a": 5, "b": 1}
