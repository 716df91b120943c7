"""Inside the compiled core, imports go down only too."""

from __future__ import annotations

import re

import pytest

from tests.support.core_sources import arrows
from tests.support.paths import CORE
from tests.support.py_sources import imports_of

ORDER = (
    "fault",
    "path",
    "pattern",
    "zone",
    "refusal",
    "ring",
    "layout",
    "node",
    "held",
    "freeze",
    "shown",
    "delta",
    "log",
    "counters",
    "store",
    "footprint",
    "guard",
    "guard_keys",
    "guard_views",
    "guard_map",
    "guard_list",
    "guard_set",
    "guard_record",
    "view",
    "signal",
    "mailbox",
    "channel",
    "receiver",
    "conflict",
    "plan",
    "validate",
    "watch",
    "clash",
    "apply",
    "commit",
    "state",
    "difference",
    "history",
    "access",
    "commuting",
    "savepoint",
    "transaction",
    "context",
    "current",
    "admin",
    "purity",
    "invariant",
    "chain",
    "hooks",
    "runner",
    "calls",
)
"""The one table: a module uses only modules to its left."""

MAY_IMPORT = ("theus._core", "theus._lazy", "theus._logs", "theus.errors", "theus.zones")
FOREIGN = re.compile(r"^[ \t]*(?:from|c?import)[ \t]+(theus[\w.]*)", re.MULTILINE)
COMPILED = sorted([*CORE.glob("*.pyx"), *CORE.glob("*.pxd")])


def test_every_module_has_its_place():
    assert set(arrows(CORE)) <= set(ORDER), "add new modules of theus/_core to ORDER"


def test_no_arrow_points_upwards():
    rank = {name: place for place, name in enumerate(ORDER)}
    upwards = [
        f"{module} uses {target}"
        for module, targets in arrows(CORE).items()
        for target in sorted(targets)
        if rank.get(target, len(ORDER)) >= rank.get(module, -1)
    ]
    assert not upwards


def above(names):
    return [
        name
        for name in names
        if not any(name == allowed or name.startswith(allowed + ".") for allowed in MAY_IMPORT)
    ]


@pytest.mark.parametrize("source", COMPILED, ids=lambda path: path.name)
def test_the_core_uses_nothing_above_it(source):
    assert above(FOREIGN.findall(source.read_text(encoding="utf-8"))) == []


def test_the_door_of_the_core_imports_nothing_above_it():
    found = imports_of("theus._core", CORE / "__init__.py")
    assert above(name for name in found if name.startswith("theus")) == []


@pytest.mark.parametrize("source", sorted(CORE.glob("*.pyx")), ids=lambda path: path.name)
def test_every_compiled_module_has_a_stub(source):
    assert source.with_suffix(".pyi").exists()
