"""Promise: no lock is held while an object is destroyed; its destructor may use the engine."""

from __future__ import annotations

from tests.support.isolated import run_isolated

PROGRAM = """
import gc

from theus import TheusEngine, process

engine = TheusEngine({"domain": {"gone": 0}})
gone = []


class Loud:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        gone.append(self.name)
        engine.run(count)


@process(outputs=["domain.gone"])
def count(ctx):
    ctx.incr("domain.gone")


@process(outputs=["heavy.returned"])
def returning(ctx):
    return Loud("returned")


def put(name):
    with engine.transaction() as tx:
        tx.update(heavy={"key": Loud(name)})


put("replaced")
put("held")
assert gone == ["replaced"], gone
state = engine.state
put("deleted")
assert gone == ["replaced"], gone
del state
engine.collect()
assert gone == ["replaced", "held"], gone
with engine.transaction() as tx:
    del tx.heavy["key"]
assert gone[-1] == "deleted", gone
try:
    with engine.transaction() as tx:
        tx.update(heavy={"key": Loud("rolled back")})
        raise ZeroDivisionError
except ZeroDivisionError:
    del tx
assert gone[-1] == "rolled back", gone
engine.run(returning)
engine.run(returning)
assert gone[-1] == "returned", gone
states = []
for number in range(300):
    put(number)
    states.append(engine.state)
before = len(gone)
del states
gc.collect()
engine.collect()
assert len(gone) == before + 299, (before, len(gone))
assert engine.state.domain["gone"] == len(gone)
"""


def test_a_destructor_that_runs_a_process() -> None:
    run_isolated(PROGRAM, timeout=60)
