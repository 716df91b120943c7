"""Generated pages are up to date, and change fragments can be folded."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

from tests.support.isolated import clean_environment
from tests.support.paths import ROOT

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KINDS = [kind["directory"] for kind in CONFIG["tool"]["towncrier"]["type"]]
FRAGMENTS = [one for one in (ROOT / "changes").iterdir() if one.name != "README.md"]


def run(*command):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_reference_is_up_to_date():
    done = run("tools/reference.py", "--check")
    assert done.returncode == 0, done.stderr


def test_fragments_are_named_by_issue_and_kind():
    name = re.compile(rf"\d+\.({'|'.join(KINDS)})(\.\d+)?\.md")
    assert [one.name for one in FRAGMENTS if not name.fullmatch(one.name)] == []


def test_fragments_say_something():
    assert [one.name for one in FRAGMENTS if len(one.read_text(encoding="utf-8")) < 20] == []


def test_the_kinds_are_explained():
    page = (ROOT / "changes" / "README.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []


def test_fragments_fold_into_the_changelog():
    done = run("-m", "towncrier", "build", "--draft", "--version", "0.0.0", "--date", "2000-01-01")
    assert done.returncode == 0, done.stdout + done.stderr
    for fragment in FRAGMENTS:
        first = fragment.read_text(encoding="utf-8").split()[0]
        assert first in done.stdout
