"""Random programs: a process that performs a list of instructions, here or in a worker."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from theus import OutboxMsg, StateUpdate, process

START: dict[str, Any] = {
    "domain": {
        "n": 1,
        "x": 0.5,
        "text": "abc",
        "xs": [3, 1, 2],
        "rows": [{"id": 1, "tags": ["a"]}, {"id": 2, "tags": []}],
        "user": {"name": "An", "address": {"city": "Hue", "zip": 1}},
        "marks": {"x", "y"},
        "empty": {},
    },
    "global": {"rate": 2, "names": ["u", "v"]},
}

Instruction = tuple[Any, ...]


def perform(ctx: Any, instructions: list[Instruction]) -> Any:
    """Do one instruction after the other; the value of the last ``return``."""
    result = None
    for name, *arguments in instructions:
        found = DO[name](ctx, *arguments)
        if name in RETURNS:
            result = found
    return result


@process
def here(ctx: Any, instructions: list[Instruction]) -> Any:
    return perform(ctx, instructions)


@process(parallel=True)
def there(ctx: Any, instructions: list[Instruction]) -> Any:
    return perform(ctx, instructions)


def _walk(ctx: Any, path: tuple[Any, ...]) -> Any:
    found = ctx.domain if path[0] == "domain" else ctx.global_
    for key in path[1:]:
        found = found[key]
    return found


def _set(ctx: Any, path: tuple[Any, ...], value: Any) -> None:
    _walk(ctx, path[:-1])[path[-1]] = value


def _delete(ctx: Any, path: tuple[Any, ...]) -> None:
    del _walk(ctx, path[:-1])[path[-1]]


def _call(ctx: Any, path: tuple[Any, ...], method: str, *arguments: Any) -> None:
    getattr(_walk(ctx, path), method)(*arguments)


def _augment(ctx: Any, path: tuple[Any, ...], by: Any) -> None:
    owner, key = _walk(ctx, path[:-1]), path[-1]
    owner[key] += by


def _times(ctx: Any, path: tuple[Any, ...], by: int) -> None:
    owner, key = _walk(ctx, path[:-1]), path[-1]
    owner[key] *= by


def _slice(ctx: Any, path: tuple[Any, ...], low: int, high: int, values: list[Any]) -> None:
    _walk(ctx, path)[low:high] = values


def _cut(ctx: Any, path: tuple[Any, ...], low: int, high: int) -> None:
    del _walk(ctx, path)[low:high]


def _move(ctx: Any, source: tuple[Any, ...], target: tuple[Any, ...]) -> None:
    value = _walk(ctx, source[:-1]).pop(source[-1])
    _set(ctx, target, value)


def _held(ctx: Any, path: tuple[Any, ...], key: Any, value: Any) -> None:
    """Write through a container that was taken before its neighbours changed."""
    taken = _walk(ctx, path)
    owner = _walk(ctx, path[:-1])
    if hasattr(owner, "insert"):
        owner.insert(0, {"id": 0, "tags": []})
    taken[key] = value


def _new_then_change(ctx: Any, path: tuple[Any, ...], value: Any) -> None:
    made = {"inner": [1]}
    _set(ctx, path, made)
    made["inner"].append(value)
    _walk(ctx, path)["later"] = value


def _count(ctx: Any, path: tuple[Any, ...], target: tuple[Any, ...]) -> None:
    _set(ctx, target, len(_walk(ctx, path)))


def _commute(ctx: Any, name: str, path: str, value: Any) -> None:
    getattr(ctx, name)(path, value)


def _send(ctx: Any, topic: str, value: Any) -> None:
    ctx.outbox.add(OutboxMsg(topic, value))


def _signal(ctx: Any, topic: str, value: Any) -> None:
    ctx.signal[topic] = value


def _fail(ctx: Any, name: str) -> None:
    raise {"ValueError": ValueError, "KeyError": KeyError, "OSError": OSError}[name]("no")


def _value(ctx: Any, value: Any) -> Any:
    return value


def _read(ctx: Any, path: tuple[Any, ...]) -> Any:
    return _walk(ctx, path)


def _update(ctx: Any, name: str, value: Any) -> Any:
    return StateUpdate(data={"domain": {name: value}})


DO: dict[str, Callable[..., Any]] = {
    "set": _set,
    "delete": _delete,
    "call": _call,
    "augment": _augment,
    "times": _times,
    "slice": _slice,
    "cut": _cut,
    "move": _move,
    "held": _held,
    "new": _new_then_change,
    "count": _count,
    "commute": _commute,
    "send": _send,
    "signal": _signal,
    "fail": _fail,
    "value": _value,
    "read": _read,
    "update": _update,
}
RETURNS = frozenset({"value", "read", "update"})

MAPPINGS = [("domain",), ("domain", "user"), ("domain", "user", "address"), ("domain", "empty"),
            ("domain", "rows", 0), ("domain", "rows", 1), ("global",)]  # fmt: skip
LISTS = [("domain", "xs"), ("domain", "rows"), ("domain", "rows", 0, "tags"), ("global", "names")]
SIMPLE = ["n", "x", "text", "xs"]
KEYS = ["n", "x", "name", "city", "id", "tags", "new", "xs", "user", "empty", 7, "a b"]


class Maker:
    """Makes programs from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def program(self) -> list[Instruction]:
        """Between one and eight instructions."""
        count = self._random.randint(1, 8)
        return [self._instruction() for _ in range(count)]

    def _instruction(self) -> Instruction:
        pick = self._random.choice
        makers = [
            lambda: ("set", (*pick(MAPPINGS), pick(KEYS)), self._any()),
            lambda: ("set", (*pick(LISTS), self._random.randint(-2, 2)), self._any()),
            lambda: ("delete", (*pick(MAPPINGS), pick(KEYS))),
            lambda: ("delete", (*pick(LISTS), self._random.randint(0, 2))),
            lambda: ("call", pick(LISTS), *self._on_list()),
            lambda: ("call", pick(LISTS), *self._on_list()),
            lambda: ("call", pick(MAPPINGS), *self._on_mapping()),
            lambda: ("call", ("domain", "marks"), *self._on_set()),
            lambda: (
                "augment",
                ("domain", pick(["n", "x", "text", "xs"])),
                pick([1, 2.5, "z", [4]]),
            ),
            lambda: ("times", ("domain", pick(["n", "xs", "text"])), self._random.randint(0, 3)),
            lambda: ("slice", pick(LISTS), *self._range(), [self._any() for _ in range(2)]),
            lambda: ("cut", pick(LISTS), *self._range()),
            lambda: ("move", ("domain", pick(["user", "rows", "n", "marks"])), ("domain", "moved")),
            lambda: ("move", ("domain", "user", "address"), (*pick(MAPPINGS), "address2")),
            lambda: ("held", ("domain", "rows", pick([0, 1])), pick(KEYS), self._any()),
            lambda: ("new", (*pick(MAPPINGS), pick(KEYS)), self._any()),
            lambda: ("count", pick(LISTS + MAPPINGS), ("domain", "n")),
            lambda: ("commute", *self._commuting()),
            lambda: ("commute", *self._commuting()),
            lambda: ("send", pick(["t", "u"]), self._any()),
            lambda: ("signal", pick(["go", "stop"]), self._random.randint(0, 9)),
            lambda: ("value", pick([1, "result", None, [1, {"a": 2}]])),
            lambda: ("read", pick(LISTS + MAPPINGS)),
            lambda: ("update", pick(["n", "new"]), self._any()),
        ]
        if self._random.random() < 0.03:
            return ("fail", pick(["ValueError", "KeyError", "OSError"]))
        made: Instruction = pick(makers)()
        return made

    def _any(self) -> Any:
        return self._random.choice(
            [
                0,
                1,
                -5,
                2.5,
                True,
                None,
                "s",
                b"b",
                [],
                [1, [2]],
                {},
                {"k": {"l": 1}},
                {4, 5},
                (1, 2),
            ]
        )

    def _range(self) -> tuple[int, int]:
        low = self._random.randint(-1, 3)
        return low, low + self._random.randint(0, 2)

    def _on_list(self) -> Instruction:
        return self._random.choice(
            [
                ("append", self._any()),
                ("extend", [self._any(), 1]),
                ("insert", self._random.randint(-1, 3), self._any()),
                ("pop",),
                ("pop", 0),
                ("remove", 1),
                ("clear",),
                ("reverse",),
                ("sort",),
            ]
        )

    def _on_mapping(self) -> Instruction:
        key = self._random.choice(KEYS)
        return self._random.choice(
            [
                ("update", {key: self._any(), "more": 1}),
                ("setdefault", key, self._any()),
                ("pop", key),
                ("pop", key, None),
                ("popitem",),
                ("clear",),
            ]
        )

    def _on_set(self) -> Instruction:
        value = self._random.choice(["x", "y", "z", 4])
        return self._random.choice(
            [
                ("add", value),
                ("discard", value),
                ("remove", value),
                ("update", {value, 1}),
                ("clear",),
            ]
        )

    def _commuting(self) -> Instruction:
        by = self._random.choice([1, -2, 0.5])
        return self._random.choice(
            [
                ("incr", "domain.n", by),
                ("incr", "domain.fresh", by),
                ("max", "domain.n", by),
                ("min", "domain.x", by),
                ("append", "domain.xs", self._any()),
                ("extend", "domain.rows[0].tags", [by]),
                ("add", "domain.marks", by),
                ("discard", "domain.marks", "x"),
                ("incr", "domain.user.address.zip", by),
            ]
        )
