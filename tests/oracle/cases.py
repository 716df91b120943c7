"""Pairs of transactions on one small tree, and whether the second may commit after the first.

Both begin on the same version; `first` commits, then `second` tries to. The list is the
granularity of conflicts written out: what must collide, and what must not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any], Any]

TREE = {
    "domain": {
        "a": {"x": 1, "y": 2, "in": {"z": 3}},
        "l": [10, 20, 30],
        "s": {1, 2},
        "n": 5,
        "m": {},
    },
    "global": {},
}


@dataclass(frozen=True)
class Case:
    """`collides` is the answer under serializable, `snapshot` the one under snapshot isolation."""

    name: str
    first: Step
    second: Step
    collides: bool
    snapshot: bool | None = None

    def expected(self, isolation: str) -> bool:
        """Whether the second commit must be refused."""
        if isolation == "snapshot" and self.snapshot is not None:
            return self.snapshot
        return self.collides


def _set(container: str, key: Any, value: Any) -> Step:
    return lambda tx: tx.domain[container].__setitem__(key, value)


def _del(container: str, key: Any) -> Step:
    return lambda tx: tx.domain[container].__delitem__(key)


def _do(container: str, method: str, *args: Any) -> Step:
    return lambda tx: getattr(tx.domain[container], method)(*args)


def both(*steps: Step) -> Step:
    """One step after another; here it adds a write to a read, so that the commit is tested."""

    def run(tx: Any) -> None:
        for step in steps:
            step(tx)

    return run


def mark(tx: Any) -> None:
    """A write that collides with nothing."""
    tx.domain["mark"] = True


def reading(step: Step) -> Step:
    """A transaction that reads, and writes elsewhere."""
    return both(step, mark)


READ_X = reading(lambda tx: tx.domain["a"]["x"])

WRITES = [
    Case("same key", _set("a", "x", 5), _set("a", "x", 6), True),
    Case("keys of one mapping", _set("a", "x", 5), _set("a", "y", 6), False),
    Case("same new key", _set("m", "p", 5), _set("m", "p", 6), True),
    Case("two new keys", _set("m", "p", 5), _set("m", "q", 6), False),
    Case("delete and set", _del("a", "x"), _set("a", "x", 6), True),
    Case("set and delete", _set("a", "x", 6), _del("a", "x"), True),
    Case("delete twice", _del("a", "x"), _del("a", "x"), True),
    Case("delete and other key", _del("a", "x"), _set("a", "y", 6), False),
    Case(
        "replaced container, write inside",
        lambda tx: tx.domain.__setitem__("a", 7),
        _set("a", "x", 6),
        True,
    ),
    Case(
        "removed container, write inside",
        lambda tx: tx.domain.__delitem__("a"),
        _set("a", "x", 6),
        True,
    ),
    Case(
        "removed container, write two levels below",
        lambda tx: tx.domain.__delitem__("a"),
        lambda tx: tx.domain["a"]["in"].__setitem__("z", 6),
        True,
    ),
    Case(
        "write inside, then replaced blindly",
        _set("a", "x", 6),
        lambda tx: tx.domain.__setitem__("a", 7),
        True,
    ),
    Case(
        "write inside, then replaced by its like",
        _set("a", "x", 6),
        lambda tx: tx.domain.__setitem__("a", {"x": 9}),
        True,
    ),
    Case(
        "write inside, then removed", _set("a", "x", 6), lambda tx: tx.domain.__delitem__("a"), True
    ),
    Case(
        "write two levels below, then removed",
        lambda tx: tx.domain["a"]["in"].__setitem__("z", 6),
        lambda tx: tx.domain.__delitem__("a"),
        True,
    ),
    Case(
        "removed, then replaced by its like",
        lambda tx: tx.domain.__delitem__("a"),
        lambda tx: tx.domain.__setitem__("a", {"x": 1, "y": 9, "in": {"z": 3}}),
        True,
    ),
    Case(
        "replaced by another kind, then by its like",
        lambda tx: tx.domain.__setitem__("a", [1]),
        lambda tx: tx.domain.__setitem__("a", {"x": 1, "y": 9, "in": {"z": 3}}),
        True,
    ),
    Case(
        "replaced by its like twice",
        lambda tx: tx.domain.__setitem__("a", {"x": 8, "y": 2}),
        lambda tx: tx.domain.__setitem__("a", {"x": 1, "y": 9}),
        True,
    ),
    Case(
        "path write into a removed container",
        lambda tx: tx.domain.__delitem__("a"),
        lambda tx: tx.set("domain.a.x", 6),
        True,
    ),
    Case(
        "new key taken back", _set("m", "p", 6), both(_set("m", "p", 1), _del("m", "p"), mark), True
    ),
    Case(
        "write of the value that is there, in a removed container",
        lambda tx: tx.domain.__delitem__("a"),
        both(_set("a", "x", 1), mark),
        True,
    ),
    Case(
        "write of the value that is there already",
        _set("a", "x", 6),
        both(_set("a", "x", 1), mark),
        True,
    ),
]

READS = [
    Case("leaf", _set("a", "x", 5), READ_X, True, False),
    Case("other leaf", _set("a", "y", 5), READ_X, False),
    Case("sibling of the container", lambda tx: tx.domain.__setitem__("n", 6), READ_X, False),
    Case("leaf of a removed container", lambda tx: tx.domain.__delitem__("a"), READ_X, True, False),
    Case(
        "missing key that appears",
        _set("a", "new", 1),
        reading(lambda tx: tx.domain["a"].get("new")),
        True,
        False,
    ),
    Case(
        "missing key, another appears",
        _set("a", "new", 1),
        reading(lambda tx: tx.domain["a"].get("other")),
        False,
    ),
    Case(
        "membership of a key that appears",
        _set("a", "new", 1),
        reading(lambda tx: "new" in tx.domain["a"]),
        True,
        False,
    ),
    Case(
        "membership of a key that goes",
        _del("a", "x"),
        reading(lambda tx: "x" in tx.domain["a"]),
        True,
        False,
    ),
    Case(
        "keys, one appears",
        _set("a", "new", 1),
        reading(lambda tx: list(tx.domain["a"])),
        True,
        False,
    ),
    Case(
        "keys, one goes",
        _del("a", "x"),
        reading(lambda tx: list(tx.domain["a"].keys())),
        True,
        False,
    ),
    Case(
        "keys, a value changes", _set("a", "x", 5), reading(lambda tx: list(tx.domain["a"])), False
    ),
    Case(
        "keys, one moves to the end",
        both(_do("a", "pop", "x"), _set("a", "x", 1)),
        reading(lambda tx: list(tx.domain["a"])),
        True,
        False,
    ),
    Case(
        "length, one appears",
        _set("a", "new", 1),
        reading(lambda tx: len(tx.domain["a"])),
        True,
        False,
    ),
    Case(
        "length, a value changes", _set("a", "x", 5), reading(lambda tx: len(tx.domain["a"])), False
    ),
    Case(
        "truth of an empty mapping",
        _set("m", "p", 1),
        reading(lambda tx: bool(tx.domain["m"])),
        True,
        False,
    ),
    Case(
        "values, one changes",
        _set("a", "x", 5),
        reading(lambda tx: list(tx.domain["a"].values())),
        True,
        False,
    ),
    Case(
        "items, one appears",
        _set("a", "new", 5),
        reading(lambda tx: list(tx.domain["a"].items())),
        True,
        False,
    ),
    Case(
        "items, one changes below",
        lambda tx: tx.domain["a"]["in"].__setitem__("z", 9),
        reading(lambda tx: list(tx.domain["a"].items())),
        False,
    ),
    Case(
        "comparison, one changes below",
        lambda tx: tx.domain["a"]["in"].__setitem__("z", 9),
        reading(lambda tx: tx.domain["a"] == {}),
        True,
        False,
    ),
    Case(
        "copied elsewhere, source changes",
        lambda tx: tx.domain["a"]["in"].__setitem__("z", 9),
        lambda tx: tx.domain.__setitem__("b", tx.domain["a"]),
        True,
        False,
    ),
    Case("peek", _set("a", "x", 5), reading(lambda tx: tx.peek("domain.a.x")), False),
]

LISTS = [
    Case("append twice", _do("l", "append", 1), _do("l", "append", 2), False),
    Case("extend and append", _do("l", "extend", [1, 2]), _do("l", "append", 2), False),
    Case("items", _set("l", 0, 1), _set("l", 1, 2), False),
    Case("same item", _set("l", 1, 1), _set("l", 1, 2), True),
    Case("append and item", _do("l", "append", 1), _set("l", 1, 2), False),
    Case("item and append", _set("l", 1, 2), _do("l", "append", 1), False),
    Case("append and last item", _do("l", "append", 1), _set("l", -1, 2), True, False),
    Case("insert and item", _do("l", "insert", 0, 1), _set("l", 1, 2), True),
    Case("item and insert", _set("l", 1, 2), _do("l", "insert", 0, 1), True),
    Case("insert twice", _do("l", "insert", 0, 1), _do("l", "insert", 0, 1), True),
    Case("append and insert", _do("l", "append", 9), _do("l", "insert", 0, 1), True),
    Case("pop twice", _do("l", "pop"), _do("l", "pop"), True),
    Case("append and pop", _do("l", "append", 9), _do("l", "pop"), True),
    Case("reverse and item", _do("l", "reverse"), _set("l", 1, 2), True),
    Case("clear and item", _do("l", "clear"), _set("l", 1, 2), True),
    Case("slice and item", _set("l", slice(0, 2), [7]), _set("l", 2, 2), True),
    Case("delete and item", _del("l", 0), _set("l", 2, 2), True),
    Case(
        "append, length read",
        _do("l", "append", 1),
        reading(lambda tx: len(tx.domain["l"])),
        True,
        False,
    ),
    Case(
        "append, read by iteration",
        _do("l", "append", 1),
        reading(lambda tx: list(tx.domain["l"])),
        True,
        False,
    ),
    Case(
        "append, read of an item",
        _do("l", "append", 1),
        reading(lambda tx: tx.domain["l"][0]),
        False,
    ),
    Case(
        "append, read from the end",
        _do("l", "append", 1),
        reading(lambda tx: tx.domain["l"][-1]),
        True,
        False,
    ),
    Case(
        "append, open slice",
        _do("l", "append", 1),
        reading(lambda tx: tx.domain["l"][1:]),
        True,
        False,
    ),
    Case(
        "append, read behind the end",
        _do("l", "append", 1),
        reading(lambda tx: len(tx.domain["l"]) > 3 or tx.domain["l"][0]),
        True,
        False,
    ),
    Case(
        "append, own append read by its index",
        _do("l", "append", 1),
        both(_do("l", "append", 2), lambda tx: tx.domain["l"][3]),
        True,
        False,
    ),
    Case(
        "item, read by iteration",
        _set("l", 0, 1),
        reading(lambda tx: list(tx.domain["l"])),
        True,
        False,
    ),
    Case("item, other item read", _set("l", 0, 1), reading(lambda tx: tx.domain["l"][1]), False),
    Case("item, length read", _set("l", 0, 1), reading(lambda tx: len(tx.domain["l"])), False),
    Case(
        "item, search that misses",
        _set("l", 0, 77),
        reading(lambda tx: 77 in tx.domain["l"]),
        True,
        False,
    ),
    Case(
        "insert, item read",
        _do("l", "insert", 0, 1),
        reading(lambda tx: tx.domain["l"][1]),
        True,
        False,
    ),
]

SETS = [
    Case("add twice", _do("s", "add", 7), _do("s", "add", 8), False),
    Case("add the same twice", _do("s", "add", 7), _do("s", "add", 7), False),
    Case("add and discard", _do("s", "add", 7), _do("s", "discard", 1), False),
    Case(
        "membership of what is added",
        _do("s", "add", 7),
        reading(lambda tx: 7 in tx.domain["s"]),
        True,
        False,
    ),
    Case(
        "membership of another", _do("s", "add", 7), reading(lambda tx: 8 in tx.domain["s"]), False
    ),
    Case(
        "elements, one added",
        _do("s", "add", 7),
        reading(lambda tx: sorted(tx.domain["s"])),
        True,
        False,
    ),
    Case(
        "length, one added",
        _do("s", "add", 7),
        reading(lambda tx: len(tx.domain["s"])),
        True,
        False,
    ),
    Case("remove twice", _do("s", "remove", 1), _do("s", "remove", 1), True, False),
    Case(
        "discarded and added again",
        _do("s", "discard", 1),
        both(_do("s", "discard", 1), _do("s", "add", 1)),
        False,
    ),
    Case("replaced set, add", lambda tx: tx.domain.__setitem__("s", 3), _do("s", "add", 7), True),
]

COMMUTING = [
    Case("incr twice", lambda tx: tx.incr("domain.n"), lambda tx: tx.incr("domain.n"), False),
    Case(
        "set and incr",
        lambda tx: tx.domain.__setitem__("n", 9),
        lambda tx: tx.incr("domain.n"),
        False,
    ),
    Case(
        "incr and set",
        lambda tx: tx.incr("domain.n"),
        lambda tx: tx.domain.__setitem__("n", 9),
        True,
    ),
    Case(
        "incr and read",
        lambda tx: tx.incr("domain.n"),
        reading(lambda tx: tx.domain["n"]),
        True,
        False,
    ),
    Case(
        "own incr read back",
        lambda tx: tx.incr("domain.n"),
        both(lambda tx: tx.incr("domain.n"), lambda tx: tx.domain["n"]),
        True,
    ),
    Case(
        "own incr peeked at",
        lambda tx: tx.incr("domain.n"),
        both(
            lambda tx: tx.incr("domain.n"),
            lambda tx: tx.peek("domain.n"),
            lambda tx: tx.peek("domain"),
        ),
        False,
    ),
    Case(
        "append by path twice",
        lambda tx: tx.append("domain.l", 1),
        lambda tx: tx.append("domain.l", 2),
        False,
    ),
    Case(
        "incr in a removed container",
        lambda tx: tx.domain.__delitem__("a"),
        lambda tx: tx.incr("domain.a.x"),
        True,
    ),
]

CASES = {case.name: case for case in (*WRITES, *READS, *LISTS, *SETS, *COMMUTING)}
