"""Where the keys of a history live in the state, and how a body reads and writes them.

Each layout reaches the keys through another part of the surface: items of mappings, attributes,
nested mappings, items of lists, lists that are appended to, mappings whose key order is the
list, whole values replaced, paths. A history that is serializable through one of them and not
through another shows which one forgets to note something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Body = Callable[..., Any]


@dataclass(frozen=True)
class Layout:
    """A workload ("list" or "register"), the first tree, and how to read and write one key."""

    name: str
    workload: str
    tree: Callable[[int], dict[str, Any]]
    read: Body
    write: Body


def _empty_lists(keys: int) -> dict[str, Any]:
    return {f"k{key}": [] for key in range(keys)}


def _empty_maps(keys: int) -> dict[str, Any]:
    return {f"k{key}": {} for key in range(keys)}


def _registers(keys: int) -> dict[str, Any]:
    return {f"k{key}": None for key in range(keys)}


def _append_in_place(tx: Any, key: int, value: int) -> None:
    tx.domain[f"k{key}"].append(value)


def _append_by_read(tx: Any, key: int, value: int) -> None:
    tx.domain[f"k{key}"] = [*tx.domain[f"k{key}"], value]


def _append_by_slice(tx: Any, key: int, value: int) -> None:
    target = tx.domain[f"k{key}"]
    target[len(target) :] = [value]


def _append_by_path(tx: Any, key: int, value: int) -> None:
    tx.append(f"domain.k{key}", value)


def _append_as_key(tx: Any, key: int, value: int) -> None:
    tx.domain[f"k{key}"][value] = True


def _append_nested(tx: Any, key: int, value: int) -> None:
    tx.domain["a"][f"b{key % 2}"][f"k{key}"].append(value)


def _read_nested(tx: Any, key: int) -> list[int]:
    return list(tx.domain["a"][f"b{key % 2}"][f"k{key}"])


def _nested_lists(keys: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"b0": {}, "b1": {}}
    for key in range(keys):
        tree[f"b{key % 2}"][f"k{key}"] = []
    return {"a": tree}


def _write_item(tx: Any, key: int, value: int) -> None:
    tx.domain[f"k{key}"] = value


def _write_attribute(tx: Any, key: int, value: int) -> None:
    setattr(tx.domain, f"k{key}", value)


def _write_in_list(tx: Any, key: int, value: int) -> None:
    tx.domain["regs"][key] = value


def _write_by_pop(tx: Any, key: int, value: int) -> None:
    tx.domain.pop(f"k{key}", None)
    tx.domain[f"k{key}"] = value


def _write_record(tx: Any, key: int, value: int) -> None:
    tx.domain[f"k{key}"] = {"value": value}


def _read_record(tx: Any, key: int) -> int | None:
    held = tx.domain[f"k{key}"]
    return None if held is None else held["value"]


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "list in place",
            "list",
            _empty_lists,
            lambda tx, k: list(tx.domain[f"k{k}"]),
            _append_in_place,
        ),
        Layout(
            "list replaced",
            "list",
            _empty_lists,
            lambda tx, k: list(tx.domain[f"k{k}"]),
            _append_by_read,
        ),
        Layout(
            "list by slices",
            "list",
            _empty_lists,
            lambda tx, k: list(tx.domain[f"k{k}"][:]),
            _append_by_slice,
        ),
        Layout(
            "list by path",
            "list",
            _empty_lists,
            lambda tx, k: list(tx.domain[f"k{k}"]),
            _append_by_path,
        ),
        Layout("list nested", "list", _nested_lists, _read_nested, _append_nested),
        Layout(
            "keys of a mapping",
            "list",
            _empty_maps,
            lambda tx, k: list(tx.domain[f"k{k}"]),
            _append_as_key,
        ),
        Layout(
            "items of a mapping",
            "list",
            _empty_maps,
            lambda tx, k: [key for key, _ in tx.domain[f"k{k}"].items()],
            _append_as_key,
        ),
        Layout(
            "register by item",
            "register",
            _registers,
            lambda tx, k: tx.domain[f"k{k}"],
            _write_item,
        ),
        Layout(
            "register by attribute",
            "register",
            _registers,
            lambda tx, k: getattr(tx.domain, f"k{k}"),
            _write_attribute,
        ),
        Layout(
            "register that comes and goes",
            "register",
            lambda keys: {},
            lambda tx, k: tx.domain.get(f"k{k}"),
            _write_by_pop,
        ),
        Layout(
            "register in a list",
            "register",
            lambda keys: {"regs": [None] * keys},
            lambda tx, k: tx.domain["regs"][k],
            _write_in_list,
        ),
        Layout("register in a record", "register", _registers, _read_record, _write_record),
        Layout(
            "register by values",
            "register",
            _registers,
            lambda tx, k: dict(tx.domain.items())[f"k{k}"],
            _write_item,
        ),
    )
}
