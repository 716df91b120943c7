"""Promise: set-up code writes by `edit()` as one commit; no commit path goes round the schema."""

from __future__ import annotations

import dataclasses
from typing import Any

import pydantic
import pytest

from theus import BaseDomainContext, BaseSystemContext, SchemaViolationError, TheusEngine, process
from theus.errors import TheusError


@dataclasses.dataclass
class Shop(BaseDomainContext):
    n: int = 0
    xs: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Root(BaseSystemContext):
    domain: Shop = dataclasses.field(default_factory=Shop)


class Domain(pydantic.BaseModel):
    n: int
    xs: list[int]


class Schema(pydantic.BaseModel):
    domain: Domain


def test_edit_is_one_commit() -> None:
    with TheusEngine(Root()) as engine:
        with engine.edit() as context:
            context.domain.n = 5
            context.domain.xs.append(1)
            assert engine.state.version == 1
        assert engine.state.version == 2
        assert engine.state.domain.to_dict() == {"n": 5, "xs": [1]}


def test_edit_without_a_context_gives_a_transaction() -> None:
    with TheusEngine() as engine:
        with engine.edit() as context:
            context.domain.x = 1
        assert engine.state.domain.x == 1


def test_an_exception_in_edit_changes_nothing() -> None:
    with TheusEngine(Root()) as engine:
        before = engine.state
        with pytest.raises(ZeroDivisionError), engine.edit() as context:
            context.domain.n = 5
            raise ZeroDivisionError
        assert engine.state is before


def test_edit_raises_where_the_state_changed_meanwhile() -> None:
    with TheusEngine(Root()) as engine:
        with pytest.raises(TheusError), engine.edit() as context:
            context.domain.n = 5
            engine.compare_and_swap(1, data={"domain": {"n": 7}})
        assert engine.state.domain.n == 7


WRONG: dict[str, Any] = {
    "run": lambda engine: engine.run(process(outputs=["domain.n"])(lambda ctx: "no number")),
    "swap": lambda engine: engine.compare_and_swap(1, data={"domain": {"n": "no number"}}),
    "block": lambda engine: _block(engine),
    "begin": lambda engine: _begin(engine),
    "attempts": lambda engine: _attempts(engine),
    "edit": lambda engine: _edit(engine),
}


def _block(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.delete("domain.n")


def _begin(engine: TheusEngine) -> None:
    tx = engine.begin()
    tx.domain.xs.append("no number")
    tx.commit()


def _attempts(engine: TheusEngine) -> None:
    for attempt in engine.attempts():
        with attempt as tx:
            tx.domain.n = "no number"


def _edit(engine: TheusEngine) -> None:
    with engine.edit() as context:
        context.domain.n = "no number"


@pytest.mark.parametrize("way", WRONG)
def test_no_way_round_the_schema(way: str) -> None:
    with TheusEngine(Root(), schema=Schema) as engine:
        before = engine.state
        with pytest.raises(SchemaViolationError, match="Schema Violation"):
            WRONG[way](engine)
        assert engine.state is before
        engine.set_schema(None)
        engine.compare_and_swap(1, data={"domain": {"n": "no number"}})
        assert engine.state.domain.n == "no number"


def test_the_present_state_must_fit_a_new_schema() -> None:
    with TheusEngine({"domain": {"n": "no number", "xs": []}}) as engine:
        with pytest.raises(SchemaViolationError):
            engine.set_schema(Schema)
        engine.compare_and_swap(1, data={"domain": {"n": "still none"}})


def test_the_whole_result_is_checked_not_the_part_that_changed() -> None:
    with TheusEngine(Root(), schema=Schema) as engine:
        engine.compare_and_swap(1, data={"domain": {"n": 4}})
        assert engine.state.domain.to_dict() == {"n": 4, "xs": []}
