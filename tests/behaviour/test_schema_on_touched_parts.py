"""Promise: a schema is checked on what a commit touches, and refuses exactly what a check of the
whole state would refuse; it says where, what and whose."""

from __future__ import annotations

import copy
import dataclasses
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theus import SchemaViolationError, TheusEngine, process
from theus.errors import SettingsError
from theus.schema import SchemaValidator

checked: list[Any] = []


def note(value: int) -> int:
    checked.append(value)
    return value


Counted = Annotated[int, pydantic.AfterValidator(note)]


class Person(pydantic.BaseModel):
    age: Counted
    friends: list[Counted] = []
    marks: dict[str, Counted] = {}
    tags: set[Counted] = set()


class Town(pydantic.BaseModel):
    people: dict[str, Person]
    names: list[str] = []


class Country(pydantic.BaseModel):
    domain: Town


def town(count: int = 50) -> dict[str, Any]:
    people = {
        f"p{n}": {"age": n, "friends": [1, 2, 3], "marks": {"a": 1}, "tags": {1, 2}}
        for n in range(count)
    }
    return {"domain": {"people": people, "names": ["x"]}}


def edited(engine: TheusEngine, act: Any) -> list[Any]:
    """The values that pydantic validates for one commit."""
    tx = engine.begin()
    act(tx.domain)
    checked.clear()
    tx.commit()
    return list(checked)


TOUCHED: dict[str, tuple[Any, list[Any]]] = {
    "field": (lambda domain: setattr(domain.people.p3, "age", 77), [77]),
    "item": (lambda domain: domain.people.p3.friends.__setitem__(1, 8), [8]),
    "append": (lambda domain: domain.people.p3.friends.extend([8, 9]), [8, 9]),
    "member": (lambda domain: domain.people.p3.tags.add(7), [7]),
    "key": (lambda domain: domain.people.p3.marks.update(b=5), [5]),
    "deleted key": (lambda domain: domain.people.p3.marks.pop("a"), []),
    "new person": (lambda domain: domain.people.update(q={"age": 6, "friends": [4]}), [6, 4]),
    "deleted person": (lambda domain: domain.people.pop("p3"), []),
    "elsewhere": (lambda domain: domain.names.append("y"), []),
    "turned": (lambda domain: domain.people.p3.friends.reverse(), [3, 2, 1]),
    "inside a new one": (
        lambda domain: (domain.people.update(q={"age": 6}), domain.people.q.update(age=7)),
        [7],
    ),
}


@pytest.mark.parametrize("way", TOUCHED)
def test_only_what_was_touched_is_validated(way: str) -> None:
    act, values = TOUCHED[way]
    engine = TheusEngine(town(), schema=Country)
    assert edited(engine, act) == values


class Strictly(Person):
    @pydantic.model_validator(mode="after")
    def few_friends(self) -> Strictly:
        if len(self.friends) > self.age:
            raise ValueError("more friends than years")
        return self


class StrictTown(pydantic.BaseModel):
    people: dict[str, Strictly]
    names: Annotated[list[str], pydantic.Field(max_length=2)] = []


class StrictCountry(pydantic.BaseModel):
    domain: StrictTown


def test_rules_of_a_container_see_all_of_it() -> None:
    engine = TheusEngine({"domain": {"people": {"a": {"age": 3}, "b": {"age": 5}}}})
    engine.set_schema(StrictCountry)
    assert edited(engine, lambda domain: setattr(domain.people.a, "age", 4)) == [4]
    for act in (
        lambda domain: domain.people.a.update(friends=[1, 2, 3, 4, 5]),
        lambda domain: domain.update(names=["a", "b", "c"]),
    ):
        with pytest.raises(SchemaViolationError):
            edited(engine, act)
    edited(engine, lambda domain: domain.update(names=["a", "b"]))
    with pytest.raises(SchemaViolationError):
        edited(engine, lambda domain: domain.names.append("c"))


