"""Contexts of every kind become the same zones, and come back from plain data."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import attrs
import pytest
from pydantic import BaseModel

from theus.context import BaseDomainContext, BaseGlobalContext, BaseSystemContext
from theus.context.base import zones_of
from theus.errors import (
    ContextError,
    CycleError,
    SchemaViolationError,
    UnsupportedValueError,
)


class Colour(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class User:
    name: str
    tags: list[str] = field(default_factory=list)


@dataclass
class Guest:
    visits: int


class Money(BaseModel):
    amount: int
    currency: str = "EUR"


@dataclass
class Shop(BaseDomainContext):
    owner: User | None = None
    users: list[User] = field(default_factory=list)
    by_name: dict[str, User] = field(default_factory=dict)
    pair: tuple[User, int] | None = None
    anyone: User | Guest | None = None
    cash: Money | None = None
    derived: int = field(init=False, default=0)


@dataclass
class Settings(BaseGlobalContext):
    limit: int = 10


@dataclass
class System(BaseSystemContext):
    domain: Shop = field(default_factory=Shop)
    global_ctx: Settings = field(default_factory=Settings)
    extra: dict[str, int] = field(default_factory=dict)


@dataclass
class OldSystem(BaseSystemContext):
    """Spells both zones the other way, without defaults."""

    domain_ctx: Shop
    global_: Settings


def test_both_spellings_lead_to_the_declared_one() -> None:
    old = OldSystem(domain_ctx=Shop(), global_=Settings(3))
    assert old.domain is old.domain_ctx
    assert old.global_ctx is old.global_
    old.domain = replaced = Shop()
    assert old.domain_ctx is replaced
    new = System()
    assert new.domain_ctx is new.domain  # type: ignore[attr-defined]
    assert new.global_ is new.global_ctx  # type: ignore[attr-defined]
    new.global_ = other = Settings(4)  # type: ignore[attr-defined]
    assert new.global_ctx is other


def test_the_base_class_can_be_used_as_it_is() -> None:
    system = BaseSystemContext(domain=Shop())
    assert isinstance(system.global_ctx, BaseGlobalContext)
    assert zones_of(system)["domain"]["users"] == []


def test_a_zone_under_the_wrong_name_is_not_lost() -> None:
    with pytest.raises(TypeError, match="declares 'domain_ctx'"):
        OldSystem(domain=Shop(), global_=Settings())  # type: ignore[call-arg]


def test_replace_copy_and_pickle() -> None:
    old = OldSystem(Shop(), Settings())
    shop = Shop(owner=User("ann"))
    assert dataclasses.replace(old, domain_ctx=shop).domain is shop
    assert copy.deepcopy(old).domain_ctx == old.domain_ctx
    assert pickle.loads(pickle.dumps(old)) == old


def test_unknown_attributes_are_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        System().nope  # type: ignore[attr-defined]


class Own:
    def to_dict(self) -> dict[str, Any]:
        return {"domain": {"a": 1}, "global": {"b": 2}}


class OwnZone(BaseDomainContext):
    def to_dict(self) -> dict[str, Any]:
        return {"a": 1}


class Model(BaseModel):
    domain: dict[str, int]
    global_: dict[str, int]


class ModelZone(BaseModel):
    model_config = {"extra": "allow"}
    a: int


@dataclass
class Bare:
    domain_ctx: Any
    global_ctx: Any


@pytest.mark.parametrize(
    "context",
    [
        {"domain": {"a": 1}, "global": {"b": 2}},
        OrderedDict(domain_ctx={"a": 1}, global_={"b": 2}),
        MappingProxyType({"domain": {"a": 1}, "global_ctx": {"b": 2}}),
        Own(),
        Model(domain={"a": 1}, global_={"b": 2}),
        Bare({"a": 1}, SimpleNamespace(b=2)),
        SimpleNamespace(domain=ModelZone(a=1), global_={"b": 2}, _private=3),
        BaseSystemContext(domain=OwnZone(), global_ctx={"b": 2}),
        {"domain": ModelZone(a=1), "global": MappingProxyType({"b": 2})},
    ],
)
def test_every_kind_of_context(context: Any) -> None:
    assert zones_of(context) == {"domain": {"a": 1}, "global": {"b": 2}}


def test_zones_are_always_there() -> None:
    assert zones_of(None) == {"domain": {}, "global": {}}
    assert zones_of({}) == {"domain": {}, "global": {}}
    assert zones_of({"domain": None, "x": 1}) == {"domain": {}, "global": {}, "x": 1}


def test_records_inside_a_zone_stay_records() -> None:
    owner = User("ann")
    system = System(domain=Shop(owner=owner), extra={"a": 1})
    zones = zones_of(system)
    assert zones["domain"]["owner"] is owner
    assert zones["domain"]["derived"] == 0
    assert zones["global"] == {"limit": 10}
    assert zones["extra"] == {"a": 1}


def test_attributes_added_to_an_instance_count() -> None:
    system = System()
    system.domain.added = 5  # type: ignore[attr-defined]
    system.domain._hidden = 6  # type: ignore[attr-defined]
    zone = zones_of(system)["domain"]
    assert zone["added"] == 5
    assert "_hidden" not in zone


def test_extra_fields_of_a_model_count() -> None:
    assert zones_of({"domain": ModelZone(a=1, b=2)})["domain"] == {"a": 1, "b": 2}  # type: ignore[call-arg]


def test_a_zone_in_two_spellings_is_refused() -> None:
    with pytest.raises(ContextError, match="'domain' twice"):
        zones_of({"domain": {}, "domain_ctx": {}})


class NotADict:
    def to_dict(self) -> Any:
        return [1]


@pytest.mark.parametrize("context", [5, "text", [1], {"domain": 5}, {"global": [1]}, NotADict()])
def test_what_has_no_fields_is_refused(context: Any) -> None:
    with pytest.raises(UnsupportedValueError):
        zones_of(context)


def full() -> System:
    shop = Shop(
        owner=User("ann", ["x"]),
        users=[User("bob")],
        by_name={"cy": User("cy")},
        pair=(User("di"), 3),
        anyone=Guest(2),
        cash=Money(amount=5),
    )
    shop.derived = 7
    return System(domain=shop, global_ctx=Settings(3), extra={"a": 1})


def test_to_dict_is_plain_by_zone() -> None:
    assert full().to_dict() == {
        "domain": {
            "owner": {"name": "ann", "tags": ["x"]},
            "users": [{"name": "bob", "tags": []}],
            "by_name": {"cy": {"name": "cy", "tags": []}},
            "pair": ({"name": "di", "tags": []}, 3),
            "anyone": {"visits": 2},
            "cash": {"amount": 5, "currency": "EUR"},
            "derived": 7,
        },
        "global": {"limit": 3},
        "extra": {"a": 1},
    }


def test_from_dict_is_the_inverse() -> None:
    system = full()
    again = System.from_dict(system.to_dict())
    assert again == system
    assert isinstance(again.domain.cash, Money)
    assert Shop.from_dict(system.domain.to_dict()) == system.domain
    assert OldSystem.from_dict({"domain": {}, "global_ctx": {"limit": 1}}) == OldSystem(
        Shop(), Settings(1)
    )


def test_to_dict_is_detached() -> None:
    system = full()
    made = system.to_dict()
    made["domain"]["owner"]["tags"].append("y")
    made["domain"]["users"].clear()
    assert system == full()


def test_to_dict_copies_leaves_that_can_change() -> None:
    system = BaseSystemContext(
        domain={"raw": bytearray(b"ab"), "point": Point(1, 2), "colour": Colour.RED, "s": {1}}
    )
    made = system.to_dict()["domain"]
    assert made == system.domain
    assert type(made["point"]) is Point
    made["raw"].append(1)
    made["s"].add(2)
    assert system.domain["raw"] == b"ab"
    assert system.domain["s"] == {1}


def test_arrays_are_copied() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(3)
    made = BaseSystemContext(domain={"a": array}).to_dict()["domain"]["a"]
    made[0] = 99
    assert array[0] == 0


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append({"in": loop})
    with pytest.raises(CycleError):
        BaseSystemContext(domain={"loop": loop}).to_dict()
    shared = [1]
    twice = BaseSystemContext(domain={"a": shared, "b": shared}).to_dict()["domain"]
    assert twice == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("data", "place", "text"),
    [
        ({"domain": {"nope": 1}}, "domain", "unknown field nope"),
        ({"domain": {"owner": {"nope": 1}}}, "domain.owner", "unknown field nope"),
        ({"domain": {"users": [{"name": "a"}, {}]}}, "domain.users.1", "missing field name"),
        ({"domain": {"by_name": {"k": {}}}}, "domain.by_name.k", "missing field name"),
        ({"domain": {"anyone": {"zzz": 1}}}, "domain.anyone", "fit none of User, Guest"),
        ({"nope": {}}, "nope", "no zone 'nope'"),
    ],
)
def test_from_dict_names_the_place(data: Any, place: str, text: str) -> None:
    with pytest.raises(SchemaViolationError, match=text) as caught:
        System.from_dict(data)
    assert caught.value.place == place
    assert "Schema Violation" in str(caught.value)


def test_a_union_takes_the_record_that_fits() -> None:
    assert Shop.from_dict({"anyone": {"visits": 1}}).anyone == Guest(1)
    assert Shop.from_dict({"anyone": {"name": "a"}}).anyone == User("a")
    assert Shop.from_dict({"anyone": None}).anyone is None


def test_a_zone_without_fields_takes_all() -> None:
    made = BaseSystemContext.from_dict({"domain": {"a": 1}, "global": {"b": [2]}})
    assert made.domain.a == 1
    assert made.global_ctx.b == [2]
    assert made.to_dict() == {"domain": {"a": 1}, "global": {"b": [2]}}


def test_attrs_and_plain_objects_as_zones() -> None:
    @attrs.define
    class Zone:
        a: int = 1

    class Plain:
        def __init__(self) -> None:
            self.a = 1

    assert zones_of({"domain": Plain()})["domain"] == {"a": 1}
    assert zones_of({"domain": Zone()})["domain"] == {"a": 1}


def test_a_domain_in_the_place_of_the_global_part_is_refused() -> None:
    @dataclass
    class Shop(BaseDomainContext):
        stock: int = 0

    @dataclass
    class Rates(BaseGlobalContext):
        tax: int = 0

    @dataclass
    class System(BaseSystemContext):
        global_ctx: Any = None
        domain: Any = None

    with pytest.raises(ContextError, match=r"Shop, which is a BaseDomainContext, as its part 'gl"):
        zones_of(System(Shop(), Rates()))
    with pytest.raises(ContextError, match="Name the parts"):
        zones_of(System(domain=Rates()))
    assert zones_of(System(Rates(), Shop()))["global"] == {"tax": 0}
