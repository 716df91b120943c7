"""Shared by all tests: a fresh build, no leftovers, fresh interpreters."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import HealthCheck, settings

from tests.support import leftovers
from tests.support.core_sources import stale_modules
from tests.support.isolated import run_isolated as _run_isolated
from tests.support.paths import CORE

settings.register_profile("theus", deadline=None)
settings.register_profile(
    "thorough", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("theus")


def pytest_configure(config: pytest.Config) -> None:
    """Stop before the first test when the binaries are not those of the sources."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as under nohup: children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    problems = stale_modules(CORE)
    if problems:
        raise pytest.UsageError(
            "the compiled core is not up to date; run `make build` or "
            "`python setup.py build_ext --inplace`, then the tests again.\n  "
            + "\n  ".join(problems)
        )


@pytest.fixture(autouse=True, scope="module")
def nothing_left_behind() -> Iterator[None]:
    """Fails the module whose tests left a process, a thread or a segment of ours."""
    measures: dict[str, Callable[[], set[str]]] = {
        "processes": leftovers.children,
        "threads": leftovers.threads,
        "segments": partial(leftovers.segments, os.getpid()),
    }
    before = {name: measure() for name, measure in measures.items()}
    yield
    extra = {
        name: left
        for name, measure in measures.items()
        if (left := leftovers.settle(measure, before[name]))
    }
    assert not extra, f"left behind by this module: {extra}"


@pytest.fixture
def run_isolated() -> Callable[..., object]:
    """`tests.support.isolated.run_isolated`: run code in a fresh interpreter."""
    return _run_isolated
