"""`blame` and `why` against the truth, on generated causal graphs.

An oracle runs beside the engine: it knows for every place who wrote it last, and of every commit
what it read and which commits had written that. It shares nothing with the engine's log.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from theus import TheusEngine, process

GRAPHS = 1000
GROUPS = 20
STEPS = 14
LEAVES = [f"k{number}" for number in range(5)]
BOXES = ["left", "right"]
KEYS = ["a", "b", "c"]


@dataclass
class Row:
    """An item of the list: who brought it, and who wrote its field since."""

    writer: int = 0


@dataclass
class Place:
    """A container: the last commit that wrote each key, and that changed which keys it has."""

    writes: dict[Any, int] = field(default_factory=dict)
    shape: int = 0

    def everything(self) -> set[int]:
        return {self.shape, *self.writes.values()}


@dataclass
class Commit:
    process: str
    paths: set[str] = field(default_factory=set)
    reads: dict[str, set[int]] = field(default_factory=dict)

    def read(self, path: str, versions: set[int]) -> None:
        self.reads.setdefault(path, set()).update(versions - {0})


class Oracle:
    """Who wrote what, by a program that is told every step."""

    def __init__(self) -> None:
        self.leaves = dict.fromkeys(LEAVES, 0)
        self.boxes = {name: Place() for name in BOXES}
        self.content = {name: {"a", "b"} for name in BOXES}
        self.rows = [Row(), Row()]
        self.list = Place()
        self.commits: dict[int, Commit] = {}

    def reachable(self, version: int) -> list[int]:
        found, waiting = set(), {version} if version else set()
        while waiting:
            one = waiting.pop()
            found.add(one)
            reads = self.commits[one].reads.values()
            waiting |= {cause for causes in reads for cause in causes} - found
        return sorted(found, reverse=True)


class Step:
    """One commit: what it reads and writes is drawn, done in the engine and told to the oracle."""

    def __init__(self, oracle: Oracle, draw: random.Random, name: str, version: int) -> None:
        self.oracle, self.draw, self.version = oracle, draw, version
        self.commit = Commit(name)
        reads = draw.sample(READS, draw.randint(0, 3))
        writes = [draw.choice(group) for group in draw.sample(WRITES, draw.randint(1, 3))]
        self.plan = [(one, draw.random()) for one in [*reads, *writes]]

    def run(self, domain: Any) -> None:
        for name, seed in self.plan:
            getattr(self, name)(domain, random.Random(seed))
        domain.stamp = self.version  # so that every step is a commit
        self.commit.paths.add("domain.stamp")

    # --- reads

    def read_leaf(self, domain: Any, draw: random.Random) -> None:
        name = draw.choice(LEAVES)
        assert draw.choice([domain.get, domain.__getitem__])(name) is not None
        self.commit.read(f"domain.{name}", {self.oracle.leaves[name]})

    def read_key(self, domain: Any, draw: random.Random) -> None:
        name, key = draw.choice(BOXES), draw.choice(KEYS)
        there = key in self.oracle.content[name]
        assert (key in domain[name]) == there
        assert (domain[name].get(key) is not None) == there
        self.commit.read(f"domain.{name}.{key}", {self.oracle.boxes[name].writes.get(key, 0)})

    def read_length(self, domain: Any, draw: random.Random) -> None:
        name = draw.choice(BOXES)
        assert len(domain[name]) == len(self.oracle.content[name])
        self.commit.read(f"domain.{name}", {self.oracle.boxes[name].shape})

    def read_values(self, domain: Any, draw: random.Random) -> None:
        name = draw.choice(BOXES)
        list(draw.choice([domain[name].values, domain[name].items])())
        self.commit.read(f"domain.{name}", self.oracle.boxes[name].everything())

    def read_row(self, domain: Any, draw: random.Random) -> None:
        if self.oracle.rows:
            index = draw.randrange(len(self.oracle.rows))
            assert domain.rows[index].v is not None
            self.commit.read(f"domain.rows[{index}].v", {self.oracle.rows[index].writer})

    # --- writes

    def wrote(self, path: str) -> None:
        self.commit.paths.add(path)

    def write_leaf(self, domain: Any, draw: random.Random) -> None:
        name = draw.choice(LEAVES)
        domain[name] = self.version * 100
        self.oracle.leaves[name] = self.version
        self.wrote(f"domain.{name}")

    def write_key(self, domain: Any, draw: random.Random) -> None:
        name, key = draw.choice(BOXES), draw.choice(KEYS)
        domain[name][key] = self.version * 100
        self.mark(name, key, key not in self.oracle.content[name])
        self.oracle.content[name].add(key)

    def delete_key(self, domain: Any, draw: random.Random) -> None:
        name, key = draw.choice(BOXES), draw.choice(KEYS)
        if key in self.oracle.content[name]:
            self.commit.read(f"domain.{name}.{key}", {self.oracle.boxes[name].writes.get(key, 0)})
            del domain[name][key]
            self.mark(name, key, True)
            self.oracle.content[name].remove(key)

    def mark(self, name: str, key: str, reshaped: bool) -> None:
        place = self.oracle.boxes[name]
        place.writes[key] = self.version
        if reshaped:
            place.shape = self.version
        self.wrote(f"domain.{name}.{key}")

    def write_row(self, domain: Any, draw: random.Random) -> None:
        if self.oracle.rows:
            index = draw.randrange(len(self.oracle.rows))
            domain.rows[index].v = self.version * 100
            self.oracle.rows[index].writer = self.version
            self.wrote(f"domain.rows[{index}].v")

    def append_row(self, domain: Any, draw: random.Random) -> None:
        domain.rows.append({"v": self.version * 100})
        self.oracle.list.writes[len(self.oracle.rows)] = self.version
        self.oracle.list.shape = self.version
        self.oracle.rows.append(Row(self.version))
        self.wrote("domain.rows")

    def drop_row(self, domain: Any, draw: random.Random) -> None:
        if self.oracle.rows:
            place = self.oracle.list
            if len(self.oracle.rows) > 1:  # all others move
                self.commit.read("domain.rows", place.everything())
            else:
                self.commit.read("domain.rows", {place.shape})
                if "domain.rows[0].v" not in self.commit.reads:  # more than passed through
                    self.commit.read("domain.rows[0]", {place.writes.get(0, 0)})
            domain.rows.pop(0)
            for index in range(len(self.oracle.rows)):
                self.oracle.list.writes[index] = self.version
            self.oracle.list.shape = self.version
            del self.oracle.rows[0]
            self.wrote("domain.rows")


READS = ["read_leaf", "read_key", "read_length", "read_values", "read_row"]
WRITES = [["write_leaf"], ["write_key", "delete_key"], ["write_row", "append_row", "drop_row"]]


def start() -> dict[str, Any]:
    boxes = {name: {"a": 1, "b": 1} for name in BOXES}
    return {**dict.fromkeys(LEAVES, 1), **boxes, "rows": [{"v": 1}, {"v": 1}], "stamp": 0}


def play(engine: Any, oracle: Oracle, draw: random.Random) -> None:
    """A life of some commits, by processes and by transactions."""
    held: list[Step] = []

    @process(inputs=["domain.*"], outputs=["domain.*"])
    def first(ctx: Any) -> None:
        held[-1].run(ctx.domain)

    @process(inputs=["domain.*"], outputs=["domain.*"])
    def second(ctx: Any) -> None:
        held[-1].run(ctx.domain)

    for function in (first, second):
        engine.register(function)
    for _ in range(STEPS):
        name = draw.choice(["first", "second", "transaction"])
        held.append(Step(oracle, draw, name, engine.state.version + 1))
        if name == "transaction":
            with engine.transaction() as tx:
                held[-1].run(tx.domain)
        else:
            engine.run(name)
        oracle.commits[engine.state.version] = held[-1].commit


def check(engine: Any, oracle: Oracle, path: str, version: int) -> None:
    """One path: the last writer, and everything it came from."""
    found = engine.why(path)
    assert [change.version for change in found] == oracle.reachable(version), path
    assert engine.blame(path) == (found[0] if found else None)
    for change in found:
        truth = oracle.commits[change.version]
        assert (change.process or "transaction") == truth.process
        assert set(change.paths) == truth.paths
        reads = {path: tuple(sorted(causes)) for path, causes in truth.reads.items()}
        assert dict(change.reads) == reads, change


@pytest.mark.parametrize("group", range(GROUPS))
def test_why_and_blame_are_true(group: int) -> None:
    """A thousand graphs in all; every place of each is asked for."""
    for number in range(GRAPHS // GROUPS):
        draw = random.Random(group * 1000 + number)
        oracle = Oracle()
        options = {"time_travel": group % 2 == 0}
        with TheusEngine({"domain": start()}, keep_reads=True, **options) as engine:
            play(engine, oracle, draw)
            for name in LEAVES:
                check(engine, oracle, f"domain.{name}", oracle.leaves[name])
            for name, place in oracle.boxes.items():
                for key, version in place.writes.items():
                    check(engine, oracle, f"domain.{name}.{key}", version)
            for index, row in enumerate(oracle.rows):
                check(engine, oracle, f"domain.rows[{index}].v", row.writer)
            check(engine, oracle, "domain", engine.state.version)
