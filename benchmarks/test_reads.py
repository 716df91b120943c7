"""Reads and writes through a guard beside a dict: `pytest benchmarks --benchmark-only`."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.states import entries, inside

DOMAIN = {**entries(20), "x": 1, "kid": {"y": 1}}


def item(mapping: Any) -> Any:
    """Read an item."""
    return mapping["x"]


def attribute(mapping: Any) -> Any:
    """Read an attribute."""
    return mapping.x


def two_levels(mapping: Any) -> Any:
    """Read an item of an item."""
    return mapping["kid"]["y"]


def write(mapping: Any) -> int:
    """Write an item."""
    mapping["x"] = 1
    return 1


def items(mapping: Any) -> int:
    """Count the entries."""
    return sum(1 for _ in mapping.items()) // len(DOMAIN)


@pytest.mark.benchmark(group="reads and writes")
@pytest.mark.parametrize("action", [item, two_levels, write, items])
def test_dict(benchmark: Any, action: Any) -> None:
    assert benchmark(action, dict(DOMAIN)) == 1


@pytest.mark.benchmark(group="reads and writes")
@pytest.mark.parametrize("action", [item, attribute, two_levels, write, items])
def test_guard(benchmark: Any, action: Any) -> None:
    assert inside(DOMAIN, lambda guard: benchmark(action, guard)) == 1
