"""Scanning: folders, single files, packages, files that fail, files that are imported already."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from theus import TheusEngine
from theus.errors import DiscoveryError, TheusError

HEADER = "from theus import process\n"
BODY = "@process(outputs=['domain.n'])\ndef {name}(ctx):\n    return {value}\n"


@pytest.fixture(autouse=True)
def _modules_and_path() -> Iterator[None]:
    """Modules that a test imported are forgotten, so that names can be used again."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def engine() -> Iterator[TheusEngine]:
    with TheusEngine({"domain": {"n": 0}}) as made:
        yield made


def _write(file: Path, *names: str, header: str = HEADER) -> Path:
    """A file with a process per name that returns 1, 2, ..."""
    file.parent.mkdir(parents=True, exist_ok=True)
    bodies = [BODY.format(name=name, value=at) for at, name in enumerate(names, 1)]
    file.write_text(header + "\n".join(bodies))
    return file


def _scan_fails(engine: TheusEngine, path: Any) -> DiscoveryError:
    with pytest.raises(DiscoveryError) as caught:
        engine.scan_and_register(path)
    assert isinstance(caught.value, (TheusError, ImportError))
    return caught.value


def test_every_process_of_every_file_in_order(engine: TheusEngine, tmp_path: Path) -> None:
    _write(tmp_path / "b.py", "third")
    _write(tmp_path / "a.py", "first", "second")
    _write(tmp_path / "c" / "deep" / "d.py", "fourth")
    names = ["first", "second", "third", "fourth"]
    assert engine.scan_and_register(str(tmp_path)) == names
    assert list(engine.registry) == names
    assert [engine.run(name) for name in names] == [1, 2, 1, 1]


def test_an_empty_folder_has_none(engine: TheusEngine, tmp_path: Path) -> None:
    assert engine.scan_and_register(tmp_path) == []


def test_a_single_file(engine: TheusEngine, tmp_path: Path) -> None:
    _write(tmp_path / "beside.py", "beside")
    assert engine.scan_and_register(_write(tmp_path / "one.py", "one")) == ["one"]


def test_a_relative_path(
    engine: TheusEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "flows" / "one.py", "one")
    monkeypatch.chdir(tmp_path)
    assert engine.scan_and_register("flows") == ["one"]


@pytest.mark.parametrize("folder", ["__pycache__", ".venv", ".git/hooks", "node_modules"])
def test_folders_that_hold_no_programs(engine: TheusEngine, tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "a.py").write_text("1 / 0")
    (tmp_path / "notes.txt").write_text("no program")
    _write(tmp_path / "one.py", "one")
    assert engine.scan_and_register(tmp_path) == ["one"]


@pytest.mark.parametrize("folder", ["tests", "build", "my folder", "1st", "a.b"])
def test_any_other_name_of_a_folder(engine: TheusEngine, tmp_path: Path, folder: str) -> None:
    _write(tmp_path / folder / "one.py", "one")
    assert engine.scan_and_register(tmp_path / folder) == ["one"]
    assert engine.scan_and_register(tmp_path) == ["one"]


def test_functions_without_a_contract_are_left_alone(engine: TheusEngine, tmp_path: Path) -> None:
    _write(tmp_path / "one.py", "one", header=HEADER + "def helper(): pass\nvalue = 3\n")
    assert engine.scan_and_register(tmp_path) == ["one"]


def test_a_second_name_does_not_count_twice(engine: TheusEngine, tmp_path: Path) -> None:
    file = _write(tmp_path / "one.py", "one")
    file.write_text(file.read_text() + "\nalias = one\n")
    assert engine.scan_and_register(tmp_path) == ["one"]


def test_scanning_again_registers_the_same(engine: TheusEngine, tmp_path: Path) -> None:
    log = "import sys\nsys.modules.setdefault('theus_scan_log', []).append(1)\n"
    _write(tmp_path / "one.py", "one", header=log + HEADER)
    assert engine.scan_and_register(tmp_path) == ["one"]
    first = engine.registry["one"]
    assert engine.scan_and_register(tmp_path) == ["one"]
    assert engine.registry["one"] is first
    assert sys.modules["theus_scan_log"] == [1]
    with TheusEngine() as other:
        assert other.scan_and_register(tmp_path) == ["one"]


