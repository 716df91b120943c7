"""Doors own no code, rooms never use doors, and every lazy name resolves."""

from __future__ import annotations

import ast
from importlib import import_module

import pytest

import theus
from tests.support.paths import CORE, PACKAGE
from tests.support.py_sources import imports_of, modules, tree_of

DOORS = ("structures", "guards", "locks", "delta", "workflow", "validator", "schema_gen")
PRESENT = [name for name in DOORS if (PACKAGE / f"{name}.py").exists()]
LAZY = {"theus": PACKAGE / "__init__.py", "theus._core": CORE / "__init__.py"}
PUBLIC = {
    "BaseDomainContext",
    "BaseGlobalContext",
    "BaseSystemContext",
    "ContractViolationError",
    "OutboxMsg",
    "SchemaViolationError",
    "SemanticType",
    "SignalHub",
    "SignalReceiver",
    "StateUpdate",
    "TheusEncoder",
    "TheusEngine",
    "__version__",
    "process",
}


def homes_of(path):
    """name -> module, of the string table and of the imports that type checkers see."""
    table, typed = {}, {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_HOMES":
            table = ast.literal_eval(node.value)
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            for line in node.body:
                typed |= {alias.asname or alias.name: line.module for alias in line.names}
    return table, typed


def is_naming(node):
    """A docstring, an import, a table of strings, or the lazy look-up over it."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return ast.unparse(node) == "__getattr__, __dir__ = lazy(__name__, _HOMES)"
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return isinstance(node.value, ast.List | ast.Tuple | ast.Dict | ast.Name)
    if isinstance(node, ast.If):
        return all(isinstance(line, ast.ImportFrom) for line in node.body)
    return isinstance(node, ast.Import | ast.ImportFrom)


def test_doors_own_no_code():
    code = {
        door: [
            ast.unparse(node)
            for node in tree_of(PACKAGE / f"{door}.py").body
            if not is_naming(node)
        ]
        for door in PRESENT
    }
    assert {door: found for door, found in code.items() if found} == {}


def test_every_name_of_every_door_resolves():
    doors = {door: import_module(f"theus.{door}") for door in PRESENT}
    assert [door for door, module in doors.items() if not module.__all__] == []
    missing = {
        door: [name for name in module.__all__ if not hasattr(module, name)]
        for door, module in doors.items()
    }
    assert {door: names for door, names in missing.items() if names} == {}


def test_rooms_never_use_doors():
    doors = {f"theus.{door}" for door in DOORS}
    users = {
        module: sorted(found)
        for module, path in modules().items()
        if module not in doors and (found := imports_of(module, path) & doors)
    }
    assert not users


@pytest.mark.parametrize("package", LAZY)
def test_the_string_table_and_the_types_agree(package):
    table, typed = homes_of(LAZY[package])
    assert table
    assert table == typed
    assert set(import_module(package).__all__) - {"__version__"} == set(table)


@pytest.mark.parametrize(
    ("package", "name"),
    [(package, name) for package, path in LAZY.items() for name in homes_of(path)[0]],
)
def test_every_lazy_name_resolves_to_what_its_home_has(package, name):
    home = homes_of(LAZY[package])[0][name]
    assert getattr(import_module(package), name) is getattr(import_module(home), name)
    assert name in dir(import_module(package))


@pytest.mark.parametrize("package", LAZY)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nothing_of_that'"):
        _ = import_module(package).nothing_of_that


def test_the_front_door_has_exactly_the_public_names():
    assert set(theus.__all__) == PUBLIC
