"""Inside the compiled core, imports go down only too."""

from __future__ import annotations

import re

import pytest

from tests.support.core_sources import arrows
from tests.support.paths import CORE

ORDER = (
    "fault",
    "path",
    "pattern",
    "ring",
    "channel",
    "node",
    "freeze",
    "delta",
    "store",
    "footprint",
    "guard",
    "guard_map",
    "guard_list",
    "guard_set",
    "guard_record",
    "view",
    "conflict",
    "commit",
    "state",
    "transaction",
    "context",
    "runner",
)
"""The one table: a module uses only modules to its left."""

MAY_IMPORT = ("theus._core", "theus.errors", "theus.zones")
FOREIGN = re.compile(r"^[ \t]*(?:from|c?import)[ \t]+(theus[\w.]*)", re.MULTILINE)
SOURCES = sorted([*CORE.glob("*.pyx"), *CORE.glob("*.pxd"), *CORE.glob("*.py")])


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


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_core_uses_nothing_above_it(source):
    names = FOREIGN.findall(source.read_text(encoding="utf-8"))
    wrong = [
        name
        for name in names
        if not any(name == allowed or name.startswith(allowed + ".") for allowed in MAY_IMPORT)
    ]
    assert not wrong


@pytest.mark.parametrize("source", sorted(CORE.glob("*.pyx")), ids=lambda path: path.name)
def test_every_compiled_module_has_a_stub(source):
    assert source.with_suffix(".pyi").exists()
