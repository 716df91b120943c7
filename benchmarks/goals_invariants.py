"""What rules across keys cost a commit, and what a schema costs it at any size of the state."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import calls, race
from benchmarks.table import EXTRA, Bound, goal
from theus.contracts import process
from theus.engine import TheusEngine

SIZES = {"small": 100, "large": 100_000}
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


@dataclass
class Counters:
    """What is counted."""

    counts: dict[str, int]


@dataclass
class Counted:
    """The state of a program that counts."""

    domain: Counters


@goal(
    EXTRA + 3,
    "a commit of one of 100,000 keys under a schema, against one of 100",
    Bound("", 1.2, 1.5),
)
def schema() -> float:
    """The same commit on two engines in turns."""
    best = race({name: calls(_counting(size)) for name, size in SIZES.items()}, 200)
    return best["large"] / best["small"]


def _counting(size):
    counts = {f"k{number}": number for number in range(size)}
    engine = TheusEngine({"domain": {"counts": counts}}, schema=Counted)
    turn = iter(range(1 << 60))

    def count():
        with engine.transaction() as tx:
            tx.set("domain.counts.k7", next(turn))

    return count
