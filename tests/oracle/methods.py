"""Every method of mappings, lists and sets: how it is called, what it reads, what it writes.

`INVOKE[name](container, *args)` works on builtins, guards and views alike. `FOOTPRINTS[kind]
[name](container, *args)` says, before the call, what the call will read and write on the plain
container that has this content; keys that are written come out in `Uses.keys`, list-wide
writes in `Uses.wide`.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.footprint import What


@dataclass
class Uses:
    """Reads as (what, key, soft); keys written; list-wide writes."""

    reads: list[tuple[What, Any, bool]] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    wide: list[What] = field(default_factory=list)

    def read(self, what: What, key: Any = None, soft: bool = False) -> Uses:
        """Add a read; returns self."""
        self.reads.append((what, key, soft))
        return self

    def write(self, *keys: Any) -> Uses:
        """Add written keys; returns self."""
        self.keys.extend(keys)
        return self

    def all_of(self, what: What) -> Uses:
        """Add a list-wide write; returns self."""
        self.wide.append(what)
        return self


def _delitem(target: Any, key: Any) -> None:
    del target[key]


def _setitem(target: Any, key: Any, value: Any) -> None:
    target[key] = value


INVOKE: dict[str, Callable[..., Any]] = {
    "getitem": operator.getitem,
    "setitem": _setitem,
    "delitem": _delitem,
    "contains": lambda c, k: k in c,
    "len": len,
    "bool": bool,
    "iter": lambda c: list(iter(c)),
    "reversed": lambda c: list(reversed(c)),
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "keys": lambda c: list(c.keys()),
    "values": lambda c: list(c.values()),
    "items": lambda c: list(c.items()),
    "or": operator.or_,
    "and": operator.and_,
    "sub": operator.sub,
    "xor": operator.xor,
    "add_list": operator.add,
    "mul": operator.mul,
    "ior": operator.ior,
    "iand": operator.iand,
    "isub": operator.isub,
    "ixor": operator.ixor,
    "iadd": operator.iadd,
    "imul": operator.imul,
    "copy": lambda c: c.copy(),
    "copy_copy": copy.copy,
}


def _named(name: str) -> Callable[..., Any]:
    return lambda container, *args, **kwargs: getattr(container, name)(*args, **kwargs)


INVOKE.update(
    (name, _named(name))
    for name in (
        "get",
        "pop",
        "popitem",
        "setdefault",
        "update",
        "clear",
        "append",
        "extend",
        "insert",
        "remove",
        "index",
        "count",
        "sort",
        "reverse",
        "add",
        "discard",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "issubset",
        "issuperset",
        "isdisjoint",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
    )
)

#: Methods that return the container itself.
RETURNS_SELF = frozenset({"ior", "iand", "isub", "ixor", "iadd", "imul"})


def _pairs(other: Any) -> Iterable[Any]:
    return other if hasattr(other, "keys") else [key for key, _ in other]


def _map_pop(target: dict[Any, Any], key: Any, *_: Any) -> Uses:
    uses = Uses().read(What.KEY, key)
    return uses.write(key) if key in target else uses


def _map_setdefault(target: dict[Any, Any], key: Any, *_: Any) -> Uses:
    if key in target:
        return Uses().read(What.KEY, key)
    return Uses().read(What.MEMBER, key).write(key)


def _map_popitem(target: dict[Any, Any]) -> Uses:
    uses = Uses().read(What.KEYS)
    if target:
        last = next(reversed(target))
        uses.read(What.KEY, last).write(last)
    return uses


def _map_delitem(target: dict[Any, Any], key: Any) -> Uses:
    uses = Uses().read(What.MEMBER, key)
    return uses.write(key) if key in target else uses


def _items_copy(*_: Any) -> Uses:
    return Uses().read(What.ITEMS).read(What.TREE, soft=True)


MAP: dict[str, Callable[..., Uses]] = {
    "getitem": lambda c, k: Uses().read(What.KEY, k),
    "get": lambda c, k, *d: Uses().read(What.KEY, k),
    "contains": lambda c, k: Uses().read(What.MEMBER, k),
    "len": lambda c: Uses().read(What.SIZE),
    "bool": lambda c: Uses().read(What.EMPTY),
    **dict.fromkeys(("iter", "keys", "reversed"), lambda c: Uses().read(What.KEYS)),
    **dict.fromkeys(("values", "items"), lambda c: Uses().read(What.ITEMS)),
    **dict.fromkeys(("eq", "ne"), lambda c, o: Uses().read(What.TREE)),
    "or": lambda c, o: _items_copy(),
    "copy": _items_copy,
    "copy_copy": _items_copy,
    "setitem": lambda c, k, v: Uses().write(k),
    "delitem": _map_delitem,
    "pop": _map_pop,
    "setdefault": _map_setdefault,
    "popitem": _map_popitem,
    "update": lambda c, o=(): Uses().write(*_pairs(o)),
    "ior": lambda c, o: Uses().write(*_pairs(o)),
    "clear": lambda c: Uses().read(What.KEYS).write(*c),
}


def _set_read(target: set[Any], other: Any = ()) -> Uses:
    return Uses().read(What.KEYS)


def _set_remove(target: set[Any], key: Any) -> Uses:
    uses = Uses().read(What.MEMBER, key)
    return uses.write(key) if key in target else uses


def _set_difference(target: set[Any], other: Any) -> Uses:
    return Uses().write(*other)


def _set_intersection(target: set[Any], other: Any) -> Uses:
    return Uses().read(What.KEYS).write(*(target - set(other)))


def _set_symmetric(target: set[Any], other: Any) -> Uses:
    uses = Uses().read(What.KEYS, soft=True).write(*set(other))
    for key in set(other):
        uses.read(What.MEMBER, key)
    return uses


def _set_disjoint(target: set[Any], other: Any) -> Uses:
    uses = Uses().read(What.KEYS, soft=True)
    for key in other:
        uses.read(What.MEMBER, key)
    return uses


SET: dict[str, Callable[..., Uses]] = {
    "contains": lambda c, k: Uses().read(What.MEMBER, k),
    "len": lambda c: Uses().read(What.SIZE),
    "bool": lambda c: Uses().read(What.EMPTY),
    **dict.fromkeys(
        (
            "iter",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "or",
            "and",
            "sub",
            "xor",
            "union",
            "copy",
            "intersection",
            "difference",
            "symmetric_difference",
            "issubset",
            "issuperset",
            "copy_copy",
        ),
        _set_read,
    ),
    "isdisjoint": _set_disjoint,
    "add": lambda c, k: Uses().write(k),
    "discard": lambda c, k: Uses().write(k),
    "remove": _set_remove,
    **dict.fromkeys(("update", "ior"), lambda c, o: Uses().write(*o)),
    **dict.fromkeys(("difference_update", "isub"), _set_difference),
    **dict.fromkeys(("intersection_update", "iand"), _set_intersection),
    **dict.fromkeys(("symmetric_difference_update", "ixor"), _set_symmetric),
    "clear": lambda c: Uses().read(What.KEYS).write(*c),
}


def _list_get(target: list[Any], key: Any) -> Uses:
    size = len(target)
    if isinstance(key, slice):
        uses = Uses().read(What.ITEMS, soft=True)
        if key.indices(size) != key.indices(size + 1):
            uses.read(What.SIZE)
        for index in range(*key.indices(size)):
            uses.read(What.KEY, index)
        return uses
    if not -size <= key < size:
        return Uses().read(What.SIZE)
    return (
        Uses().read(What.KEY, key)
        if key >= 0
        else (Uses().read(What.KEY, key + size).read(What.SIZE))
    )


def _list_set(target: list[Any], key: Any, value: Any) -> Uses:
    if isinstance(key, slice):
        return Uses().read(What.SIZE, soft=True).all_of(What.STRUCTURE)
    size = len(target)
    if not -size <= key < size:
        return Uses().read(What.SIZE)
    return Uses().write(key) if key >= 0 else Uses().write(key + size).read(What.SIZE)


def _list_del(target: list[Any], key: Any) -> Uses:
    return Uses().read(What.SIZE).all_of(What.STRUCTURE)


def _list_pop(target: list[Any], *where: int) -> Uses:
    uses = Uses().read(What.SIZE)
    if where:
        return uses.read(What.ITEMS, soft=True).all_of(What.STRUCTURE)
    return uses.read(What.KEY, len(target) - 1).all_of(What.STRUCTURE) if target else uses


def _list_find(target: list[Any], value: Any) -> Uses:
    if value in target:
        return Uses().read(What.KEY, target.index(value)).read(What.TREE, soft=True)
    return Uses().read(What.ITEMS).read(What.TREE, soft=True)


def _list_remove(target: list[Any], value: Any) -> Uses:
    uses = _list_find(target, value)
    return uses.all_of(What.STRUCTURE) if value in target else uses


def _list_items(*_: Any) -> Uses:
    return Uses().read(What.ITEMS)


def _list_rebuild(*_: Any) -> Uses:
    return Uses().read(What.ITEMS).all_of(What.STRUCTURE)


LIST: dict[str, Callable[..., Uses]] = {
    "getitem": _list_get,
    "setitem": _list_set,
    "delitem": _list_del,
    "len": lambda c: Uses().read(What.SIZE),
    "bool": lambda c: Uses().read(What.EMPTY),
    **dict.fromkeys(("iter", "reversed"), _list_items),
    **dict.fromkeys(("contains", "index"), _list_find),
    "count": lambda c, v: Uses().read(What.ITEMS).read(What.TREE, soft=True),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), lambda c, o: Uses().read(What.TREE)),
    **dict.fromkeys(("add_list", "mul", "copy", "copy_copy"), _items_copy),
    "append": lambda c, v: Uses().all_of(What.APPEND),
    **dict.fromkeys(("extend", "iadd"), lambda c, v: Uses().all_of(What.APPEND)),
    "insert": lambda c, i, v: Uses().read(What.SIZE, soft=True).all_of(What.STRUCTURE),
    "pop": _list_pop,
    "remove": _list_remove,
    "clear": lambda c: Uses().read(What.SIZE).all_of(What.STRUCTURE),
    **dict.fromkeys(("reverse", "imul"), _list_rebuild),
    "sort": lambda c, *a: _list_rebuild(c, *a).read(What.TREE, soft=True),
}

FOOTPRINTS: dict[str, dict[str, Callable[..., Uses]]] = {"map": MAP, "list": LIST, "set": SET}
