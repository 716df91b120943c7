"""What a process has changed in a worker: found at its end, from what each container was.

The first change of a container keeps a shallow copy of it (`Scope.note`). At the end the
containers that are still at their place are compared with those copies, which gives the
operations that the parent does on its transaction: values set and deleted, items added. So a
worker sends what has changed, and the size of its inputs does not matter.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from theus.parallel.scope import Path, Scope

__all__ = ["Change", "Changes", "find_changes"]

_SCALARS = frozenset({bool, bytes, complex, float, int, str, type(None)})


class Change(NamedTuple):
    """One operation: ``set``, ``del``, ``list``, ``extend``, ``add``, ``discard`` at a path."""

    kind: str
    path: Path
    value: Any = None


class Changes(NamedTuple):
    """All that a process has changed.

    ``commuting`` are calls of the context (name, path, value), done first; then ``state``; and
    ``heavy``: key -> what it is now, of the heavy zone, and ``freed``: keys that are gone.
    """

    commuting: tuple[tuple[str, Any, Any], ...] = ()
    state: tuple[Change, ...] = ()
    heavy: tuple[tuple[str, Any], ...] = ()
    freed: tuple[str, ...] = ()


def find_changes(areas: Mapping[str, Any], scope: Scope) -> tuple[Change, ...]:
    """The operations that make what was sent equal to what is there now. O(what was written)."""
    found: list[Change] = []
    replaced: set[Path] = set()
    tree = _Tree(areas)
    for container, path, before in tree.located(scope.saved.values()):
        if not _covered(path, replaced):
            changes = list(_compare(container, path, before))
            replaced.update(change.path for change in changes if change.kind in ("set", "list"))
            found += changes
    for value, path, before in tree.located(scope.leaves.values()):
        if not _covered(path, replaced) and pickle.dumps(value) != before:
            found.append(Change("set", path, value))
    return tuple(found)


class _Tree:
    """Where things are, at the end."""

    def __init__(self, areas: Mapping[str, Any]) -> None:
        self._areas = areas
        self._places: dict[int, Path] | None = None

    def located(self, items: Iterable[tuple[Any, Path, Any]]) -> list[tuple[Any, Path, Any]]:
        """The items that are in the tree, with the paths they have now, from the top down."""
        found = []
        for value, noted, before in items:
            path = noted if _at(self._areas, noted) is value else self._search(value)
            if path is not None:
                found.append((value, path, before))
        return sorted(found, key=lambda item: len(item[1]))

    def _search(self, value: Any) -> Path | None:
        """Where something is that has moved. O(size of the tree), once."""
        if self._places is None:
            self._places = {}
            for name, area in self._areas.items():
                self._walk(area, (name,))
        return self._places.get(id(value))

    def _walk(self, value: Any, path: Path) -> None:
        places = self._places
        if places is None or id(value) in places:
            return
        kind = type(value)
        if kind not in _SCALARS:
            places[id(value)] = path
        if kind is dict:
            for key, one in value.items():
                self._walk(one, (*path, key))
        elif kind is list:
            for index, one in enumerate(value):
                self._walk(one, (*path, index))


def _covered(path: Path, replaced: set[Path]) -> bool:
    return any(path[:end] in replaced for end in range(1, len(path) + 1))


def _at(areas: Mapping[str, Any], path: Path) -> Any:
    """What is at a path now; None where there is nothing."""
    value: Any = areas
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _compare(now: Any, path: Path, before: Any) -> Iterator[Change]:
    kind = type(now)
    if kind is dict:
        return _compare_dicts(now, path, before)
    return _compare_lists(now, path, before) if kind is list else _compare_sets(now, path, before)


def _same(new: Any, old: Any) -> bool:
    """Whether a value is what it was: the same object, or an equal one that cannot change."""
    return new is old or (type(new) is type(old) and type(new) in _SCALARS and new == old)


def _compare_dicts(now: dict[Any, Any], path: Path, before: dict[Any, Any]) -> Iterator[Change]:
    for key in before:
        if key not in now:
            yield Change("del", (*path, key))
    kept = [key for key in before if key in now]
    expected = [*kept, *(key for key in now if key not in before)]
    moved = False
    for key, place in zip(now, expected, strict=True):
        moved = moved or key != place
        if moved and key in before:
            yield Change("del", (*path, key))
    moved = False
    for key, place in zip(now, expected, strict=True):
        moved = moved or key != place
        if moved or key not in before or not _same(now[key], before[key]):
            yield Change("set", (*path, key), now[key])


def _compare_lists(now: list[Any], path: Path, before: list[Any]) -> Iterator[Change]:
    count = len(before)
    if len(now) == count:
        for index, value in enumerate(now):
            if not _same(value, before[index]):
                yield Change("set", (*path, index), value)
    elif len(now) > count and all(map(_same, now, before)):
        yield Change("extend", path, now[count:])
    else:
        yield Change("list", path, list(now))


def _compare_sets(now: set[Any], path: Path, before: set[Any]) -> Iterator[Change]:
    for value in before - now:
        yield Change("discard", path, value)
    for value in now - before:
        yield Change("add", path, value)
