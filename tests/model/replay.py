"""A second tree that follows an engine by its log of changes alone, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.model.subject import log_of
from tests.oracle.values import Path, Plain, at, clone, same
from theus._core.delta import plain
from theus._core.node import Node


@dataclass(frozen=True)
class Step:
    """One operation of a commit, with both sides as plain values; `was`: the key was there."""

    kind: str
    path: Path
    key: Any
    old: Plain
    new: Plain
    was: bool


@dataclass(frozen=True)
class Kept:
    """A container that stays in a list: where it is on the other side of the operation."""

    place: int


class Replica:
    """The tree as the log tells it, from the version on at which it was made."""

    def __init__(self, data: Plain, version: int) -> None:
        self.tree = clone(data)
        self.version = version
        self.done: list[tuple[int, list[Step]]] = []
        self._touched: set[tuple[Any, ...]] = set()
        self._alive: list[Any] = []

    def follow(self, engine: Any) -> None:
        """Do what the log has since the last call. Values are read at once: later commits change
        the containers that an operation brought."""
        for record in log_of(engine).records(self.version):
            assert record.version == self.version + 1, "the log has a gap"
            steps = [self._step(op) for op in record.ops]
            self.done.append((record.version, steps))
            for op in record.ops:
                self._touch(op)
            self._alive += [op.node for op in record.ops]
            self.version = record.version

    def _step(self, op: Any) -> Step:
        whole = op.kind in ("extend", "cut", "replace")
        way = op.path if whole else op.path[:-1]
        target = at(self.tree, way)
        if op.kind == "replace":
            step = replacement(op, way, target)
            _forward(target, step)
            return step
        was = not whole and (op.key in target if not isinstance(target, list) else True)
        step = Step(op.kind, way, op.key, unfolded(op.old), unfolded(op.new), was)
        held = target[op.key :] if op.kind == "cut" else target
        if not whole and was and not isinstance(target, set):
            held = target[op.key]
        if op.kind == "cut" or held is not target:
            assert same(held, step.old), f"{op!r} says {step.old!r} was there, but it was {held!r}"
        _forward(target, step)
        return step

    def backward(self) -> Iterator[tuple[int, Plain]]:
        """Versions and trees before the newest one, newest first."""
        tree = clone(self.tree)
        for version, steps in reversed(self.done):
            for step in reversed(steps):
                _back(at(tree, step.path), step)
            yield version - 1, tree

    def _touch(self, op: Any) -> None:
        cut = range(op.key, op.key + len(op.old)) if op.kind == "cut" else (op.key,)
        self._touched |= {(id(op.node), what, None) for what in ("length", "order")}
        # An item has a record for before and one for after the whole list was replaced.
        self._touched |= {(id(op.node), when, key) for key in cut for when in ("before", "after")}

    def places(self) -> int:
        """How many keys, lengths and orders the commits have changed."""
        return len(self._touched)


def unfolded(value: Any) -> Plain:
    """A plain copy of one side of an operation; a list of values may hold containers."""
    if type(value) is list:
        return [clone(plain(item)) for item in value]
    return clone(plain(value))


def replacement(op: Any, way: Path, target: list[Any]) -> Step:
    """The whole content of a list replaced. Containers that stay in it are named by their place
    on the other side, because the same commit may change them further."""
    before = {id(item): place for place, item in enumerate(op.old) if is_container(item)}
    after = {id(item): place for place, item in enumerate(op.new) if is_container(item)}
    old = [
        Kept(after[id(item)]) if id(item) in after else clone(held)
        for item, held in zip(op.old, target, strict=True)
    ]
    new = [Kept(before[id(item)]) if id(item) in before else clone(plain(item)) for item in op.new]
    for item, is_now, held in zip(op.old, old, target, strict=True):
        assert isinstance(is_now, Kept) or same(clone(plain(item)), held), f"{op!r}: {held!r}"
    return Step("replace", way, None, old, new, True)


def is_container(value: Any) -> bool:
    """Whether a value in an operation is a container of the tree."""
    return isinstance(value, Node)


def _fill(target: list[Any], items: list[Any]) -> None:
    now = list(target)
    target[:] = [now[item.place] if isinstance(item, Kept) else clone(item) for item in items]


def _forward(target: Any, step: Step) -> None:
    kind, key = step.kind, step.key
    if isinstance(target, set):
        (target.discard if kind in ("delete", "discard") else target.add)(key)
    elif kind == "extend":
        target.extend(step.new)
    elif kind == "cut":
        del target[key:]
    elif kind == "replace":
        _fill(target, step.new)
    elif kind in ("delete", "move"):
        target.pop(key)
        if kind == "move":
            target[key] = clone(step.new)
    elif kind == "incr":
        target[key] = target[key] + step.new if step.was else step.new
    elif kind in ("max", "min"):
        combine = max if kind == "max" else min
        target[key] = combine(target[key], step.new) if step.was else step.new
    else:
        target[key] = clone(step.new)


def _back(target: Any, step: Step) -> None:
    kind, key = step.kind, step.key
    if isinstance(target, set):
        (target.add if step.was else target.discard)(key)
    elif kind == "extend":
        del target[len(target) - len(step.new) :]
    elif kind == "cut":
        target.extend(clone(step.old))
    elif kind == "replace":
        _fill(target, step.old)
    elif step.was:
        target[key] = clone(step.old)
    else:
        del target[key]
