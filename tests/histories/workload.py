"""Random programs, and runs of them on an engine with a seeded interleaving.

The programs of one history are transactions of a few reads and writes. `run_steps` opens many
at once in one thread (`engine.begin()`) and lets a random number generator say whose step is
next, so a seed is a schedule. `serial_read` ends a history with one transaction that reads all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.histories.history import History, Op, Txn
from tests.histories.layouts import Layout


@dataclass(frozen=True)
class Program:
    """Steps as (is_write, key, value); `gives_up`: rolls back at the end."""

    steps: tuple[tuple[bool, int, int], ...]
    gives_up: bool = False


def programs(
    rng: random.Random, count: int, keys: int, longest: int, give_up: float = 0.1
) -> list[Program]:
    """Random programs over `keys` keys; every value is written once."""
    made = []
    value = 0
    for _ in range(count):
        steps = []
        for _ in range(rng.randint(1, longest)):
            value += 1
            steps.append((rng.random() < 0.5, rng.randrange(keys), value))
        made.append(Program(tuple(steps), rng.random() < give_up))
    return made


def take_step(layout: Layout, tx: Any, step: tuple[bool, int, int]) -> Op:
    """Do one step in a transaction or process context; returns what happened."""
    writes, key, value = step
    if writes:
        layout.write(tx, key, value)
        return Op("append" if layout.workload == "list" else "write", key, value)
    return Op("read", key, layout.read(tx, key))


def _advance(
    engine: Any,
    layout: Layout,
    program: Program,
    name: Any,
    clock: Iterator[int],
    history: History,
    conflict: type[Exception],
) -> Iterator[None]:
    """One transaction; each `next` is one step."""
    record = Txn(name, ok=False, began=next(clock))
    tx = engine.begin()
    history.append(record)
    yield
    for step in program.steps:
        record.ops.append(take_step(layout, tx, step))
        yield
    if program.gives_up:
        tx.rollback()
    else:
        try:
            tx.commit()
            record.ok = True
            record.version = engine.state.version
        except conflict:
            record.ok = False
    record.ended = next(clock)


def run_steps(
    engine: Any,
    layout: Layout,
    work: list[Program],
    rng: random.Random,
    at_once: int,
    conflict: type[Exception],
) -> History:
    """Run programs interleaved, at most `at_once` open; conflicts are not repeated."""
    history: History = []
    clock = iter(range(1, 10**9))
    waiting = [
        _advance(engine, layout, program, number, clock, history, conflict)
        for number, program in enumerate(work)
    ]
    running: list[Iterator[None]] = []
    while running or waiting:
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
        chosen = rng.randrange(len(running))
        try:
            next(running[chosen])
        except StopIteration:
            del running[chosen]
    history.append(serial_read(engine, layout, work, clock))
    return history


def serial_read(engine: Any, layout: Layout, work: list[Program], clock: Iterator[int]) -> Txn:
    """A transaction after all others that reads every key."""
    record = Txn("end", began=next(clock))
    keys = sorted({key for program in work for _, key, _ in program.steps})
    tx = engine.begin()
    for key in keys:
        record.ops.append(Op("read", key, layout.read(tx, key)))
    tx.rollback()
    record.ended = next(clock)
    return record


@dataclass(frozen=True)
class Shape:
    """Size of a history."""

    txns: int = 8
    keys: int = 3
    longest: int = 4
    at_once: int = 4


def one_history(
    make_engine: Callable[[dict[str, Any]], Any],
    layout: Layout,
    seed: int,
    shape: Shape,
    conflict: type[Exception],
) -> History:
    """The history of a seed."""
    rng = random.Random(f"{layout.name}/{seed}")
    work = programs(rng, shape.txns, shape.keys, shape.longest)
    engine = make_engine({"domain": layout.tree(shape.keys), "global": {}})
    return run_steps(engine, layout, work, rng, shape.at_once, conflict)
