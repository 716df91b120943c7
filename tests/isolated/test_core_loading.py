"""The compiled core: missing, or asked for by a second interpreter."""

from __future__ import annotations

import shutil
import sys

import pytest

import theus
from tests.support.isolated import run_isolated
from tests.support.paths import PACKAGE


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
def test_a_second_interpreter_is_refused_the_core_and_nothing_breaks():
    done = run_isolated(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import theus._core.state
        code = '''
        try:
            import theus._core.state
        except ImportError as error:
            print("refused:", error, flush=True)
        import theus, theus.errors
        print(theus.__version__, flush=True)
        '''
        for turn in range(2):
            one = interpreters.create()
            interpreters.run_string(one, code)
            interpreters.destroy(one)
        print(theus._core.state.State({"domain": {"a": 1}}).domain["a"])
        """,
        warnings="default",
    )
    refused, version, again, same, value = done.stdout.splitlines()
    assert refused == again
    assert "does not support loading in subinterpreters" in refused
    assert version == same == theus.__version__
    assert value == "1"