def test_a_file_that_is_imported_already_is_not_loaded_again(
    engine: TheusEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "theus_scan_known.py", "known")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("theus_scan_known")
    engine.scan_and_register(tmp_path)
    assert engine.registry["known"] is module.known
    monkeypatch.undo()


def test_files_of_a_folder_can_import_each_other(engine: TheusEngine, tmp_path: Path) -> None:
    (tmp_path / "theus_scan_helper.py").write_text("VALUE = 41\n")
    _write(
        tmp_path / "inner" / "one.py",
        "one",
        header="from theus_scan_helper import VALUE\n" + HEADER,
    )
    assert engine.scan_and_register(tmp_path) == ["one"]


def test_equal_file_names_in_different_folders(engine: TheusEngine, tmp_path: Path) -> None:
    _write(tmp_path / "a" / "flow.py", "first")
    _write(tmp_path / "b" / "flow.py", "second")
    assert engine.scan_and_register(tmp_path) == ["first", "second"]


# --- packages ---------------------------------------------------------------------------------


def _package(folder: Path, name: str) -> Path:
    """A package with a process in its `__init__` and modules that import each other both ways."""
    top = folder / name
    _write(top / "__init__.py", "in_init", header=HEADER + "LOADED = []\n")
    (top / "models.py").write_text("LIMIT = 5\n")
    _write(top / "flows" / "__init__.py")
    _write(
        top / "flows" / "one.py",
        "one",
        header=f"from .. import LOADED\nfrom ..models import LIMIT\nfrom .two import two as other\n"
        f"import {name}.models\nassert {name}.models.LIMIT is LIMIT\n"
        f"LOADED.append(__name__)\n{HEADER}",
    )
    _write(top / "flows" / "two.py", "two", header=f"from .. import LOADED\n{HEADER}")
    return top


@pytest.mark.parametrize(
    ("below", "names"),
    [
        ("", ["in_init", "one", "two"]),
        ("flows", ["one", "two"]),
        ("flows/one.py", ["one"]),
    ],
)
def test_modules_of_a_package_have_their_own_names(
    engine: TheusEngine, tmp_path: Path, below: str, names: list[str]
) -> None:
    top = _package(tmp_path, "theus_scan_app")
    assert engine.scan_and_register(top / below) == names
    module = sys.modules["theus_scan_app.flows.one"]
    assert engine.registry["one"] is module.one
    assert sys.modules["theus_scan_app"].LOADED == ["theus_scan_app.flows.one"]
    assert [name for name in sys.modules if name.startswith("theus_scanned_")] == []


def test_a_package_below_the_folder(engine: TheusEngine, tmp_path: Path) -> None:
    _package(tmp_path, "theus_scan_app")
    _write(tmp_path / "loose.py", "loose")
    assert engine.scan_and_register(tmp_path) == ["loose", "in_init", "one", "two"]


def test_a_package_whose_name_is_taken_by_another(engine: TheusEngine, tmp_path: Path) -> None:
    _write(tmp_path / "left" / "theus_scan_app" / "__init__.py", "left")
    top = tmp_path / "right" / "theus_scan_app"
    _write(top / "__init__.py", "right")
    _write(top / "one.py", "one", header="from . import right as mine\n" + HEADER)
    assert engine.scan_and_register(tmp_path / "left") == ["left"]
    assert engine.scan_and_register(tmp_path / "right") == ["right", "one"]
    assert "left" in vars(sys.modules["theus_scan_app"])


# --- what fails -------------------------------------------------------------------------------

