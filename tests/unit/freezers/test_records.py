"""Records of every kind enter the state as fields and come out as equal instances."""

from __future__ import annotations

import argparse
import copy
import functools
import types
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import attrs
import pydantic
import pytest

from theus._core.freeze import rule_for
from theus._core.state import State

T = TypeVar("T")
RAN: list[str] = []


@dataclass
class Order:
    lines: list[str]
    discount: InitVar[int] = 0
    total: int = field(init=False, default=7)
    seen: int = field(init=False)
    limit: ClassVar[int] = 3

    def __post_init__(self, discount: int) -> None:
        RAN.append("Order")
        self.seen = discount

    def count(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Point:
    x: int = 0
    y: int = 0

    @functools.cached_property
    def norm(self) -> int:
        return self.x + self.y


@dataclass(slots=True)
class Slotted:
    a: int
    b: list[int] = field(default_factory=list)


@dataclass(slots=True, frozen=True, weakref_slot=True)
class SlottedFrozen:
    a: int = 1


@dataclass
class SlottedChild(Slotted):
    c: int = 3


@dataclass
class Box(Generic[T]):
    content: T


@attrs.define
class Entry:
    a: int
    b: list[int] = attrs.field(factory=list, converter=list)

    def __attrs_post_init__(self) -> None:
        RAN.append("Entry")

    @functools.cached_property
    def double(self) -> int:
        return self.a * 2


@attrs.define(slots=False)
class EntryDict:
    a: int


@attrs.frozen(cache_hash=True)
class EntryFrozen:
    a: int = 1


class Plain:
    def __init__(self, a: int) -> None:
        RAN.append("Plain")
        self.a = a
        self._b = [a]

    @functools.cached_property
    def double(self) -> int:
        return self.a * 2

    def __eq__(self, other: object) -> bool:
        return type(other) is Plain and (self.a, self._b) == (other.a, other._b)


class Slots:
    __slots__ = ("__hidden", "a", "unset")

    def __init__(self) -> None:
        self.a = 1
        self.__hidden = 2

    def __eq__(self, other: object) -> bool:
        return type(other) is Slots and (self.a, self.__hidden) == (other.a, other.__hidden)


class SlotsAndDict(Slots):
    def __init__(self) -> None:
        super().__init__()
        self.extra = [3]

    def __eq__(self, other: object) -> bool:
        return type(other) is SlotsAndDict and vars(self) == vars(other)


class Empty:
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Empty


class Model(pydantic.BaseModel):
    a: int = 1
    items: list[int] = []
    _secret: int = pydantic.PrivateAttr(default=5)

    def model_post_init(self, context: Any, /) -> None:
        RAN.append("Model")

    @functools.cached_property
    def double(self) -> int:
        return self.a * 2


class ModelExtra(pydantic.BaseModel):
    model_config = {"extra": "allow", "frozen": True}
    a: int = 1


class ModelRoot(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class ModelDataclass:
    a: int
    b: list[int]


def namespace() -> Any:
    return types.SimpleNamespace(a=1, b=[2])


def warmed(value: Any, name: str) -> Any:
    """The value after its cached property was used."""
    getattr(value, name)
    return value


def hashed(value: Any) -> Any:
    """The value after its hash was computed (and kept)."""
    hash(value)
    return value


def with_attribute(value: Any) -> Any:
    value.added = [9]
    return value


MAKERS = {
    "dataclass": lambda: Order(["x"], 4),
    "dataclass with an added attribute": lambda: with_attribute(Order(["x"])),
    "frozen": lambda: Point(1, 2),
    "frozen, cached": lambda: warmed(Point(1, 2), "norm"),
    "slots": lambda: Slotted(1, [2]),
    "slots, frozen": SlottedFrozen,
    "slots and dict": lambda: SlottedChild(1, [2], 5),
    "generic": lambda: Box([1]),
    "nested": lambda: Box([Box({"k": Slotted(1, [2])})]),
    "attrs": lambda: Entry(1, [2]),
    "attrs, cached": lambda: warmed(Entry(1, [2]), "double"),
    "attrs without slots": lambda: EntryDict(1),
    "attrs, frozen": lambda: hashed(EntryFrozen()),
    "plain": lambda: Plain(1),
    "plain, cached": lambda: warmed(Plain(1), "double"),
    "plain slots": Slots,
    "plain slots and dict": SlotsAndDict,
    "plain, empty": Empty,
    "pydantic": lambda: Model(a=2, items=[1]),
    "pydantic, cached": lambda: warmed(Model(a=2), "double"),
    "pydantic, extra": lambda: ModelExtra(a=2, b=[1]),  # type: ignore[call-arg]
    "pydantic root": lambda: ModelRoot([1, 2]),
    "pydantic dataclass": lambda: ModelDataclass(1, [2]),
    "namespace": namespace,
    "argparse": lambda: argparse.Namespace(a=1, b=[2]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_record_comes_out_equal_and_of_its_class(name: str) -> None:
    value = MAKERS[name]()
    state = State(data={"domain": {"r": value}})
    RAN.clear()
    again = state.to_dict()["domain"]["r"]
    assert type(again) is type(value)
    assert again == value
    assert again is not value
    assert RAN == []
    shown = state.domain.r
    assert isinstance(shown, type(value))
    assert copy.deepcopy(shown) == value


@pytest.mark.parametrize("name", MAKERS)
def test_fields_round_trip(name: str) -> None:
    value = MAKERS[name]()
    rule = rule_for(type(value))
    fields = rule.fields(value)
    assert rule.fields(rule.build(type(value), fields)) == fields


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("dataclass", {"lines": ["x"], "total": 7, "seen": 4}),
        (
            "dataclass with an added attribute",
            {"lines": ["x"], "total": 7, "seen": 0, "added": [9]},
        ),
        ("frozen, cached", {"x": 1, "y": 2}),
        ("slots and dict", {"a": 1, "b": [2], "c": 5}),
        ("attrs, cached", {"a": 1, "b": [2]}),
        ("attrs, frozen", {"a": 1}),
        ("plain, cached", {"a": 1, "_b": [1]}),
        ("plain slots", {"a": 1, "_Slots__hidden": 2}),
        ("plain slots and dict", {"a": 1, "_Slots__hidden": 2, "extra": [3]}),
        ("pydantic, cached", {"a": 2, "items": [], "_secret": 5}),
        ("pydantic, extra", {"a": 2, "b": [1]}),
    ],
)
def test_what_is_a_field(name: str, fields: Any) -> None:
    value = MAKERS[name]()
    assert rule_for(type(value)).fields(value) == fields


def test_declared_fields_come_first_in_their_order() -> None:
    value = with_attribute(Order(["x"]))
    assert list(rule_for(Order).fields(value)) == ["lines", "total", "seen", "added"]
    value = Model(items=[1], a=2)
    assert list(rule_for(Model).fields(value)) == ["a", "items", "_secret"]


@pytest.mark.parametrize("name", ["dataclass", "slots", "attrs", "plain", "pydantic", "namespace"])
def test_what_was_passed_in_is_detached(name: str) -> None:
    value = MAKERS[name]()
    state = State(data={"domain": {"r": value}})
    before = state.to_dict()["domain"]["r"]
    for content in rule_for(type(value)).fields(value).values():
        if isinstance(content, list):
            content.append(99)
    if hasattr(value, "a"):
        value.a = 1000
    assert state.to_dict()["domain"]["r"] == before


@pytest.mark.parametrize("name", ["dataclass", "slots", "attrs", "plain", "pydantic", "namespace"])
def test_committed_records_cannot_be_changed(name: str) -> None:
    shown = State(data={"domain": {"r": MAKERS[name]()}}).domain.r
    for change in (
        lambda: setattr(shown, "a", 5),
        lambda: setattr(shown, "new", 5),
        lambda: delattr(shown, "a"),
    ):
        with pytest.raises(AttributeError):
            change()


def test_methods_run_on_the_view() -> None:
    domain = State(
        data={"domain": {"o": Order(["x", "y"]), "p": Point(1, 2), "m": Model(a=2), "e": Entry(4)}}
    ).domain
    assert domain.o.count() == 2
    assert domain.o.limit == 3
    assert domain.p.norm == 3
    assert domain.m.double == 4
    assert domain.m.model_dump() == {"a": 2, "items": []}
    assert domain.m.model_copy(update={"a": 3}).a == 3
    assert domain.e.double == 8


def test_frozen_classes_are_known() -> None:
    frozen = {
        cls for cls in (Point, SlottedFrozen, EntryFrozen, ModelExtra) if rule_for(cls).frozen
    }
    assert frozen == {Point, SlottedFrozen, EntryFrozen, ModelExtra}
    assert not any(rule_for(cls).frozen for cls in (Order, Slotted, Entry, Plain, Model))


def test_a_built_model_has_what_pydantic_needs() -> None:
    again = State(data={"domain": {"m": Model(a=2)}}).to_dict()["domain"]["m"]
    assert again._secret == 5
    assert again.model_dump_json() == '{"a":2,"items":[]}'
    again._secret = 6
    again.a = 7
    assert again.model_fields_set == {"a", "items"}
    extra = State(data={"domain": {"m": ModelExtra(b=1)}}).to_dict()["domain"]["m"]  # type: ignore[call-arg]
    assert extra.model_extra == {"b": 1}
