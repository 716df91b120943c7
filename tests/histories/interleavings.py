"""Every order of the steps of three small transactions, against every serial order of them.

A transaction is begin, two steps, commit. Steps work on `domain` like a dict, so the same
steps run on a plain tree, one transaction after the other: that gives all outcomes that may
be seen. An outcome is who committed, what each of them saw, and the tree at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from tests.oracle.values import clone, kind_of, plain

Step = Callable[[Any, list[Any]], None]
Program = tuple[Step, Step]
TXNS, STEPS = 3, 4


@dataclass(frozen=True)
class Scenario:
    """A tree and three programs."""

    name: str
    domain: dict[str, Any]
    programs: tuple[Program, Program, Program]


def orders() -> Iterator[tuple[int, ...]]:
    """All 34,650 orders of three times four steps."""

    def extend(done: list[int], left: list[int]) -> Iterator[tuple[int, ...]]:
        if not any(left):
            yield tuple(done)
        for who in range(TXNS):
            if left[who]:
                left[who] -= 1
                done.append(who)
                yield from extend(done, left)
                done.pop()
                left[who] += 1

    return extend([], [STEPS] * TXNS)


def frozen(value: Any) -> Any:
    """Something hashable for a plain tree, order of keys included."""
    value = plain(value)
    if isinstance(value, dict):
        return ("map", *((key, frozen(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", *map(frozen, value))
    return frozenset(value) if isinstance(value, set) else value


def serial_outcomes(scenario: Scenario) -> dict[frozenset[int], set[Any]]:
    """For each set of committed transactions, what may be seen."""
    allowed: dict[frozenset[int], set[Any]] = {}
    for size in range(TXNS + 1):
        for order in permutations(range(TXNS), size):
            domain = clone(scenario.domain)
            seen: dict[int, Any] = {}
            for who in order:
                log: list[Any] = []
                for step in scenario.programs[who]:
                    step(domain, log)
                seen[who] = frozen(log)
            outcome = (tuple(sorted(seen.items())), frozen(domain))
            allowed.setdefault(frozenset(order), set()).add(outcome)
    return allowed


def run_order(
    engine: Any, scenario: Scenario, order: tuple[int, ...], conflict: type[Exception]
) -> tuple[frozenset[int], Any]:
    """Run the steps in this order on an engine whose domain is the scenario's."""
    txs: list[Any] = [None] * TXNS
    logs: list[list[Any]] = [[] for _ in range(TXNS)]
    at = [0] * TXNS
    committed = []
    for who in order:
        step = at[who]
        at[who] += 1
        if step == 0:
            txs[who] = engine.begin()
        elif step < STEPS - 1:
            scenario.programs[who][step - 1](txs[who].domain, logs[who])
        else:
            try:
                txs[who].commit()
                committed.append(who)
            except conflict:
                continue
    seen = {who: frozen(logs[who]) for who in committed}
    return frozenset(committed), (tuple(sorted(seen.items())), frozen(engine.state.domain))


def _read(key: str) -> Step:
    return lambda domain, log: log.append(plain(domain.get(key)))


def _bump(key: str) -> Step:
    return lambda domain, log: domain.__setitem__(key, log[-1] + 1)


def _put(key: str, value: Any) -> Step:
    return lambda domain, log: domain.__setitem__(key, clone(value))


def _keys(domain: Any, log: list[Any]) -> None:
    log.append(list(domain["m"]))


def _sum(domain: Any, log: list[Any]) -> None:
    log.append(sum(domain["m"].values()))


def _insert(key: str) -> Step:
    return lambda domain, log: domain["m"].__setitem__(key, len(log[-1:]))


def _length(domain: Any, log: list[Any]) -> None:
    log.append(len(domain["l"]))


def _push_seen(domain: Any, log: list[Any]) -> None:
    domain["l"].append(log[-1])


def _push(value: Any) -> Step:
    return lambda domain, log: domain["l"].append(value)


def _head(domain: Any, log: list[Any]) -> None:
    log.append(domain["l"][0])


def _pop(domain: Any, log: list[Any]) -> None:
    log.append(domain["l"].pop())


def _inner(key: str) -> Step:
    def step(domain: Any, log: list[Any]) -> None:
        if kind_of(domain["m"]) == "map":
            domain["m"]["in"][key] = 1

    return step


def _member(value: Any) -> Step:
    return lambda domain, log: log.append(value in domain["s"])


def _mark(method: str, value: Any) -> Step:
    return lambda domain, log: getattr(domain["s"], method)(value)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("increments of one counter", {"n": 0}, ((_read("n"), _bump("n")),) * 3),
        Scenario(
            "a ring of write skew",
            {"a": 0, "b": 0, "c": 0},
            ((_read("a"), _bump("b")), (_read("b"), _bump("c")), (_read("c"), _bump("a"))),
        ),
        Scenario(
            "writes that change nothing",
            {"a": 1, "b": 1},
            ((_put("a", 1), _put("b", 2)), (_put("b", 1), _put("a", 2)), (_read("a"), _read("b"))),
        ),
        Scenario(
            "phantoms in a mapping",
            {"m": {"x": 1}},
            ((_keys, _insert("y")), (_sum, _insert("z")), (_keys, _insert("x"))),
        ),
        Scenario(
            "lengths and appends",
            {"l": [7]},
            ((_length, _push_seen), (_push(1), _push(2)), (_head, _pop)),
        ),
        Scenario(
            "a container that goes",
            {"m": {"in": {"x": 0}}, "n": 0},
            ((_read("m"), _put("n", 5)), (_inner("y"), _inner("x")), (_read("n"), _put("m", 3))),
        ),
        Scenario(
            "a container replaced by its like",
            {"m": {"in": {"x": 0}}},
            (
                (_put("m", {"in": {"x": 2}}), _inner("p")),
                (_inner("y"), _inner("x")),
                (_put("m", 3), _put("m", {"in": {"x": 9}})),
            ),
        ),
        Scenario(
            "members of a set",
            {"s": {1}},
            (
                (_member(2), _mark("add", 3)),
                (_member(3), _mark("add", 2)),
                (_mark("discard", 1), _mark("add", 1)),
            ),
        ),
    )
}