BROKEN = {
    "syntax": ("def broken(:", "SyntaxError"),
    "import": ("import theus_scan_nowhere", "ModuleNotFoundError"),
    "name": ("undefined_name", "NameError"),
    "exit": ("raise SystemExit(3)", "SystemExit"),
    "decorator": ("from theus import process\n@process(inputs=5)\ndef f(ctx): ...", "Error"),
    "pattern": ("from theus import process\n@process(inputs=['a..b'])\ndef f(ctx): ...", "Error"),
    "bytes": ("\0", "Error"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_its_cause_and_the_rest_is_registered(
    engine: TheusEngine, tmp_path: Path, kind: str
) -> None:
    text, cause = BROKEN[kind]
    _write(tmp_path / "a.py", "before")
    (tmp_path / "b.py").write_text(text)
    _write(tmp_path / "c.py", "after")
    error = _scan_fails(engine, tmp_path)
    [(file, said)] = error.failures
    assert Path(file).name == "b.py"
    assert cause in said
    assert file in str(error)
    assert said in str(error)
    assert error.registered == ("before", "after")
    assert error.__cause__ is not None
    assert set(engine.registry) == {"before", "after"}


def test_all_broken_files_are_in_one_error(engine: TheusEngine, tmp_path: Path) -> None:
    for name, (text, _) in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(text)
    error = _scan_fails(engine, tmp_path)
    assert [Path(file).stem for file, _ in error.failures] == sorted(BROKEN)
    assert f"{len(BROKEN)} file(s)" in str(error)


def test_a_broken_package_is_named_for_each_of_its_files(
    engine: TheusEngine, tmp_path: Path
) -> None:
    (tmp_path / "theus_scan_app").mkdir()
    (tmp_path / "theus_scan_app" / "__init__.py").write_text("1 / 0")
    _write(tmp_path / "theus_scan_app" / "one.py", "one")
    error = _scan_fails(engine, tmp_path)
    assert [Path(file).name for file, _ in error.failures] == ["__init__.py", "one.py"]
    assert all("ZeroDivisionError" in said for _, said in error.failures)


def test_a_process_that_is_refused_does_not_take_the_others_with_it(
    engine: TheusEngine, tmp_path: Path
) -> None:
    file = _write(tmp_path / "a.py", "first", "last")
    refused = "\n@process(inputs=['signal.stop'], semantic='pure')\ndef middle(ctx): ...\n"
    first, last = file.read_text().split("\n\n")
    file.write_text(first + refused + last)
    error = _scan_fails(engine, tmp_path)
    assert error.registered == ("first", "last")
    assert ["Pure process" in said for _, said in error.failures] == [True]


def test_two_files_with_the_same_name_of_a_process(engine: TheusEngine, tmp_path: Path) -> None:
    _write(tmp_path / "a.py", "same", "one")
    _write(tmp_path / "b.py", "other", "same", "two")
    error = _scan_fails(engine, tmp_path)
    assert error.registered == ("same", "one", "other", "two")
    [(file, said)] = error.failures
    assert Path(file).name == "b.py"
    assert "registered already" in said
    assert engine.run("same") == 1


def test_a_broken_file_is_tried_again_when_it_was_repaired(
    engine: TheusEngine, tmp_path: Path
) -> None:
    file = tmp_path / "one.py"
    file.write_text("1 / 0")
    _scan_fails(engine, tmp_path)
    _write(file, "one")
    assert engine.scan_and_register(tmp_path) == ["one"]


@pytest.mark.parametrize("name", ["nowhere", "nowhere.py"])
def test_what_is_not_there(engine: TheusEngine, tmp_path: Path, name: str) -> None:
    error = _scan_fails(engine, tmp_path / name)
    assert name in str(error)
    assert error.registered == ()


def test_a_file_that_is_no_python(engine: TheusEngine, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b")
    error = _scan_fails(engine, tmp_path / "data.csv")
    assert "data.csv" in str(error)


def test_an_interrupt_is_not_swallowed(engine: TheusEngine, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        engine.scan_and_register(tmp_path)


# --- links and import paths -------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links")
def test_links_that_lead_out_are_left_out_and_dangling_ones_are_reported(
    engine: TheusEngine, tmp_path: Path
) -> None:
    outside = _write(tmp_path / "outside" / "out.py", "out")
    _write(tmp_path / "inside" / "one.py", "one")
    (tmp_path / "inside" / "link.py").symlink_to(outside)
    assert engine.scan_and_register(tmp_path / "inside") == ["one"]
    (tmp_path / "inside" / "gone.py").symlink_to(tmp_path / "inside" / "nowhere.py")
    error = _scan_fails(engine, tmp_path / "inside")
    assert [Path(file).name for file, _ in error.failures] == ["gone.py"]


def test_a_file_that_changes_the_import_path_keeps_its_change(
    engine: TheusEngine, tmp_path: Path
) -> None:
    place = str(tmp_path / "elsewhere")
    header = f"import sys\nsys.path.insert(0, {place!r})\n{HEADER}"
    _write(tmp_path / "one.py", "one", header=header)
    assert engine.scan_and_register(tmp_path) == ["one"]
    assert sys.path.count(place) == 1
    sys.path.remove(place)
