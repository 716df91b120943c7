"""Code in a fresh interpreter, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support.paths import PACKAGE


def run_isolated(
    code: str,
    *,
    arguments: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    warnings: str = "error",
    timeout: float = 120.0,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` as a script in a new interpreter and return what it did.

    The script is a file, so that worker processes can import it; it runs in ``cwd`` (an
    empty temporary folder by default) with the package under test importable and without
    ``THEUS_*`` variables, except those in ``env``. With ``check`` a failure is an
    `AssertionError` that shows both streams.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script", "main.py")
        script.parent.mkdir()
        script.write_text(textwrap.dedent(code), encoding="utf-8")
        empty = Path(folder, "cwd")
        empty.mkdir()
        done = subprocess.run(
            [sys.executable, "-W", warnings, script, *arguments],
            cwd=cwd or empty,
            env={**clean_environment(), **(env or {})},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    if check and done.returncode:
        raise AssertionError(
            f"the interpreter ended with {done.returncode}\n"
            f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        )
    return done


def clean_environment() -> dict[str, str]:
    """The environment less what would change the library's or the interpreter's ways."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("THEUS_", "PYTHON", "COV_"))
    }
    return kept | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"}
