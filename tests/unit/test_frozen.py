"""FrozenDict and FrozenList made by hand: complete, and closed to every change."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus._core.view import MUTATORS
from theus.errors import ImmutableError, TheusError, UnsupportedValueError
from theus.structures import FrozenDict, FrozenList, State

PLAIN = {"a": 1, "deep": {"list": [1, {"b": 2}]}, "s": {1, 2}}


def frozen() -> FrozenDict:
    return FrozenDict(PLAIN)


@pytest.mark.parametrize(
    "made",
    [
        lambda: FrozenDict({"a": 1, "b": 2}),
        lambda: FrozenDict([("a", 1), ("b", 2)]),
        lambda: FrozenDict(a=1, b=2),
        lambda: FrozenDict({"a": 1}, b=2),
        lambda: FrozenDict(FrozenDict({"a": 1, "b": 2})),
        lambda: FrozenDict({"a": 1}) | {"b": 2},
        lambda: {"a": 1} | FrozenDict({"b": 2}),
    ],
)
def test_ways_to_make_one(made: Any) -> None:
    value = made()
    assert type(value) is FrozenDict
    assert value == {"a": 1, "b": 2}
    assert list(value) == ["a", "b"]


def test_empty_ones() -> None:
    assert FrozenDict() == {}
    assert FrozenList() == []
    assert not FrozenDict()
    assert not FrozenList()


@pytest.mark.parametrize("values", [[1, 2], (1, 2), range(1, 3), iter([1, 2]), FrozenList([1, 2])])
def test_a_list_of_anything_that_can_be_iterated(values: Any) -> None:
    assert FrozenList(values) == [1, 2]


def test_what_was_given_is_detached() -> None:
    given_in: dict[str, Any] = {"list": [1], "map": {}}
    made = FrozenDict(given_in)
    given_in["list"].append(2)
    given_in["map"]["x"] = 1
    assert made == {"list": [1], "map": {}}
    assert FrozenList([given_in]).to_list() == [{"list": [1, 2], "map": {"x": 1}}]


def test_what_the_state_cannot_hold_is_refused() -> None:
    with pytest.raises(UnsupportedValueError):
        FrozenDict({"a": (number for number in range(3))})
    with pytest.raises(UnsupportedValueError):
        FrozenList([open])


@pytest.mark.parametrize("wrong", [5, [1], "ab"])
def test_what_is_no_mapping_is_refused_as_by_dict(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        FrozenDict(wrong)


def test_keys_are_attributes_except_names_of_methods() -> None:
    value = FrozenDict({"name": 1, "items": 2, "two words": 3})
    assert value.name == 1
    assert callable(value.items)
    assert value["items"] == 2
    assert "name" in dir(value)
    with pytest.raises(AttributeError, match="no 'nope'"):
        value.nope
    assert frozen().deep.list[1].b == 2


def test_repr_says_what_it_is() -> None:
    assert repr(FrozenDict({"a": [1]})) == "FrozenDict({'a': [1]})"
    assert repr(FrozenList([{"a": 1}])) == "FrozenList([{'a': 1}])"
    assert str(FrozenList([1])) == "FrozenList([1])"


def test_equal_ones_have_one_hash() -> None:
    one, two = FrozenDict({"a": [1], "b": 2}), FrozenDict({"b": 2, "a": [1]})
    assert one == two
    assert hash(one) == hash(two)
    assert hash(FrozenList([1, {"a": 2}])) == hash(FrozenList([1, {"a": 2}]))
    assert len({one, two, FrozenDict({"a": 1})}) == 2
    assert {FrozenList([1]): "x"}[FrozenList([1])] == "x"


def test_lists_are_ordered_as_lists_and_mappings_have_no_order() -> None:
    assert FrozenList([1, 2]) < FrozenList([1, 3]) < [2]
    assert sorted([FrozenList([2]), FrozenList([1])]) == [[1], [2]]
    assert max(FrozenList([1]), FrozenList([1, 0])) == [1, 0]
    with pytest.raises(TypeError):
        sorted([FrozenDict({"a": 1}), FrozenDict({"a": 2})])  # type: ignore[type-var]
    with pytest.raises(TypeError):
        sorted([FrozenList([1]), (2,)])  # type: ignore[type-var]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_kind_and_content(protocol: int) -> None:
    for value in (frozen(), FrozenList([PLAIN])):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert type(again) is type(value)
        assert again == value


def test_copies() -> None:
    value = frozen()
    assert copy.copy(value) is value
    assert value.copy() is value
    deep = copy.deepcopy(value)
    assert deep == value
    plain = value.to_dict()
    plain["deep"]["list"].clear()
    assert value == PLAIN
    assert type(value.to_dict()["s"]) is set


def test_sets_come_out_frozen() -> None:
    assert frozen().s == {1, 2}
    assert type(frozen().s) is frozenset


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FrozenDict() | [1],
        lambda: operator.add(FrozenList(), (1,)),
        lambda: FrozenList() * "x",
    ],
)
def test_operators_refuse_what_those_of_plain_data_refuse(wrong: Any) -> None:
    with pytest.raises(TypeError):
        wrong()


# --- closed ----------------------------------------------------------------------------------


def dict_writes() -> dict[str, Any]:
    writes: dict[str, Any] = {
        name: lambda v, name=name: getattr(v, name)
        for name in sorted(MUTATORS)
        if hasattr(dict, name)
    }
    return writes | {
        "[]=": lambda v: v.__setitem__("a", 2),
        "del []": lambda v: v.__delitem__("a"),
        "attribute": lambda v: setattr(v, "a", 2),
        "new attribute": lambda v: setattr(v, "new", 2),
        "del attribute": lambda v: delattr(v, "a"),
        "|=": lambda v: v.__ior__({"a": 2}),
        "deep []=": lambda v: v["deep"]["list"].__setitem__(0, 9),
        "deep append": lambda v: v.deep.list.append(9),
        "deeper": lambda v: setattr(v.deep.list[1], "b", 9),
        "values": lambda v: list(v.values())[1].update({}),
        "items": lambda v: dict(v.items())["deep"].clear(),
    }


def list_writes() -> dict[str, Any]:
    writes: dict[str, Any] = {
        name: lambda v, name=name: getattr(v, name)
        for name in sorted(MUTATORS)
        if hasattr(list, name)
    }
    return writes | {
        "[]=": lambda v: v.__setitem__(0, 2),
        "[:]=": lambda v: v.__setitem__(slice(None), []),
        "del []": lambda v: v.__delitem__(0),
        "del [:]": lambda v: v.__delitem__(slice(None)),
        "+=": lambda v: v.__iadd__([2]),
        "*=": lambda v: v.__imul__(2),
        "attribute": lambda v: setattr(v, "a", 2),
        "of a slice": lambda v: v[:][1].__setitem__("b", 9),
        "while iterating": lambda v: list(v)[1].__setitem__("b", 9),
        "while iterating backwards": lambda v: next(reversed(v)).__setitem__("b", 9),
    }


def test_every_changing_method_is_known() -> None:
    changing_dict = {"clear", "pop", "popitem", "setdefault", "update"}
    changing_list = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}
    assert changing_dict | changing_list <= MUTATORS
    reading = {"copy", "get", "items", "keys", "values", "count", "index", "fromkeys"}
    named = {name for kind in (dict, list) for name in dir(kind) if not name.startswith("_")}
    assert named - reading <= MUTATORS


@pytest.mark.parametrize("write", dict_writes().values(), ids=dict_writes())
@pytest.mark.parametrize("where", ["by hand", "in a state"])
def test_a_mapping_refuses_every_change(write: Any, where: str) -> None:
    value = frozen() if where == "by hand" else State(data={"domain": PLAIN}).domain
    with pytest.raises(ImmutableError, match="Immutable") as info:
        write(value)
    assert isinstance(info.value, TheusError)
    assert isinstance(info.value, TypeError)
    assert value == PLAIN


@pytest.mark.parametrize("write", list_writes().values(), ids=list_writes())
@pytest.mark.parametrize("where", ["by hand", "in a state"])
def test_a_list_refuses_every_change(write: Any, where: str) -> None:
    plain = PLAIN["deep"]["list"]  # type: ignore[index]
    value = (
        FrozenList(plain) if where == "by hand" else State(data={"domain": PLAIN}).domain.deep.list
    )
    with pytest.raises(ImmutableError, match="Immutable"):
        write(value)
    assert value == plain


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5), st.lists(VALUES, max_size=5))
def test_content_of_any_shape_comes_through(mapping: dict[str, Any], items: list[Any]) -> None:
    one, many = FrozenDict(mapping), FrozenList(items)
    assert one == mapping
    assert mapping == one
    assert one.to_dict() == mapping
    assert list(one.items()) == list(mapping.items())
    assert many == items
    assert many.to_list() == items
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(FrozenDict(reversed(list(mapping.items()))))
