"""`scan_and_register`: import every file of a folder and register the processes found."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from theus.contracts.model import ProcessContract
from theus.errors import DiscoveryError, TheusError

__all__ = ["scan"]

_SKIPPED = frozenset(("__pycache__", "node_modules"))


def scan(path: str | Path, register: Callable[[Any], Any]) -> list[str]:
    """Import the Python files at or below `path` and register their processes.

    Files are taken in the order of their names; what begins with a dot and links that lead out
    of the folder are left out. A process is registered by the module that defines it, not by
    those that import it. A file of a package (its folder has an `__init__.py`) is imported under
    its name in the package, so that relative imports work and nothing is loaded twice; any other
    file under a private name, with `path` importable for the time of the import.

    Returns
    -------
    Names of the processes registered, in order.

    Raises
    ------
    DiscoveryError
        Some files could not be imported or registered; each is named with its cause, after
        everything else was registered.
    """
    root = Path(path).resolve()
    if not root.exists():
        raise DiscoveryError(
            f"cannot scan {str(path)!r}: there is no such file or folder",
            failures=((str(path), "does not exist"),),
            registered=(),
        )
    names: list[str] = []
    failures: list[tuple[str, str]] = []
    causes: list[BaseException] = []
    for file in _files(root):
        for error in _register_file(file, root, register, names):
            failures.append((str(file), f"{type(error).__name__}: {error}"))
            causes.append(error)
    if failures:
        listed = "".join(f"\n  {file}: {cause}" for file, cause in failures)
        raise DiscoveryError(
            f"{len(dict(failures))} file(s) below {str(path)!r} could not be registered "
            f"(registered: {', '.join(names) or 'none'}):{listed}",
            failures=tuple(failures),
            registered=tuple(names),
        ) from causes[0]
    return names


def _register_file(
    file: Path, root: Path, register: Callable[[Any], Any], names: list[str]
) -> Iterator[BaseException]:
    """Import one file and register each of its processes; what went wrong, one by one."""
    try:
        module = _import(file, root)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - all are raised, together
        yield error
        return
    for func in _processes(module):
        try:
            names.append(register(func).name)
        except TheusError as error:
            yield error


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for file in sorted(root.rglob("*.py")):
        inner = file.relative_to(root).parts
        if file.is_dir() or not file.resolve().is_relative_to(root):
            continue
        if not any(part in _SKIPPED or part.startswith(".") for part in inner):
            yield file


def _import(file: Path, root: Path) -> ModuleType:
    """The module of a file: the one that is imported already, else a new one."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(file):
            return module
    top = _package(file)
    if top is None:
        with _importable(root if root.is_dir() else root.parent):
            return _load(_private(file), file)
    inner = file.relative_to(top).with_suffix("").parts
    with _importable(top.parent):
        name = top.name
        if not _leads_to(name, top):
            name = _private(top)
            if name not in sys.modules:
                _load(name, top / "__init__.py", [str(top)])
        parts = inner[:-1] if inner[-1] == "__init__" else inner
        return importlib.import_module(".".join((name, *parts)))


def _package(file: Path) -> Path | None:
    """The folder of the outermost package that a file belongs to; None: to none."""
    top = None
    for folder in file.parents:
        if "." in folder.name or not (folder / "__init__.py").is_file():
            break
        top = folder
    return None if "." in file.stem else top


def _leads_to(name: str, package: Path) -> bool:
    """Whether the name of a package means this one, and not another that came first."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:
        return False
    return spec is not None and spec.origin == str(package / "__init__.py")


def _private(path: Path) -> str:
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return f"theus_scanned_{digest}_{path.stem}"


def _load(name: str, file: Path, inside: list[str] | None = None) -> ModuleType:
    """Import a file under a name of our own; `inside`: where the modules of a package are."""
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise TheusError(f"{file} is not a Python file that can be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules in `folder` can be imported inside the block."""
    place = str(folder)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(place)


def _processes(module: ModuleType) -> list[Any]:
    """Processes that a module defines, each once, in order."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(getattr(value, "contract", None), ProcessContract)
        and getattr(value, "__module__", None) == module.__name__
    ]
    return list({id(value): value for value in found}.values())
