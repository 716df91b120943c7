"""The compiled core: missing, or loaded by isolated sub-interpreters."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.support.isolated import run_isolated
from tests.support.paths import CORE, PACKAGE

COMPILED = [f"theus._core.{path.stem}" for path in sorted(CORE.glob("*.pyx"))]


def test_a_core_that_was_not_built_says_how_to_build_it(tmp_path):
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "theus", ignore=ignore)
    done = run_isolated(
        "import theus\ntheus._core_names = __import__('theus._core')",
        env={"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1
    assert "ImportError: Cannot import theus: its compiled core is not built" in done.stderr
    assert "make build" in done.stderr
    assert sys.implementation.cache_tag in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no isolated interpreters before 3.12")
def test_the_core_loads_in_isolated_interpreters():
    names = ", ".join(COMPILED)
    done = run_isolated(
        f"""
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        for turn in range(3):
            one = interpreters.create()
            interpreters.run_string(one, "import {names}; print('loaded', flush=True)")
            interpreters.destroy(one)
        """,
        warnings="default",
    )
    assert done.stdout.split() == ["loaded"] * 3
