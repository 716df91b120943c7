"""Promise: a process gives the same in a worker as here: state, messages, signals, errors.

Ten thousand programs in all, thousands on each kind of pool.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.parity.programs import START, Maker, here, there
from theus import TheusEngine
from theus.parallel import available_backends

PROGRAMS = int(os.environ.get("THEUS_TEST_PROGRAMS", "3400"))
FIRST = {"inline": 0, "threads": 1_000_000, "processes": 2_000_000, "interpreters": 3_000_000}


def outcome(func: Any, program: Any, engine: TheusEngine) -> dict[str, Any]:
    """What a program comes to, from the start state on."""
    program = copy.deepcopy(program)  # it may change the values it has
    receiver = engine.signal.subscribe()
    before = engine.state.version
    messages = len(engine.outbox)
    try:
        value, error = engine.run(func, program), None
    except Exception as raised:  # noqa: BLE001 - compared
        value, error = None, type(raised).__mro__
    return {
        "value": exact(value),
        "error": error,
        "state": exact(engine.state.to_dict()),
        "commits": engine.state.version - before,
        "messages": [(one.topic, exact(one.payload)) for one in list(engine.outbox)[messages:]],
        "signals": receiver.drain(),
    }


def exact(value: Any) -> Any:
    """A value with its types and its order, to be compared."""
    if isinstance(value, dict):
        return ("dict", [(exact(key), exact(one)) for key, one in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [exact(one) for one in value])
    if isinstance(value, (set, frozenset)):
        return ("set", sorted(map(repr, value)))
    return (type(value).__name__, repr(value))


@pytest.fixture(scope="module", params=FIRST)
def engine(request: pytest.FixtureRequest) -> Iterator[TheusEngine]:
    problem = available_backends()[request.param]
    if problem is not None:
        pytest.skip(f"no {request.param} here: {problem}")
    with TheusEngine(START, pool=request.param, pool_size=1) as made:
        yield made


def reset(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        for area in ("domain", "global"):
            guard = tx.get(area)
            guard.clear()
            guard.update(START[area])


def test_a_program_gives_the_same_in_a_worker(engine: TheusEngine) -> None:
    kind = engine.settings.pool
    first = FIRST[kind or ""]
    with TheusEngine(START) as serial:
        for seed in range(first, first + PROGRAMS):
            program = Maker(seed).program()
            reset(serial)
            reset(engine)
            expected = outcome(here, program, serial)
            found = outcome(there, program, engine)
            assert found == expected, (seed, program)
