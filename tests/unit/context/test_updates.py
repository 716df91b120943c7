"""`StateUpdate` and `FunctionResult` are immutable and refuse what they cannot mean."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from theus.context.updates import FunctionResult, StateUpdate
from theus.errors import PathError, UnsupportedValueError


def test_nothing_said_is_false() -> None:
    assert not StateUpdate()
    assert StateUpdate().delete == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": "domain.x"},
        {"key": "domain.x", "val": 0},
        {"data": {"domain": {"x": 1}}},
        {"heavy": {"frames": object()}},
        {"signal": {"done": 1}},
        {"delete": ["domain.x"]},
        {"assert_version": 0},
    ],
)
def test_anything_said_is_true(arguments: dict[str, Any]) -> None:
    assert StateUpdate(**arguments)


def test_it_cannot_be_changed_and_can_be_pickled() -> None:
    update = StateUpdate("domain.x", 5, delete=iter(["domain.y"]), assert_version=3)
    assert update.delete == ("domain.y",)
    with pytest.raises(dataclasses.FrozenInstanceError):
        update.val = 6  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(update)) == update


@pytest.mark.parametrize(
    ("arguments", "error", "part"),
    [
        ({"val": 1}, PathError, "key"),
        ({"delete": "domain.x"}, PathError, "delete"),
        ({"delete": 5}, PathError, "delete"),
        ({"data": [1]}, UnsupportedValueError, "data"),
        ({"heavy": 5}, UnsupportedValueError, "heavy"),
        ({"signal": "x"}, UnsupportedValueError, "signal"),
        ({"assert_version": "1"}, UnsupportedValueError, "assert_version"),
        ({"assert_version": True}, UnsupportedValueError, "assert_version"),
    ],
)
def test_wrong_parts_are_named(arguments: Any, error: type[Exception], part: str) -> None:
    with pytest.raises(error, match=f"`{part}`"):
        StateUpdate(**arguments)


def test_a_result_carries_a_value_and_an_update() -> None:
    update = StateUpdate(delete=["domain.x"])
    assert FunctionResult(3, update) == FunctionResult(value=3, update=update)
    with pytest.raises(UnsupportedValueError, match="`update` is a StateUpdate, not dict"):
        FunctionResult(3, {"domain.x": 1})  # type: ignore[arg-type]
