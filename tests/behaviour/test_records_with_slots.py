"""Records whose classes have slots take no attribute that has no place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import attrs
import pytest

from theus import TheusEngine, process


@dataclass(slots=True)
class Point:
    x: int = 1
    y: int = 2

    def shift(self) -> None:
        self.x += 1


@attrs.define
class Entry:
    x: int = 1
    y: int = 2


class Plain:
    __slots__ = ("__inner", "x")

    def __init__(self) -> None:
        self.x = 1
        self.__inner = 5

    def raise_inner(self) -> int:
        self.__inner += 1
        return self.__inner


@process(inputs=[], outputs=["domain"])
def assign(ctx: Any, name: str, value: Any) -> None:
    setattr(ctx.domain.record, name, value)


@pytest.mark.parametrize("made", [Point, Entry, Plain])
def test_an_attribute_without_a_place_is_refused(made: type) -> None:
    with TheusEngine({"domain": {"record": made()}}) as engine:
        with pytest.raises(AttributeError, match="slots"):
            engine.run(assign, "z", 3)
        assert engine.state.version == 1
        engine.run(assign, "x", 3)
        assert engine.state.domain.record.x == 3
        assert not hasattr(engine.state.domain.record, "z")


def test_a_field_that_was_deleted_can_be_set_again() -> None:
    with TheusEngine({"domain": {"record": Point()}}) as engine:
        with engine.transaction() as tx:
            del tx.domain.record.y
            tx.domain.record.y = 7
        assert engine.state.domain.record.y == 7


def test_methods_write_what_has_a_place() -> None:
    with TheusEngine({"domain": {"record": Plain(), "point": Point()}}) as engine:
        with engine.transaction() as tx:
            assert tx.domain.record.raise_inner() == 6
            tx.domain.point.shift()
        assert engine.state.domain.point.x == 2


def test_a_subclass_with_a_dict_takes_any() -> None:
    class Free(Point):
        pass

    with TheusEngine({"domain": {"record": Free()}}) as engine:
        engine.run(assign, "z", 3)
        assert engine.state.domain.record.z == 3
