"""What remembering costs a commit: the reads of processes, and readable versions."""

from __future__ import annotations

from benchmarks.harness import calls, race
from benchmarks.table import EXTRA, Bound, goal
from theus.contracts import process
from theus.engine import TheusEngine

MEMORY = {"forgets": {}, "reads": {"keep_reads": True}, "versions": {"time_travel": True}}


@process(inputs=["domain.a"], outputs=["domain.b"])
def step(ctx):
    """Read one key and write another."""
    return ctx.domain.a + ctx.domain.b


@goal(
    EXTRA + 1,
    "run() of a process that commits, against an engine that keeps neither",
    Bound("", 1.05, 1.10, "what processes read is kept"),
    Bound("", None, None, "versions stay readable"),
)
def memory() -> tuple[float, ...]:
    """The same process on three engines in turns."""
    best = race({name: calls(_engine(**options)) for name, options in MEMORY.items()}, 400)
    return best["reads"] / best["forgets"], best["versions"] / best["forgets"]


def _engine(**options):
    engine = TheusEngine({"domain": {"a": 1, "b": 2}}, **options)
    engine.register(step)
    return lambda: engine.run(step)
