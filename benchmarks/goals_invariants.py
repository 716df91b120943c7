"""What rules across keys cost a commit."""

from __future__ import annotations

from benchmarks.harness import calls, race
from benchmarks.table import EXTRA, Bound, goal
from theus.contracts import process
from theus.engine import TheusEngine

RULES = {"none": 0, "one": 1, "ten": 10, "asked": 1}


@process(inputs=["domain.n"], outputs=["domain.n"])
def step(ctx):
    """Read one key and write it."""
    return ctx.domain.n + 1


@goal(
    EXTRA + 2,
    "run() of a process that commits, against an engine without invariants",
    Bound("", 1.5, 2.0, "one that it does not touch"),
    Bound("", None, None, "ten that it does not touch"),
    Bound("", None, None, "one that is asked"),
)
def invariants() -> tuple[float, ...]:
    """The same process on four engines in turns."""
    best = race({name: calls(_engine(name)) for name in RULES}, 400)
    return tuple(best[name] / best["none"] for name in ("one", "ten", "asked"))


def _engine(name):
    engine = TheusEngine({"domain": {"n": 0, "a": 1, "b": 1 << 60}})
    key = "n" if name == "asked" else "a"
    for number in range(RULES[name]):
        engine.invariant(name=f"rule {number}")(lambda state: state.domain[key] < state.domain.b)
    engine.register(step)
    return lambda: engine.run(step)
