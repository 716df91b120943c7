"""Pools for the tests, and workers that need not import the test runner."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from theus.parallel import make_pool
from theus.parallel.probe import interpreters_problem

PROBLEM = interpreters_problem()
INTERPRETERS = pytest.mark.skipif(PROBLEM is not None, reason=f"no interpreters: {PROBLEM}")
BACKENDS = (
    "auto",
    "inline",
    pytest.param("interpreters", marks=INTERPRETERS),
    "processes",
    "threads",
)
QUEUED = tuple(name for name in BACKENDS if name != "inline")
"""Those whose tasks wait for a worker."""


@pytest.fixture(scope="session", autouse=True)
def light_workers() -> Iterator[None]:
    """Workers import the main program; here that is the test runner, which none of them needs."""
    with pytest.MonkeyPatch.context() as patch:
        main = sys.modules["__main__"]
        patch.setattr(main, "__spec__", None)
        patch.setattr(main, "__file__", None, raising=False)
        yield


@pytest.fixture(scope="module", params=BACKENDS)
def any_pool(request):
    """A pool of every backend, of two workers."""
    options = {"spare": 0} if request.param == "processes" else {}
    with make_pool(request.param, size=2, **options) as pool:
        yield pool


@pytest.fixture(scope="module")
def processes():
    """A pool of two worker processes."""
    with make_pool("processes", size=2, spare=0) as pool:
        yield pool


@pytest.fixture(scope="module")
def interpreters():
    """A pool of two sub-interpreters."""
    with make_pool("interpreters", size=2) as pool:
        yield pool