def test_records_are_checked_as_what_they_are() -> None:
    engine = TheusEngine(
        {"domain": {"people": {"a": Strictly(age=3, friends=[1]), "b": Person(age=1)}}}
    )
    engine.set_schema(Country)
    assert edited(engine, lambda domain: setattr(domain.people.b, "age", 4)) == [4]
    with pytest.raises(SchemaViolationError, match="more friends than years"):
        edited(engine, lambda domain: domain.people.a.friends.extend([1, 2, 3]))
    edited(engine, lambda domain: domain.people.a.friends.extend([1, 2]))


# --- dataclasses and JSON Schema -----------------------------------------------------------------


class Asked(type):
    def __instancecheck__(cls, value: Any) -> bool:
        checked.append(value)
        return type(value) is str


class Text(metaclass=Asked):
    pass


@dataclasses.dataclass
class Row:
    name: Text
    parts: list[Text] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Table:
    rows: list[Row]
    by_name: dict[Text, Text] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Book:
    domain: Table


def test_a_dataclass_is_checked_where_it_was_touched() -> None:
    rows = [{"name": f"n{n}", "parts": ["x", "y"]} for n in range(20)]
    engine = TheusEngine({"domain": {"rows": rows, "by_name": {"k": "v"}}}, schema=Book)
    assert edited(engine, lambda domain: domain.rows[3].update(name="new")) == ["new"]
    assert edited(engine, lambda domain: domain.rows[3].parts.append("z")) == ["z"]
    assert edited(engine, lambda domain: domain.by_name.update(j="w")) == ["j", "w"]
    assert edited(engine, lambda domain: domain.rows[3].pop("parts")) == []
    with pytest.raises(SchemaViolationError, match=r"domain\.rows\[3\]\.name: Field required"):
        edited(engine, lambda domain: domain.rows[3].pop("name"))


JSON_SCHEMA: dict[str, Any] = {
    "title": "Shop",
    "type": "object",
    "required": ["domain"],
    "additionalProperties": False,
    "properties": {
        "global": {"type": "object"},
        "domain": {
            "type": "object",
            "required": ["rows"],
            "properties": {
                "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
                "few": {"type": "array", "maxItems": 2},
                "odd/name~": {"type": "integer"},
            },
            "patternProperties": {"^n_": {"type": "number"}},
            "additionalProperties": {"type": "string"},
        },
    },
    "$defs": {
        "row": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 2},
                "below": {"type": "array", "items": {"$ref": "#/$defs/row"}},
            },
        }
    },
}


def shop() -> dict[str, Any]:
    return {"domain": {"rows": [{"name": "aa", "below": [{"name": "bb"}]}, {"name": "cc"}]}}


WRONG: dict[str, tuple[Any, list[str]]] = {
    "name": (lambda domain: domain.rows[0].update(name="a"), ["domain.rows[0].name"]),
    "type": (lambda domain: domain.rows[0].update(name=5), ["domain.rows[0].name"]),
    "below": (
        lambda domain: domain.rows[0].below[0].update(name=""),
        ["domain.rows[0].below[0].name"],
    ),
    "needed": (lambda domain: domain.rows[1].pop("name"), ["domain.rows[1].name"]),
    "item": (lambda domain: domain.rows.__setitem__(1, {"nome": 1}), ["domain.rows[1].name"]),
    "append": (lambda domain: domain.rows.append({"name": "x"}), ["domain.rows[-1].name"]),
    "few": (lambda domain: domain.update(few=[1, 2, 3]), ["domain.few"]),
    "pattern": (lambda domain: domain.update(n_x="x"), ["domain.n_x"]),
    "other": (lambda domain: domain.update(other=1), ["domain.other"]),
    "odd": (lambda domain: domain.update({"odd/name~": "x"}), ["domain.odd/name~"]),
    "several": (
        lambda domain: (domain.rows[0].update(name=""), domain.update(other=1, n_x="x")),
        ["domain.n_x", "domain.other", "domain.rows[0].name"],
    ),
}


@pytest.mark.parametrize("way", WRONG)
def test_a_json_schema_names_every_place(way: str) -> None:
    act, places = WRONG[way]
    engine = TheusEngine(shop(), schema=JSON_SCHEMA)
    before = engine.state
    with pytest.raises(SchemaViolationError, match="Shop") as caught:
        edited(engine, act)
    assert sorted(one["path"] for one in caught.value.errors) == places
    assert engine.state is before


