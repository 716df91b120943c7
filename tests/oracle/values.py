"""Plain values: copies of views and guards, strict comparison, shapes of results."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any

Path = tuple[Hashable, ...]
Plain = Any

CONTAINERS = (dict, list, set)


def plain(value: Any) -> Plain:
    """A detached copy made of dict, list, set and leaves, through the public interface only."""
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, Set):
        return set(value)
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, range)):
        return [plain(item) for item in value]
    return value


def same(left: Plain, right: Plain) -> bool:
    """Equal in type, content and order of keys (1, 1.0 and True are three values)."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return (
            list(left) == list(right)
            and all(type(a) is type(b) for a, b in zip(left, right, strict=True))
            and all(same(left[key], right[key]) for key in left)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, set):
        return {(type(x), x) for x in left} == {(type(x), x) for x in right}
    return bool(left == right)


def at(tree: Plain, path: Path) -> Plain:
    """The value at a path. Raises KeyError, IndexError or TypeError."""
    for key in path:
        tree = tree[key]
    return tree


def has(tree: Plain, path: Path) -> bool:
    """Whether a path leads somewhere."""
    try:
        at(tree, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def containers(tree: Plain, path: Path = ()) -> list[tuple[Path, Any]]:
    """All containers of a tree with their paths, the root first."""
    found: list[tuple[Path, Any]] = []
    if isinstance(tree, CONTAINERS):
        found.append((path, tree))
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += containers(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            found += containers(value, (*path, index))
    return found


def clone(value: Plain) -> Plain:
    """A copy by value: what is reached twice is copied per place."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    if isinstance(value, set):
        return set(value)
    if isinstance(value, tuple):
        return tuple(clone(item) for item in value)
    return value


def kind_of(value: Any) -> str:
    """ "map", "list", "set" or "leaf", for plain containers, views and guards alike."""
    if isinstance(value, (str, bytes, tuple, range, frozenset)):
        return "leaf"
    if isinstance(value, Mapping):
        return "map"
    if isinstance(value, Set):
        return "set"
    return "list" if isinstance(value, Sequence) else "leaf"


def outline(result: Any, depth: int = 1) -> Any:
    """What of a result can be compared without reading further: leaves, and kinds of containers.

    Lists, dicts and tuples that a method returns are opened one level; containers inside count
    by their kind only, because looking into a guard would be another read.
    """
    kind = kind_of(result)
    if kind == "leaf":
        if isinstance(result, tuple):
            return ("tuple", *(outline(item, 0) for item in result))
        return (type(result).__name__, result)
    if depth == 0 or type(result) not in CONTAINERS:
        return kind
    if isinstance(result, dict):
        return ("map", [(outline(k, 0), outline(v, 0)) for k, v in result.items()])
    if isinstance(result, set):
        return ("set", frozenset((type(item).__name__, item) for item in result))
    return ("list", [outline(item, 0) for item in result])
