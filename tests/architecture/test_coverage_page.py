"""`docs/coverage.md` names every system of the inventory, truthfully."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from itertools import chain

import pytest

from tests.support.core_sources import binary_of
from tests.support.documents import rows
from tests.support.paths import CORE, PACKAGE, ROOT
from theus import SignalHub, SignalReceiver, StateUpdate, TheusEngine, structures
from theus._core import ConflictManager, SupervisorCore, SupervisorProxy
from theus.audit import AuditRecipe, AuditSystem
from theus.context import HeavyZoneAllocator
from theus.workflow import WorkflowEngine

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
TABLES = list(rows(ROOT / "docs" / "coverage.md"))
SYSTEMS = [cells for cells in TABLES if len(cells) == 5]
NAMES = [cells for cells in TABLES if len(cells) == 3]
ROWS = {cells[0]: cells for cells in SYSTEMS}
CLASSES = {
    "TheusEngine": TheusEngine,
    "Transaction": structures.Transaction,
    "State": structures.State,
    "ctx": structures.ProcessContext,
    "ConflictManager": ConflictManager,
    "SignalHub": SignalHub,
    "SignalReceiver": SignalReceiver,
    "AuditSystem": AuditSystem,
    "AuditRecipe": AuditRecipe(),
    "WorkflowEngine": WorkflowEngine,
    "SupervisorProxy": SupervisorProxy,
    "SupervisorCore": SupervisorCore,
    "StateUpdate": StateUpdate(),
    "HeavyZoneAllocator": HeavyZoneAllocator,
}


def named(cell):
    return re.findall(r"`([^`]+)`", cell)


def module_exists(name):
    """Whether a dotted name is a module of the package, compiled ones included."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    if path.parent == CORE and path.with_suffix(".pyx").exists():
        return binary_of(path.with_suffix(".pyx")) is not None
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_every_id_is_there_once_and_in_order():
    assert [cells[0] for cells in SYSTEMS] == IDS


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


@pytest.mark.parametrize("cells", NAMES, ids=lambda cells: "-".join(named("".join(cells[:2]))))
def test_a_public_name_is_there_and_its_tests_use_it(cells):
    (place,), (name,), tests = named(cells[0]), named(cells[1]), named(cells[2])
    if "planned" in cells[2]:
        found = find_spec(place)
        assert found is None or not hasattr(import_module(place), name)
        return
    owner = CLASSES[place] if place in CLASSES else import_module(place)
    assert hasattr(owner, name)
    assert tests
    for test in tests:
        assert re.search(rf"\b{name}\b", (ROOT / test).read_text(encoding="utf-8")), test


def test_no_public_name_is_listed_twice():
    listed = {}
    for cells in NAMES:
        listed.setdefault(*named(cells[0]), set()).update(named(cells[1]))
    assert len(listed) > 30
    assert sum(len(names) for names in listed.values()) == len(NAMES)
