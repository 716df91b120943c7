"""Contracts are immutable, normalised, and refuse what they cannot mean."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from theus.contracts import ProcessContract, SemanticType
from theus.errors import RegistrationError


def test_lists_become_tuples() -> None:
    contract = ProcessContract(["domain.a"], ["domain.b"], errors=["ValueError"])
    assert contract.inputs == ("domain.a",)
    assert contract.outputs == ("domain.b",)
    assert contract.errors == ("ValueError",)
    assert contract.semantic is SemanticType.EFFECT
    assert contract.limited


def test_nothing_declared_limits_nothing() -> None:
    contract = ProcessContract(None, None)  # type: ignore[arg-type]
    assert not contract.limited
    assert contract.inputs == contract.outputs == contract.side_effects == ()


def test_a_contract_cannot_be_changed() -> None:
    contract = ProcessContract(["domain.a"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        contract.inputs = ()  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(contract)) == contract
    assert hash(contract) == hash(ProcessContract(["domain.a"]))


def test_exception_classes_become_names() -> None:
    contract = ProcessContract(errors=(KeyError, "MyError"))  # type: ignore[arg-type]
    assert contract.errors == ("KeyError", "MyError")
    assert ProcessContract(errors=OSError).errors == ("OSError",)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["pure", "PURE", SemanticType.PURE])
def test_semantic_types_by_text(value: Any) -> None:
    assert ProcessContract(semantic=value).semantic is SemanticType.PURE


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"inputs": "domain.a"}, "inputs"),
        ({"outputs": b"domain.a"}, "outputs"),
        ({"inputs": [1]}, "inputs"),
        ({"outputs": 5}, "outputs"),
        ({"errors": "ValueError"}, "errors"),
        ({"side_effects": [None]}, "side_effects"),
        ({"semantic": "magic"}, "semantic"),
        ({"semantic": None}, "semantic"),
        ({"isolation": "none"}, "isolation"),
        ({"write_timeout_ms": 0}, "write_timeout_ms"),
        ({"write_timeout_ms": True}, "write_timeout_ms"),
        ({"write_timeout_ms": "5"}, "write_timeout_ms"),
        ({"write_timeout_ms": float("nan")}, "write_timeout_ms"),
    ],
)
def test_wrong_parts_are_named(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(RegistrationError, match=f"'pay'.*`{part}`") as caught:
        ProcessContract(**arguments, name="pay")
    assert caught.value.process == "pay"


@pytest.mark.parametrize("level", ["serializable", "snapshot", None])
def test_isolation_levels(level: str | None) -> None:
    assert ProcessContract(isolation=level).isolation == level
