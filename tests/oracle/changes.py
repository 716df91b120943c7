"""Effects of a transaction: how they are applied, and which changes of the tree they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.footprint import Change
from tests.oracle.methods import INVOKE
from tests.oracle.values import CONTAINERS, Path, Plain, at, clone, same

#: List methods that only add at the end.
GROWING = frozenset({"append", "extend", "iadd"})


@dataclass
class Effect:
    """One write on one container of the snapshot.

    `how` is "keys" (keys of a mapping or set get these values, or go), "items" (items of a list
    get these values), "replay" (the list method is called again) or "commute" (the function is
    applied to the newest value). `idle`: the write changed nothing where it was made.
    """

    target: Any
    how: str
    keys: dict[Any, Any] = field(default_factory=dict)
    gone: list[Any] = field(default_factory=list)
    method: str = ""
    args: tuple[Any, ...] = ()
    apply: Callable[[Any], Any] | None = None
    cut: int = 0
    idle: bool = False


def apply_effect(target: Any, effect: Effect) -> None:
    """Do on `target` (in the newest tree) what the effect did on the private copy."""
    if effect.how == "replay":
        INVOKE[effect.method](target, *map(clone, effect.args))
    elif effect.apply is not None:
        for key, start in effect.keys.items():
            target[key] = effect.apply(target[key]) if key in target else start
    elif isinstance(target, dict):
        for key in effect.gone:
            target.pop(key, None)
        for key, value in effect.keys.items():
            target[key] = clone(value)
    else:
        target.difference_update(effect.gone)
        target.update(effect.keys)


def changes_of(path: Path, effect: Effect, old_tree: Plain, new_tree: Plain) -> list[Change]:
    """What a commit that had this effect on the container at `path` changed there."""
    before = at(old_tree, path)
    try:
        after = at(new_tree, path)
    except (KeyError, IndexError, TypeError):
        after = type(before)()
    if type(after) is not type(before):
        after = type(before)()
    if isinstance(before, list):
        return _list_changes(path, effect, before, after)
    changes = [
        change
        for key in (*effect.gone, *effect.keys)
        for change in _key_changes(path, key, before, after)
    ]
    if isinstance(before, dict) and effect.gone:
        stayed = [key for key in before if key in after]
        moved = stayed != [key for key in after if key in before]
        changes.append(Change(path, "order", certain=moved))
    return changes


def _key_changes(path: Path, key: Any, before: Any, after: Any) -> list[Change]:
    was, is_now = key in before, key in after
    if was != is_now:
        return [Change(path, "insert" if is_now else "delete", key)]
    if not was:
        return [Change(path, "insert", key, certain=False)]
    if isinstance(before, set):
        return [Change(path, "set", key, certain=False)]
    return _replaced(path, key, "set", before[key], after[key])


def _replaced(path: Path, key: Any, how: str, before: Any, after: Any) -> list[Change]:
    """One value in place of another. A container that replaces one of its kind may count as
    that, or as the changes inside it; the changes inside count in any case."""
    alike = type(before) is type(after) and isinstance(before, CONTAINERS)
    changes = [Change(path, how, key, certain=not alike and not same(before, after))]
    inside = (*path, key)
    if alike and isinstance(before, list):
        if len(before) != len(after):
            return [Change(path, how, key)]
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            changes += _replaced(inside, index, "item", old, new)
    elif alike:
        if not same(list(before), [key for key in after if key in before]):
            changes.append(Change(inside, "order", certain=isinstance(before, dict)))
        for name in {**dict.fromkeys(before), **dict.fromkeys(after)}:
            changes += _key_changes(inside, name, before, after)
    return [change for change in changes if change.certain or change.path == path]


def _list_changes(path: Path, effect: Effect, before: list[Any], after: list[Any]) -> list[Change]:
    if effect.how == "items":
        size = min(len(before), len(after))
        return [
            change
            for key in effect.keys
            if key < size
            for change in _replaced(path, key, "item", before[key], after[key])
        ]
    if effect.method in GROWING:
        return [Change(path, "append", certain=len(after) != len(before))]
    differs = not same(before, after)
    if effect.method == "pop" and not effect.args:
        return [Change(path, "cut", effect.cut, certain=differs)]
    return [Change(path, "structure", certain=differs)]
