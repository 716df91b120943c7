"""Bugs planted in the compiled core are caught, each by the check that is there for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.histories import planted
from theus._core.fault import FAULTS, get_fault, set_fault

CAUGHT_BY: dict[str, Callable[[], set[str]]] = {
    "no-read-validation": planted.histories,
    "no-ancestor-check": planted.granularity,
    "install-outside-lock": planted.threads,
    "stamp-not-moved": planted.pinned_readers,
    "fence-not-released": planted.fences,
}


@pytest.fixture(autouse=True)
def no_fault_left() -> Iterator[None]:
    """Whatever happens, the next test runs on a right engine."""
    yield
    set_fault(None)


def test_every_bug_that_can_be_planted_has_a_check() -> None:
    assert set(CAUGHT_BY) == set(FAULTS) - {None}
    assert get_fault() is None


@pytest.mark.parametrize(
    "check", dict.fromkeys(CAUGHT_BY.values()), ids=lambda check: check.__name__
)
def test_the_right_engine_is_clean(check: Callable[[], set[str]]) -> None:
    assert check() == set()


@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_planted_bug_is_caught(fault: str) -> None:
    set_fault(fault)
    found = CAUGHT_BY[fault]()
    set_fault(None)
    assert found, f"{fault} went unnoticed by {CAUGHT_BY[fault].__name__}"


def test_missing_read_validation_shows_as_write_skew() -> None:
    set_fault("no-read-validation")
    assert "G2" in planted.histories()


def test_missing_ancestor_check_shows_below_removed_containers() -> None:
    set_fault("no-ancestor-check")
    assert "removed container, write inside" in planted.granularity()


def test_an_unknown_bug_cannot_be_planted() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        set_fault("no-such-bug")
