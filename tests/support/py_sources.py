"""Reads the Python sources of the package: imports, calls, sizes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.paths import PACKAGE

_DEF = re.compile(
    r"^(?P<indent>[ ]*)(?:async\s+def|def|cdef|cpdef)\b(?!\s+class\b)"
    r"(?P<head>[^=(]*?)\b(?P<name>\w+)\("
)
_CLASS = re.compile(r"^(?P<indent>[ ]*)(?:cdef\s+)?class\s+(?P<name>\w+)")


def modules() -> dict[str, Path]:
    """Every Python module of the package, by dotted name."""
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _is_type_checking(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def nodes_at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below ``tree``, without those that only a type checker sees."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def imports_of(module: str, path: Path) -> set[str]:
    """Dotted names that a module imports at run time, also inside functions.

    ``from a import b`` counts as ``a.b`` where that is a module of the package, else as ``a``;
    for foreign packages, whose modules are not known here, as both.
    """
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    known = modules()
    found: set[str] = set()
    for node in nodes_at_run_time(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in known else base)
                if not full.startswith("theus."):
                    found.add(full)
    return found


def reached_from(start: str) -> dict[str, str]:
    """Every module that the modules below ``start`` import, however far -> by whom."""
    known = modules()
    waiting = [name for name in known if name == start or name.startswith(start + ".")]
    reached = dict.fromkeys(waiting, start)
    while waiting:
        module = waiting.pop()
        for target in imports_of(module, known[module]) if module in known else ():
            if target not in reached:
                reached[target] = module
                waiting.append(target)
    return reached


def function_sizes(path: Path) -> Iterator[tuple[str, int, int]]:
    """(qualified name, line, length in lines) of every function of a `.py` or `.pyx` file."""
    if path.suffix == ".py":
        yield from _sizes_below(tree_of(path), "")
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    around: list[tuple[int, str]] = []  # indentation and name of the blocks we are in
    for number, line in enumerate(lines):
        match = _DEF.match(line) or _CLASS.match(line)
        if match:
            indent = len(match["indent"])
            around = [block for block in around if block[0] < indent]
            around.append((indent, match["name"]))
            if match.re is _DEF:
                name = ".".join(block[1] for block in around)
                yield name, number + 1, _block_length(lines[number:], indent)


def _sizes_below(node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child.lineno, (child.end_lineno or child.lineno) - child.lineno + 1
            yield from _sizes_below(child, f"{name}.")
        else:
            yield from _sizes_below(child, prefix)


def _block_length(lines: list[str], indent: int) -> int:
    """Length of the block that begins with the first line: up to the last deeper line."""
    length = 1
    depth = lines[0].count("(") - lines[0].count(")")
    for offset, line in enumerate(lines[1:], start=1):
        text = line.strip()
        if depth > 0:
            depth += line.count("(") - line.count(")")
            length = offset + 1
        elif text and len(line) - len(line.lstrip()) <= indent:
            break
        elif text:
            length = offset + 1
    return length
