"""Everything a state can hold has a JSON form."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import re
import types
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.isolated import run_isolated
from theus._core.state import State
from theus.interop import TheusEncoder


def dumps(value: Any, **options: Any) -> Any:
    return json.loads(json.dumps(value, cls=TheusEncoder, **options))


@dataclasses.dataclass
class Point:
    x: int
    tags: set[str]


class Model(pydantic.BaseModel):
    model_config = {"extra": "allow"}
    a: int


@attrs.define
class Entry:
    a: int


class Plain:
    def __init__(self) -> None:
        self.a = [1]


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class WithDict:
    def to_dict(self) -> dict[str, Any]:
        return {"kind": Colour.RED}


RECORDS = [
    (Point(1, {"b", "a"}), {"x": 1, "tags": ["a", "b"]}),
    (Model(a=1, b=2), {"a": 1, "b": 2}),  # type: ignore[call-arg]
    (Entry(1), {"a": 1}),
    (Plain(), {"a": [1]}),
    (types.SimpleNamespace(a=1), {"a": 1}),
]
LEAVES = [
    (datetime.datetime(2013, 1, 2, 3, 4, 5), "2013-01-02T03:04:05"),
    (datetime.date(2013, 1, 2), "2013-01-02"),
    (datetime.time(3, 4), "03:04:00"),
    (datetime.timedelta(minutes=1), 60.0),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (decimal.Decimal("1.10"), "1.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (b"\x00\xff", "AP8="),
    (Colour.RED, "red"),
    (Colour.PAIR, [1, 2]),
    (Level.HIGH, 3),
    (frozenset([2, 1]), [1, 2]),
    ({"a", 1}, [1, "a"]),
    (range(3), [0, 1, 2]),
    (re.compile("a+"), "a+"),
    (np.float64(1.5), 1.5),
    (np.int32(3), 3),
    (np.bool_(True), True),
    (np.datetime64("2013-01-02"), "2013-01-02"),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    ((1, (2,)), [1, [2]]),
]


@pytest.mark.parametrize(("value", "expected"), RECORDS + LEAVES)
def test_values(value: Any, expected: Any) -> None:
    assert dumps({"v": value}) == {"v": expected}


@pytest.mark.parametrize(("value", "expected"), RECORDS + LEAVES)
def test_the_same_values_out_of_a_state(value: Any, expected: Any) -> None:
    state = State(data={"domain": {"v": value, "more": [value]}})
    assert dumps(state.data) == {"domain": {"v": expected, "more": [expected]}}


@pytest.mark.parametrize("make", [bytearray, memoryview])
def test_buffers(make: Callable[[bytes], Any]) -> None:
    assert dumps(make(b"\x00\xff")) == "AP8="


def test_objects_with_to_dict() -> None:
    assert dumps(WithDict()) == {"kind": "red"}


@pytest.mark.parametrize("value", [object(), 1j, len, Point, Colour, pytest])
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        dumps(value)


def test_keys_without_a_text_are_refused() -> None:
    with pytest.raises(TypeError, match="keys must be"):
        dumps({(1, 2): 3})


def test_a_value_that_contains_itself_is_refused() -> None:
    plain = Plain()
    plain.a.append(plain)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Circular"):
        dumps(plain)


def test_options_of_json_work() -> None:
    text = json.dumps({"b": {2, 1}, "a": Colour.RED}, cls=TheusEncoder, sort_keys=True, indent=1)
    assert text == '{\n "a": "red",\n "b": [\n  1,\n  2\n ]\n}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_a_state_and_its_plain_content_have_one_form(content: dict[str, Any]) -> None:
    assert dumps(State(data={"domain": content}).domain) == content


def test_numpy_is_not_loaded_for_it() -> None:
    run_isolated(
        """
        import json, sys
        from theus.interop import TheusEncoder
        json.dumps({"a": {1, 2}}, cls=TheusEncoder)
        assert not {"numpy", "pydantic", "asyncio", "theus._core.freeze"} & set(sys.modules)
        """
    )
