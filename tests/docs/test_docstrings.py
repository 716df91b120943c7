"""Examples in docstrings run, those of compiled modules included."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.support.paths import CORE
from tests.support.py_sources import modules

SOURCES = modules() | {f"theus._core.{path.stem}": path for path in sorted(CORE.glob("*.pyx"))}
WITH_EXAMPLES = [
    name for name, path in SOURCES.items() if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_run(name):
    module = import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for example in finder.find(module, name):
        runner.run(example, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)


def test_no_example_is_skipped():
    assert [name for name, path in SOURCES.items() if "+SKIP" in path.read_text("utf-8")] == []
