"""A schema is checked against the state that would result."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest
from pydantic import BaseModel, Field

from tests.support.isolated import run_isolated
from theus.errors import SchemaViolationError, SettingsError
from theus.schema import SchemaValidator


def getter(state: Any, asked: list[Any] | None = None) -> Callable[[tuple[Any, ...]], Any]:
    def get(path: tuple[Any, ...]) -> Any:
        if asked is not None:
            asked.append(path)
        value = state
        for key in path:
            value = value[key]
        return value

    return get


def problems(model: Any, state: Any, changed: Any = None) -> dict[str, str]:
    """Path -> message of everything that does not fit; empty where all does."""
    try:
        SchemaValidator(model).validate(changed, getter(state))
    except SchemaViolationError as error:
        assert str(error).startswith("Schema Violation: ")
        assert error.place == error.errors[0]["path"]
        return {item["path"]: item["msg"] for item in error.errors}
    return {}


# --- pydantic -------------------------------------------------------------------------------


class User(BaseModel):
    age: int = Field(ge=0)
    name: str = Field(default="x", alias="full_name")


@dataclass
class Item:
    count: int
    notes: list[int] = field(default_factory=list)


class Domain(BaseModel):
    total: int
    users: list[User] = []
    item: Item | None = None


class Shop(BaseModel):
    domain: Domain
    global_: dict[str, int] = Field(alias="global", default={})


GOOD = {"domain": {"total": 1, "users": [{"age": 3}]}, "global": {"limit": 1}}


def test_a_state_that_fits() -> None:
    assert problems(Shop, GOOD) == {}
    assert problems(Shop, GOOD, {"domain"}) == {}


def test_every_place_is_named() -> None:
    state = {
        "domain": {"total": "many", "users": [{"age": -1}, {"age": 2}, 5]},
        "global": {"a": "b"},
    }
    assert set(problems(Shop, state)) == {
        "domain.total",
        "domain.users[0].age",
        "domain.users[2]",
        "global.a",
    }


def test_the_message_shows_path_reason_and_value() -> None:
    with pytest.raises(SchemaViolationError) as caught:
        SchemaValidator(Shop).validate({"domain"}, getter({"domain": {"total": "many"}}))
    assert "domain.total: Input should be a valid integer" in str(caught.value)
    assert "(found str 'many')" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_an_area_that_is_gone_is_missing() -> None:
    assert problems(Shop, {"global": {}}, {"domain"}) == {"domain": "Field required"}
    assert problems(Shop, {"global": {}}) == {"domain": "Field required"}


def test_only_areas_that_changed_are_read() -> None:
    asked: list[Any] = []
    bad_elsewhere = {"domain": {"total": 1}, "global": {"a": "b"}, "other": 1}
    SchemaValidator(Shop).validate({"domain", "other"}, getter(bad_elsewhere, asked))
    assert asked == [("domain",)]
    assert problems(Shop, bad_elsewhere, {"global"}) == {
        "global.a": "Input should be a valid integer, unable to parse string as an integer"
    }


class Across(Shop):
    @pydantic.model_validator(mode="after")
    def total_below_limit(self) -> Across:
        if self.domain.total > self.global_.get("limit", 10):
            raise ValueError("total above limit")
        return self


class AcrossInHook(Shop):
    def model_post_init(self, context: Any, /) -> None:
        if self.domain.total > self.global_.get("limit", 10):
            raise ValueError("total above limit")


class AcrossInField(Shop):
    @pydantic.field_validator("domain")
    @classmethod
    def small(cls, value: Domain) -> Domain:
        if value.total > 1:
            raise ValueError("total above limit")
        return value


@pytest.mark.parametrize("model", [Across, AcrossInHook, AcrossInField])
@pytest.mark.parametrize("changed", [{"domain"}, {"global"}, None])
def test_validators_that_look_across_areas_always_run(model: Any, changed: Any) -> None:
    state = {"domain": {"total": 5}, "global": {"limit": 1}}
    if model is AcrossInField and changed == {"global"}:
        changed = None  # a validator of one field runs when that field changed
    assert "total above limit" in next(iter(problems(model, state, changed).values()))
    assert problems(model, {"domain": {"total": 1}, "global": {"limit": 1}}, changed) == {}


def test_records_that_changed_since_they_were_made_are_checked() -> None:
    user = User(age=1, full_name="ann")
    user.__dict__["age"] = -5
    item = Item(1)
    item.notes.append("text")  # type: ignore[arg-type]
    found = problems(Shop, {"domain": {"total": "x", "users": [user], "item": item}}, {"domain"})
    assert set(found) == {"domain.total", "domain.users[0].age", "domain.item.notes[0]"}
    fine = {"domain": Domain(total=1, users=[User(age=1, full_name="a")], item=Item(1, [2]))}
    assert problems(Shop, fine, {"domain"}) == {}


class Base(BaseModel):
    model_config = {"extra": "forbid"}
    a: int


class Derived(Base):
    b: int


class HoldsBase(BaseModel):
    domain: dict[str, Base]


def test_a_record_is_checked_as_what_it_is() -> None:
    made = Derived(a=1, b=2)
    assert problems(HoldsBase, {"domain": {"k": made}}, {"domain"}) == {}
    made.__dict__["b"] = "x"
    assert set(problems(HoldsBase, {"domain": {"k": made}}, {"domain"})) == {"domain.k.b"}


class Opaque:
    pass


@dataclass
class HoldsOpaque:
    thing: Opaque


class Loose(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    domain: dict[str, Any]


def test_records_that_pydantic_has_no_schema_for_are_left_alone() -> None:
    assert problems(Loose, {"domain": {"a": HoldsOpaque(Opaque()), "b": (Opaque(),)}}) == {}


class Closed(BaseModel):
    model_config = {"extra": "forbid"}
    domain: Domain


@pytest.mark.parametrize("changed", [{"domain", "typo"}, {"typo"}])
def test_a_closed_model_refuses_new_areas(changed: Any) -> None:
    found = problems(Closed, {"domain": {"total": 1}, "typo": 1}, changed)
    assert found == {"typo": "Extra inputs are not permitted"}


class Broken(BaseModel):
    domain: dict[str, int]

    @pydantic.field_validator("domain")
    @classmethod
    def fail(cls, value: Any) -> Any:
        return value["missing"]


def test_a_validator_that_fails_is_a_violation_that_says_so() -> None:
    found = problems(Broken, {"domain": {"a": 1}})
    assert "a validator failed with KeyError: 'missing'" in next(iter(found.values()))


class Spelled(BaseModel):
    domain_ctx: dict[str, int]
    global_ctx: dict[str, int] = Field(validation_alias=pydantic.AliasChoices("global", "g"))


def test_any_spelling_of_a_zone() -> None:
    assert problems(Spelled, {"domain": {"a": 1}, "global": {"b": 1}}) == {}
    assert set(problems(Spelled, {"domain": {"a": "x"}, "global": {}})) == {"domain.a"}


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    domain: dict[str, int]


def test_pydantic_dataclasses() -> None:
    assert problems(PydanticDataclass, {"domain": {"a": 1}}, {"domain"}) == {}
    assert set(problems(PydanticDataclass, {"domain": {"a": "x"}}, {"domain"})) == {"domain.a"}


def test_a_long_list_of_problems_is_cut_in_the_message_only() -> None:
    state = {"domain": {"total": 1, "users": [{"age": -1}] * 50}}
    with pytest.raises(SchemaViolationError, match="and 30 more") as caught:
        SchemaValidator(Shop).validate({"domain"}, getter(state))
    assert len(caught.value.errors) == 50


# --- dataclasses ----------------------------------------------------------------------------


@dataclass
class Line:
    sku: str
    price: float
    tags: set[str] = field(default_factory=set)


@dataclass
class PlainDomain:
    lines: list[Line]
    by_sku: dict[str, Line] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    many: tuple[int, ...] = ()
    kind: Literal["a", "b"] = "a"
    owner: str | None = None
    either: int | Line = 0
    old: Optional[int] = None  # noqa: UP045
    noted: Annotated[int, "note"] = 0
    names: Sequence[str] = ()
    table: Mapping[str, int] = field(default_factory=dict)
    free: Any = None
    call: Callable[[int], int] | None = None


@dataclass
class PlainShop:
    domain_ctx: PlainDomain
    global_: dict[str, int] | None = None


def plain(**fields: Any) -> dict[str, str]:
    return problems(PlainShop, {"domain": {"lines": [], **fields}}, {"domain"})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lines": [{"sku": "a", "price": 1.5}, Line("b", 2)]},
        {"by_sku": {"a": Line("a", 1.0, {"x"})}},
        {"size": (1, 2), "many": (1, 2, 3)},
        {"kind": "b", "owner": "ann", "either": 5, "old": None, "noted": 3},
        {"either": {"sku": "a", "price": 1}},
        {"names": ["a"], "table": {"a": 1}, "free": object(), "unknown": 1},
    ],
)
def test_dataclass_fits(fields: dict[str, Any]) -> None:
    assert plain(**fields) == {}


@pytest.mark.parametrize(
    ("fields", "place", "text"),
    [
        ({"lines": [{"sku": "a"}]}, "domain.lines[0].price", "Field required"),
        ({"lines": [{"sku": 5, "price": 1}]}, "domain.lines[0].sku", "should be str, not int"),
        ({"lines": [Line("a", "x")]}, "domain.lines[0].price", "should be float, not str"),  # type: ignore[arg-type]
        ({"lines": [Line("a", 1, {5})]}, "domain.lines[0].tags[0]", "should be str"),  # type: ignore[arg-type]
        ({"lines": [7]}, "domain.lines[0]", "should be Line, not int"),
        ({"lines": "abc"}, "domain.lines", "should be list, not str"),
        ({"lines": {}}, "domain.lines", "should be list, not dict"),
        ({"by_sku": {5: Line("a", 1)}}, "domain.by_sku[5]", "should be str, not int"),
        ({"by_sku": []}, "domain.by_sku", "should be a mapping"),
        ({"size": (1, "2")}, "domain.size[1]", "should be int"),
        ({"size": (1,)}, "domain.size", "should have 2 items, has 1"),
        ({"size": [1, 2]}, "domain.size", "should be tuple, not list"),
        ({"many": (1, None)}, "domain.many[1]", "should be int, not NoneType"),
        ({"kind": "c"}, "domain.kind", "should be one of 'a', 'b'"),
        ({"owner": 5}, "domain.owner", "should be"),
        ({"either": {"sku": "a"}}, "domain.either.price", "Field required"),
        ({"old": "x"}, "domain.old", "should be"),
        ({"noted": True}, "domain.noted", "should be int, not bool"),
        ({"names": "abc"}, "domain.names", "should be Sequence, not str"),
    ],
)
def test_dataclass_does_not_fit(fields: dict[str, Any], place: str, text: str) -> None:
    found = plain(**fields)
    assert list(found) == [place]
    assert text in found[place]


def test_dataclass_areas() -> None:
    assert problems(PlainShop, {"global": {"a": "b"}}, {"global"}) == {
        "global.a": "should be int, not str"
    }
    assert problems(PlainShop, {"global": {}}) == {"domain": "Field required"}
    assert problems(PlainShop, {"other": 1}, {"other"}) == {}


def test_several_problems_of_a_dataclass() -> None:
    state = {"domain": {"lines": [1, 2], "kind": "z"}, "global": 5}
    assert set(problems(PlainShop, state)) == {
        "domain.lines[0]",
        "domain.lines[1]",
        "domain.kind",
        "global",
    }


# --- what is no schema ----------------------------------------------------------------------


@pytest.mark.parametrize("model", [5, None, dict, Opaque, {"domain": int}, Item(1), "Shop"])
def test_what_is_no_schema_is_refused(model: Any) -> None:
    with pytest.raises(SettingsError, match="pydantic v2 model or a dataclass"):
        SchemaValidator(model)


def test_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    made = dataclasses.make_dataclass("Lost", [("domain", "NoSuchName")])
    with pytest.raises(SettingsError, match="NoSuchName"):
        SchemaValidator(made)


def test_the_model_is_kept() -> None:
    assert SchemaValidator(Shop).model is Shop


def test_pydantic_is_not_loaded_for_dataclasses() -> None:
    done: subprocess.CompletedProcess[str] = run_isolated(
        """
        import dataclasses, sys
        from theus.schema import SchemaValidator

        @dataclasses.dataclass
        class Model:
            domain: dict[str, int]

        SchemaValidator(Model).validate(None, lambda path: {"a": 1})
        print("pydantic" in sys.modules)
        """
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("value", [True, None, 1, "x", 1.5])
def test_any_takes_anything_and_so_does_object(value: Any) -> None:
    @dataclass
    class Free:
        free: Any
        thing: object
        both: int | bool

    made = dataclasses.make_dataclass("Root", [("domain", Free)])
    state = {"domain": {"free": value, "thing": value, "both": True}}
    assert problems(made, state) == {}
    assert problems(made, state, {("domain", "free"), ("domain", "thing")}) == {}


def test_an_alias_is_the_key_of_a_mapping_and_the_name_that_of_a_record() -> None:
    class Wide(BaseModel):
        name: int = Field(alias="full name")

    class Root(BaseModel):
        domain: dict[str, Wide]

    plain_one = {"domain": {"a": {"full name": 1, "name": "unknown to the model"}}}
    changed = {("domain", "a", "name")}
    assert problems(Root, plain_one, changed) == {}
    plain_one["domain"]["a"]["full name"] = "x"
    assert list(problems(Root, plain_one, {("domain", "a", "full name")})) == ["domain.a.full name"]
    record = Wide(**{"full name": 1})
    record.__dict__["name"] = "x"
    assert problems(Root, {"domain": {"a": record}}, changed)
