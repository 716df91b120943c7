"""`scan_and_register`: import every file of a folder and register the processes found."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from theus.contracts.model import ProcessContract
from theus.errors import DiscoveryError, TheusError

__all__ = ["scan"]

_SKIPPED = frozenset(("__pycache__", "node_modules"))


def scan(path: str | Path, register: Callable[[Any], Any]) -> list[str]:
    """Import the Python files at or below `path` and register their processes.

    Files are taken in the order of their names; folders that begin with a dot are left out.
    A process is registered by the module that defines it, not by those that import it.

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
        try:
            module = _import(file, root)
            names += [register(func).name for func in _processes(module)]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - all are raised, together
            failures.append((str(file), f"{type(error).__name__}: {error}"))
            causes.append(error)
    if failures:
        listed = "".join(f"\n  {file}: {cause}" for file, cause in failures)
        raise DiscoveryError(
            f"{len(failures)} file(s) below {str(path)!r} could not be registered "
            f"(registered: {', '.join(names) or 'none'}):{listed}",
            failures=tuple(failures),
            registered=tuple(names),
        ) from causes[0]
    return names


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for file in sorted(root.rglob("*.py")):
        inner = file.relative_to(root).parts
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            continue
        if not any(part in _SKIPPED or part.startswith(".") for part in inner):
            yield file


def _import(file: Path, root: Path) -> ModuleType:
    """Import a file: under its own name where it is importable, else under a private one."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(file):
            return module
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:12]
    name = f"theus_scanned_{digest}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TheusError(f"{file} is not a Python file that can be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(root if root.is_dir() else root.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.pop(0)
    return module


def _processes(module: ModuleType) -> list[Any]:
    return [
        value
        for value in vars(module).values()
        if isinstance(getattr(value, "contract", None), ProcessContract)
        and getattr(value, "__module__", None) == module.__name__
    ]
