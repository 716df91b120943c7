"""Things that only one place may do, as a table."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import pytest
from Cython.Build.Dependencies import strip_string_literals

from tests.support.paths import CORE
from tests.support.py_sources import (
    imports_of,
    modules,
    nodes_at_run_time,
    reached_from,
    tree_of,
)


@dataclass(frozen=True)
class WhoMay:
    """``what`` may be done by ``allowed`` only: by import, or by use of a dotted name."""

    what: str
    allowed: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


TABLE = (
    WhoMay(
        "open shared memory",
        allowed=("theus.heavy.segment", "theus.heavy.opening"),
        imports=("multiprocessing.shared_memory", "_posixshmem"),
        uses=("multiprocessing.shared_memory",),
    ),
    WhoMay("read YAML", allowed=("theus._yaml",), imports=("yaml",)),
    WhoMay(
        "read the environment",
        allowed=("theus.engine.settings",),
        uses=("os.environ", "os.environb", "os.getenv", "os.putenv"),
    ),
    WhoMay(
        "write to the terminal",
        allowed=("theus.cli.console",),
        uses=("print", "sys.stdout", "sys.stderr", "click.echo", "click.secho"),
    ),
    WhoMay("run text as Python", uses=("eval", "exec")),
    WhoMay("change warnings or logging of the program", uses=("logging.basicConfig",)),
    WhoMay(
        "use OpenTelemetry",
        allowed=("theus.engine.tracing", "theus.parallel.trace_context"),
        imports=("opentelemetry",),
    ),
    WhoMay(
        "ask for loggers by name",
        allowed=("theus._logs", "theus.parallel.relay"),
        uses=("logging.getLogger",),
    ),
)

NO_CORE = re.compile(r"^[ \t]*(?:from|c?import)[ \t]+(numpy|asyncio|yaml|click)\b", re.MULTILINE)
NO_CALL = re.compile(r"\b(print|eval|exec)\(|\bos\.(environ|getenv)\b")

INDEPENDENT = {
    "theus.linter": ("theus.engine", "theus.parallel", "theus.store", "theus.heavy"),
    "theus.scaffold": ("theus.engine", "theus.parallel", "theus.store", "theus.heavy"),
    "theus.codegen": ("theus.engine", "theus.parallel", "theus.store", "theus.heavy"),
}


def dotted(node):
    """``a.b.c`` of an attribute chain that begins with a name, or None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def uses_of(path):
    """Dotted names read, with ``from os import environ`` counted as ``os.environ``."""
    tree = tree_of(path)
    aliases = {}
    for node in nodes_at_run_time(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = set(aliases.values())
    for node in nodes_at_run_time(tree):
        if isinstance(node, ast.Name | ast.Attribute) and (name := dotted(node)):
            head, _, rest = name.partition(".")
            found.add(".".join(filter(None, [aliases.get(head, head), rest])))
    return found


def below(name, tops):
    return any(name == top or name.startswith(top + ".") for top in tops)


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.what)
def test_only_who_may_does(rule):
    culprits = {}
    for module, path in modules().items():
        if below(module, rule.allowed):
            continue
        found = {name for name in imports_of(module, path) if below(name, rule.imports)}
        found |= {name for name in uses_of(path) if below(name, rule.uses)}
        if found:
            culprits[module] = sorted(found)
    assert not culprits


@pytest.mark.parametrize("source", sorted(CORE.glob("*.p[xy][xd]")), ids=lambda path: path.name)
def test_the_compiled_core_stays_lean_and_silent(source):
    code = strip_string_literals(source.read_text(encoding="utf-8"))[0]
    assert not NO_CORE.findall(code)
    assert not NO_CALL.findall(code)


@pytest.mark.parametrize("room", INDEPENDENT)
def test_tools_reach_neither_engine_nor_pools(room):
    reached = reached_from(room)
    wrong = {name: by for name, by in reached.items() if below(name, INDEPENDENT[room])}
    assert not wrong