def test_a_json_schema_lets_the_rest_pass() -> None:
    engine = TheusEngine(shop(), schema=JSON_SCHEMA)
    edited(engine, lambda domain: domain.rows[0].below.append({"name": "dd", "more": 1}))
    edited(engine, lambda domain: domain.update(n_y=1.5, other="text", few=[1]))
    edited(engine, lambda domain: domain.pop("few"))
    with pytest.raises(SchemaViolationError):
        engine.compare_and_swap(engine.state.version, {"typo": 1})
    with pytest.raises(SchemaViolationError):
        engine.compare_and_swap(engine.state.version, {"domain": {"rows": 1}})


def test_a_json_schema_is_one() -> None:
    with pytest.raises(SettingsError, match="JSON Schema is none"):
        SchemaValidator({"type": "objekt"})
    with pytest.raises(SettingsError, match="pydantic v2 model or a dataclass"):
        SchemaValidator({"domain": int})


def test_records_are_objects_of_a_json_schema() -> None:
    @dataclasses.dataclass
    class Item:
        name: str

    engine = TheusEngine({"domain": {"rows": [Item("aa")]}}, schema=JSON_SCHEMA)
    with pytest.raises(SchemaViolationError) as caught:
        edited(engine, lambda domain: setattr(domain.rows[0], "name", "a"))
    assert caught.value.place == "domain.rows[0].name"


# --- what it says, and what it reads -------------------------------------------------------------


@process(outputs=["domain.people"])
def spoil(ctx: Any) -> None:
    ctx.domain.people.p1.age = "old"
    ctx.domain.people.p2.friends.append(None)


def test_the_error_names_path_type_and_process() -> None:
    engine = TheusEngine(town(5), schema=Country)
    engine.register(spoil)
    with pytest.raises(SchemaViolationError) as caught:
        engine.run(spoil)
    error = caught.value
    assert error.process == "spoil"
    assert [(one["path"], one["found"]) for one in error.errors] == [
        ("domain.people.p1.age", "str"),
        ("domain.people.p2.friends[-1]", "NoneType"),
    ]
    for part in ("'spoil'", "domain.people.p1.age", "valid integer", "found str 'old'"):
        assert part in str(error)


PLACES: dict[str, tuple[Any, dict[str, Any], str, str, Any]] = {
    "model": (Country, town(3)["domain"], "people.p0.age", "people.p1.age", 4),
    "dataclass": (
        Book,
        {"rows": [], "by_name": {"a": "x", "b": "y"}},
        "by_name.a",
        "by_name.b",
        "z",
    ),
    "json": (JSON_SCHEMA, {"rows": [], "a": "x", "b": "y"}, "a", "b", "z"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_changes_of_different_places_do_not_meet(kind: str) -> None:
    model, data, first, second, value = PLACES[kind]
    engine = TheusEngine({"domain": data}, schema=model)
    one, two = engine.begin(), engine.begin()
    one.set(f"domain.{first}", value)
    two.set(f"domain.{second}", value)
    one.commit()
    two.commit()
    assert engine.state.version == 3
    engine.compare_and_swap(2, {f"domain.{first}": value * 2})
    assert engine.state.version == 4


# --- against a check of everything ---------------------------------------------------------------


class Leaf(pydantic.BaseModel):
    n: int
    kind: Literal["x", "y"] = "x"


class Tree(pydantic.BaseModel):
    a: Leaf | None = None
    b: list[Leaf] = []
    c: dict[str, int | str] = {}
    d: int | list[int] = 0


class Wood(pydantic.BaseModel):
    domain: Tree


@dataclasses.dataclass
class DataLeaf:
    n: int
    kind: Literal["x", "y"] = "x"


@dataclasses.dataclass
class DataTree:
    a: DataLeaf | None = None
    b: list[DataLeaf] = dataclasses.field(default_factory=list)
    c: dict[str, int | str] = dataclasses.field(default_factory=dict)
    d: int | list[int] = 0


@dataclasses.dataclass
class DataWood:
    domain: DataTree


LEAF = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "kind": {"enum": ["x", "y"]}},
}
JSON_WOOD = {
    "type": "object",
    "properties": {
        "domain": {
            "type": "object",
            "properties": {
                "a": {"anyOf": [LEAF, {"type": "null"}]},
                "b": {"type": "array", "items": LEAF},
                "c": {"type": "object", "additionalProperties": {"type": ["integer", "string"]}},
                "d": {"anyOf": [{"type": "integer"}, {"type": "array", "items": LEAF}]},
            },
        }
    },
}

