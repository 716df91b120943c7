"""A heavy zone of its own for every test, with a registry of its own, and no leftovers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.heavy.helpers import Echo, names_of
from tests.unit.heavy.owners import Forge
from theus.heavy import HeavyZoneAllocator, MemoryRegistry


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A registry directory that no other test sees."""
    return tmp_path / "registry"


@pytest.fixture
def zone(directory: Path) -> Iterator[HeavyZoneAllocator]:
    """An allocator of 64 MB; fails the test that leaves a segment of it behind."""
    made = HeavyZoneAllocator(registry=MemoryRegistry(directory=directory), capacity_bytes=64 << 20)
    yield made
    made.cleanup()
    assert names_of(made.session) == set()
    assert not directory.exists() or list(directory.iterdir()) == []


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    """A spawned process that says what it received."""
    with Echo() as process:
        yield process


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    """Makes owners that kill themselves."""
    with Forge() as process:
        yield process
