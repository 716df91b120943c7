"""Reads the sources of the compiled core: who cimports whom, and whether a build is stale.

import-linter does not see into `.pyx` files, so the tests of the core's order and of its
freshness read the `cimport` lines themselves.
"""

from __future__ import annotations

import re
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_ARROW = re.compile(
    r"^[ \t]*(?:from\s+theus\._core\.(?P<source>\w+)\s+(?:c?import)\b"
    r"|c?import\s+theus\._core\.(?P<module>\w+)"
    r"|from\s+theus\._core\s+c?import\s+(?P<names>[\w, \t]+))",
    re.MULTILINE,
)
_CIMPORT = re.compile(
    r"^[ \t]*(?:from\s+theus\._core\.(?P<source>\w+)\s+cimport\b"
    r"|cimport\s+theus\._core\.(?P<module>\w+)"
    r"|from\s+theus\._core\s+cimport\s+(?P<names>[\w, \t]+))",
    re.MULTILINE,
)


def _names(pattern: re.Pattern[str], text: str) -> set[str]:
    found: set[str] = set()
    for match in pattern.finditer(text):
        one = match["source"] or match["module"]
        found |= {one} if one else {name.split()[0] for name in match["names"].split(",")}
    return found


def arrows(core: Path) -> dict[str, set[str]]:
    """For every module of the core the siblings it imports or cimports, wherever it does."""
    found: dict[str, set[str]] = {}
    for path in [*core.glob("*.pyx"), *core.glob("*.pxd"), *core.glob("*.py")]:
        if not path.stem.startswith("__"):
            text = path.read_text(encoding="utf-8")
            found.setdefault(path.stem, set()).update(_names(_ARROW, text) - {path.stem})
    return found


def binary_of(source: Path) -> Path | None:
    """The binary that this Python would load for a `.pyx`, or None."""
    built = [source.with_name(source.stem + suffix) for suffix in EXTENSION_SUFFIXES]
    return next((path for path in built if path.exists()), None)


def _inputs(source: Path) -> set[Path]:
    """The `.pyx`, its own `.pxd` and every `.pxd` that these cimport, however far."""
    inputs: set[Path] = set()
    waiting = [source, source.with_suffix(".pxd")]
    while waiting:
        path = waiting.pop()
        if path in inputs or not path.exists():
            continue
        inputs.add(path)
        names = _names(_CIMPORT, path.read_text(encoding="utf-8"))
        waiting += [path.with_name(f"{name}.pxd") for name in names]
    return inputs


def stale_modules(core: Path) -> list[str]:
    """What is wrong with the build, one line per module; empty where it is up to date.

    A package without `.pyx` files is an installed one and is taken as it is.
    """
    problems: list[str] = []
    for source in sorted(core.glob("*.pyx")):
        binary = binary_of(source)
        if binary is None:
            problems.append(f"{source.name}: not built for this Python")
            continue
        built = binary.stat().st_mtime_ns
        newer = [path.name for path in _inputs(source) if path.stat().st_mtime_ns > built]
        if newer:
            problems.append(f"{source.name}: {', '.join(sorted(newer))} changed after the build")
    return problems