KEYS = st.sampled_from(["a", "b", "c", "d"])
ATOMS = st.sampled_from([1, 2, "x", None, 1.5])
LEAVES = st.dictionaries(st.sampled_from(["n", "kind", "q"]), ATOMS, max_size=3)
VALUES = st.one_of(ATOMS, LEAVES, st.lists(LEAVES | ATOMS, max_size=2), st.just({"n": 1}))
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, VALUES),
    st.tuples(st.just("del"), KEYS),
    st.tuples(st.just("inner"), KEYS, st.sampled_from(["n", "kind", "z"]), VALUES),
    st.tuples(st.just("drop"), KEYS, st.sampled_from(["n", "kind", "z"])),
    st.tuples(st.just("append"), KEYS, LEAVES | ATOMS | st.just({"n": 3})),
    st.tuples(st.just("item"), KEYS, LEAVES),
    st.tuples(st.just("deep"), KEYS, ATOMS),
    st.tuples(st.just("turn"), KEYS),
    st.tuples(st.just("pop"), KEYS),
)


def apply(domain: Any, step: tuple[Any, ...]) -> None:
    """One step on the guard of the area; steps that do not fit do nothing."""
    verb, key, *rest = copy.deepcopy(step)
    there = domain.get(key)
    if verb == "set":
        domain[key] = rest[0]
    elif verb == "del":
        domain.pop(key, None)
    elif hasattr(there, "append"):
        if verb == "append":
            there.append(rest[0])
        elif verb == "item" and len(there):
            there[0] = rest[0]
        elif verb == "deep" and len(there) and hasattr(there[-1], "keys"):
            there[-1]["n"] = rest[0]
        elif verb == "turn":
            there.reverse()
        elif verb == "pop" and len(there):
            there.pop()
    elif hasattr(there, "keys"):
        if verb == "inner":
            there[rest[0]] = rest[1]
        elif verb == "drop":
            there.pop(rest[0], None)


@pytest.mark.parametrize("model", [Wood, DataWood, JSON_WOOD], ids=["model", "dataclass", "json"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(STEPS, min_size=1, max_size=3), max_size=10))
def test_it_refuses_what_a_check_of_everything_refuses(
    model: Any, commits: list[list[tuple[Any, ...]]]
) -> None:
    ruled = TheusEngine({"domain": {"b": [{"n": 1}]}}, schema=model)
    validator = SchemaValidator(model)
    for steps in commits:
        free = TheusEngine(ruled.state.to_dict())
        with free.transaction() as tx:
            for step in steps:
                apply(tx.domain, step)
        after = free.state.to_dict()
        try:
            with ruled.transaction() as tx:
                for step in steps:
                    apply(tx.domain, step)
        except SchemaViolationError as error:
            assert not fits(validator, after), error
        else:
            assert fits(validator, after)
            assert ruled.state.to_dict() == after


def fits(validator: SchemaValidator, state: dict[str, Any]) -> bool:
    try:
        validator.validate(None, lambda path: state[path[0]])
    except SchemaViolationError:
        return False
    return True


def test_items_of_a_json_schema_say_nothing_of_mappings_with_whole_numbers_as_keys() -> None:
    pytest.importorskip("jsonschema")
    schema = {"properties": {"domain": {"properties": {"m": {"items": {"type": "string"}}}}}}
    with TheusEngine({"domain": {"m": {}}}, schema=schema) as engine:
        with engine.transaction() as tx:
            tx.domain.m[1] = 3
        assert engine.state.domain.m == {1: 3}
        with engine.transaction() as tx:
            tx.domain.m = ["text"]
        with pytest.raises(SchemaViolationError):
            with engine.transaction() as tx:
                tx.domain.m[0] = 3
        assert engine.state.domain.m == ["text"]
