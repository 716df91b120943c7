"""Contexts of every kind make the same engine, and go through plain data and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import attrs
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus import TheusEngine, process
from theus.config import ConfigLoader
from theus.context import BaseDomainContext, BaseGlobalContext, BaseSystemContext
from theus.context.plain import build
from theus.errors import SchemaViolationError


@dataclass
class Line:
    item: str
    count: int = 1


@dataclass
class Shop(BaseDomainContext):
    total: int = 0
    lines: list[Line] = field(default_factory=list)
    by_day: dict[str, list[int]] = field(default_factory=dict)
    note: str | None = None


@dataclass
class Config(BaseGlobalContext):
    limit: int = 10


@dataclass
class System(BaseSystemContext):
    domain: Shop = field(default_factory=Shop)
    global_ctx: Config = field(default_factory=Config)


class ShopModel(pydantic.BaseModel):
    total: int = 0
    lines: list[Line] = []
    by_day: dict[str, list[int]] = {}
    note: str | None = None


class ConfigModel(pydantic.BaseModel):
    limit: int = 10


class SystemModel(pydantic.BaseModel):
    domain: ShopModel
    global_: ConfigModel


@attrs.define
class ShopAttrs:
    total: int = 0
    lines: list[Line] = attrs.field(factory=list)
    by_day: dict[str, list[int]] = attrs.field(factory=dict)
    note: str | None = None


@attrs.define
class SystemAttrs:
    domain_ctx: ShopAttrs
    global_ctx: dict[str, int]


@dataclass
class MixedSystem(BaseSystemContext):
    """A zone of another library under the base class."""

    domain: ShopAttrs = field(default_factory=ShopAttrs)
    global_ctx: ConfigModel = field(default_factory=ConfigModel)


class Own:
    def __init__(self, zones: dict[str, Any]) -> None:
        self.zones = zones

    def to_dict(self) -> dict[str, Any]:
        return self.zones


LINES = [Line("tea", 2)]
ZONES = {"domain": {"total": 2, "lines": LINES, "by_day": {"mo": [1]}, "note": None}}
KINDS = {
    "dataclass": lambda: System(domain=Shop(2, LINES, {"mo": [1]}), global_ctx=Config()),
    "pydantic": lambda: SystemModel(
        domain=ShopModel(total=2, lines=LINES, by_day={"mo": [1]}), global_=ConfigModel()
    ),
    "attrs": lambda: SystemAttrs(ShopAttrs(2, LINES, {"mo": [1]}), {"limit": 10}),
    "mixed": lambda: MixedSystem(domain=ShopAttrs(2, LINES, {"mo": [1]}), global_ctx=ConfigModel()),
    "mapping": lambda: {"domain": dict(ZONES["domain"]), "global": {"limit": 10}},
    "mapping of zones": lambda: {"domain": Shop(2, LINES, {"mo": [1]}), "global": Config()},
    "to_dict": lambda: Own({"domain": dict(ZONES["domain"]), "global": {"limit": 10}}),
}


@process(inputs=["domain"], outputs=["domain"])
def sell(ctx: Any, item: str) -> None:
    ctx.domain.total += 1
    ctx.domain.lines.append(Line(item))
    ctx.domain.lines[0].count += ctx.domain.total
    ctx.domain.by_day["mo"].append(ctx.domain.total)
    ctx.domain.note = "sold"


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_an_engine_of_every_kind_does_the_same(make: Any) -> None:
    with TheusEngine(make()) as engine:
        assert engine.state.version == 1
        assert engine.state.domain == ZONES["domain"]
        assert engine.state.global_ == {"limit": 10}
        engine.register(sell)
        engine.run("sell", "cake")
        assert engine.state.to_dict() == {
            "domain": {
                "total": 3,
                "lines": [Line("tea", 5), Line("cake")],
                "by_day": {"mo": [1, 3]},
                "note": "sold",
            },
            "global": {"limit": 10},
        }
        assert [Line("tea", 2)] == LINES


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_edit_writes_every_kind_back(make: Any) -> None:
    context = make()
    with TheusEngine(context) as engine:
        with engine.edit() as same:
            assert same is context
            if isinstance(context, Own):
                zone = context.zones["domain"]
            elif isinstance(context, dict):
                zone = context["domain"]
            else:
                zone = getattr(context, "domain", None) or context.domain_ctx
            if isinstance(zone, dict):
                zone["total"] = 7
            else:
                zone.total = 7
        assert engine.state.domain.total == 7
        assert engine.state.version == 2


TEXT = st.text("abc", max_size=3)
shops = st.builds(
    Shop,
    total=st.integers(),
    lines=st.lists(st.builds(Line, item=TEXT, count=st.integers()), max_size=3),
    by_day=st.dictionaries(TEXT, st.lists(st.integers(), max_size=2), max_size=3),
    note=st.none() | TEXT,
)


@given(shops, st.integers())
def test_plain_data_and_back(shop: Shop, limit: int) -> None:
    system = System(domain=shop, global_ctx=Config(limit))
    plain = system.to_dict()
    again = System.from_dict(plain)
    assert again == system
    assert again.to_dict() == plain
    assert Shop.from_dict(shop.to_dict()) == shop


@given(shops, st.integers())
def test_the_state_and_the_context_have_one_plain_form(shop: Shop, limit: int) -> None:
    with TheusEngine(System(domain=shop, global_ctx=Config(limit))) as engine:
        domain = Shop(**dict(engine.state.domain))
    assert domain.to_dict() == shop.to_dict()


@given(st.integers(), st.lists(st.builds(Line, item=TEXT, count=st.integers()), max_size=2))
def test_zones_of_other_libraries_come_back_too(total: int, lines: list[Line]) -> None:
    system = MixedSystem(domain=ShopAttrs(total, lines), global_ctx=ConfigModel(limit=total))
    again = MixedSystem.from_dict(system.to_dict())
    assert again == system
    assert type(again.domain) is ShopAttrs
    assert type(again.global_ctx) is ConfigModel


def test_an_attrs_zone_with_unknown_or_missing_fields_is_refused() -> None:
    with pytest.raises(SchemaViolationError, match="unknown field nope"):
        MixedSystem.from_dict({"domain": {"nope": 1}})

    @attrs.define
    class Needs:
        a: int

    with pytest.raises(SchemaViolationError, match="missing field a"):
        build(Needs, {}, "domain")


SCHEMA = """
context:
  domain:
    total: {type: integer, default: 2}
    by_day: {type: dict, default: {mo: [1]}}
  global:
    limit: {type: integer, required: true, default: 10}
"""


def test_the_defaults_of_a_context_schema_make_an_engine() -> None:
    schema = ConfigLoader.load_from_string(SCHEMA)
    with TheusEngine(schema.defaults()) as engine:
        assert engine.state.to_dict() == {
            "domain": {"total": 2, "by_day": {"mo": [1]}},
            "global": {"limit": 10},
        }
