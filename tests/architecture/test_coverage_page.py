"""`docs/coverage.md` names every system of the inventory, truthfully."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from tests.support.core_sources import binary_of
from tests.support.documents import rows
from tests.support.paths import CORE, PACKAGE, ROOT

IDS = [
    f"{letter}{number}"
    for letter, count in {
        "C": 13,
        "W": 6,
        "K": 5,
        "A": 6,
        "G": 10,
        "S": 4,
        "H": 7,
        "P": 5,
        "F": 3,
        "T": 5,
        "O": 2,
    }.items()
    for number in range(1, count + 1)
]
STATE = re.compile(r"done|(?:partial|planned), issue \d+")
ROWS = {cells[0]: cells for cells in rows(ROOT / "docs" / "coverage.md")}


def named(cell):
    return re.findall(r"`([^`]+)`", cell)


def module_exists(name):
    """Whether a dotted name is a module of the package, compiled ones included."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    if path.parent == CORE and path.with_suffix(".pyx").exists():
        return binary_of(path.with_suffix(".pyx")) is not None
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_every_id_is_there_once_and_in_order():
    table = list(rows(ROOT / "docs" / "coverage.md"))
    assert [cells[0] for cells in table] == IDS


@pytest.mark.parametrize("key", IDS)
def test_a_row_is_true(key):
    _, system, modules, tests, state = ROWS[key]
    assert system
    assert STATE.fullmatch(state)
    assert [name for name in named(modules) if not module_exists(name)] == []
    assert [name for name in named(tests) if not (ROOT / name).exists()] == []
    if state == "done":
        assert named(modules)
        assert named(tests)
    if state.startswith("partial"):
        assert named(modules)


def test_tests_named_as_proof_have_tests():
    files = {name for cells in ROWS.values() for name in named(cells[3])}
    empty = []
    for name in files:
        path = ROOT / name
        found = path.rglob("test_*.py") if path.is_dir() else [path]
        texts = (one.read_text(encoding="utf-8") for one in found)
        if not any(re.search(r"^\s*(async )?def test_|TestCase\b", text, re.M) for text in texts):
            empty.append(name)
    assert not empty
    assert list(chain(files)), "the page names no test at all"
