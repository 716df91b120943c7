"""What importing does not do; each check has its own interpreter and an empty folder."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from tests.support.isolated import run_isolated
from tests.support.paths import CORE
from tests.support.py_sources import modules

FORBIDDEN = (
    "numpy",
    "asyncio",
    "yaml",
    "pydantic",
    "click",
    "rich",
    "multiprocessing",
    "opentelemetry",
    "torch",
)
NEEDS = {
    "theus.freezers._tensors": "torch",
    "theus.freezers._tensor_guard": "torch",
    "theus.freezers._tensor_operation": "torch",
}
"""Modules that import a library which need not be there; nothing loads them before it is."""

COMPILED = [f"theus._core.{path.stem}" for path in sorted(CORE.glob("*.pyx"))]
EVERY = [name for name in [*modules(), *COMPILED] if not name.endswith("__main__")]


def imported(statement, tmp_path):
    """Run ``statement`` and report what it loaded, started and wrote."""
    folders = {name: tmp_path / name for name in ("home", "temp", "cwd")}
    for folder in folders.values():
        folder.mkdir()
    report = tmp_path / "report.json"
    done = run_isolated(
        f"""
        import json, os, sys
        before = set(sys.modules)
        {statement}
        loaded = sorted(set(sys.modules) - before)
        tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
        children = ""
        if tasks and os.path.exists("/proc/self/task"):
            with open(f"/proc/self/task/{{os.getpid()}}/children") as listing:
                children = listing.read()
        with open({str(report)!r}, "w") as out:
            json.dump({{"loaded": loaded, "tasks": tasks, "children": children}}, out)
        """,
        cwd=folders["cwd"],
        env={
            "HOME": str(folders["home"]),
            "XDG_DATA_HOME": str(folders["home"] / "data"),
            "XDG_CACHE_HOME": str(folders["home"] / "cache"),
            "TMPDIR": str(folders["temp"]),
        },
    )
    found = json.loads(report.read_text())
    found["printed"] = done.stdout + done.stderr
    found["written"] = [str(path) for folder in folders.values() for path in folder.rglob("*")]
    return found


def test_import_theus_is_silent_and_light(tmp_path):
    found = imported("import theus", tmp_path)
    assert found["printed"] == ""
    assert found["written"] == []
    assert found["tasks"] == 1
    assert found["children"] == ""
    assert [name for name in found["loaded"] if name.split(".")[0] in FORBIDDEN] == []
    assert [name for name in found["loaded"] if name.startswith("theus._core")] == []


@pytest.mark.parametrize("module", EVERY)
def test_a_module_can_be_imported_alone(module, tmp_path):
    if module in NEEDS and find_spec(NEEDS[module]) is None:
        pytest.skip(f"needs {NEEDS[module]}, which is not installed")
    found = imported(f"import {module}", tmp_path)
    assert found["printed"] == ""
    assert found["written"] == []
    assert found["children"] == ""


@pytest.mark.parametrize("module", COMPILED)
def test_the_core_is_light(module, tmp_path):
    found = imported(f"import {module}", tmp_path)
    assert [name for name in found["loaded"] if name.split(".")[0] in FORBIDDEN] == []


def test_what_is_logged_stays_silent_until_the_program_configures_logging():
    done = run_isolated(
        """
        from theus import TheusEngine, process

        @process
        def warn(ctx):
            ctx.log.warning("not to be seen")

        engine = TheusEngine()
        engine.run(warn)
        import logging
        logging.getLogger("theus.signals").error("nor this")
        """
    )
    assert done.stdout + done.stderr == ""


def test_everything_is_logged_below_theus(tmp_path):
    names = ", ".join(name for name in EVERY if name not in NEEDS)
    done = run_isolated(
        f"""
        import logging
        before = set(logging.root.manager.loggerDict)
        import {names}
        print(*sorted(set(logging.root.manager.loggerDict) - before))
        """
    )
    ours = [name for name in done.stdout.split() if name.split(".")[0] == "theus"]
    assert "theus" in ours
    assert "theus.parallel" in ours
    assert [name for name in done.stdout.split() if name.startswith(("_", "flux"))] == []


def test_an_engine_that_is_not_traced_does_without_opentelemetry():
    done = run_isolated(
        """
        import asyncio, sys
        from theus import TheusEngine, process

        @process
        def nothing(ctx):
            return 1

        with TheusEngine() as engine:
            engine.run(nothing)
            asyncio.run(engine.execute(nothing))
        print([name for name in sys.modules if name.startswith("opentelemetry")])
        """
    )
    assert done.stdout == "[]\n"


def test_a_pure_process_may_be_the_first_to_read_the_heavy_zone():
    """What the engine imports for that is no act of the process."""
    done = run_isolated(
        """
import sys
from theus import TheusEngine, process
from theus.contracts import SemanticType

@process(inputs=["heavy.model"], outputs=["domain.out"], semantic=SemanticType.PURE)
def read(ctx):
    return ctx.heavy["model"][0]

assert "numpy" not in sys.modules
with TheusEngine({"domain": {"out": 0}}) as engine:
    with engine.transaction() as tx:
        tx.update(heavy={"model": (5,)})
    engine.run(read)
    print(engine.state.domain.out)
"""
    )
    assert done.stdout == "5\n"
