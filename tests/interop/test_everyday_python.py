"""Views of committed state and guards of a transaction behave as what they show.

One table: each row is something that programs do with plain data. It is done with the plain
data, with views and with guards, and has to give the same.
"""

from __future__ import annotations

import bisect
import copy
import csv
import heapq
import io
import itertools
import json
import operator
import pickle
import pprint
import random
import statistics
from collections import ChainMap, Counter, OrderedDict, abc, deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pydantic
import pytest

from theus import TheusEncoder, TheusEngine
from theus.interop import json_default


@dataclass
class Item:
    a: int = 1
    tags: list[str] = field(default_factory=lambda: ["x"])


class Model(pydantic.BaseModel):
    a: int
    b: list[int]
    m: dict[str, int]


class Holder(pydantic.BaseModel):
    value: dict[str, Any]
    items: list[int]


class Things:
    """The same content as plain data, as views, or as guards."""

    def __init__(self, domain: Any) -> None:
        self.d = domain["d"]
        self.l = domain["d"]["b"]
        self.r = domain["r"]
        self.rows = domain["rows"]
        self.s = domain["s"]


def content() -> dict[str, Any]:
    return {
        "d": {"a": 1, "b": [3, 1, 2], "m": {"k": 1}},
        "r": Item(),
        "rows": [{"x": 1, "y": "p", "v": [[1, 2], [3, 4]]}, {"x": 2, "y": "q", "v": []}],
        "s": {1, 2},
    }


@pytest.fixture(params=["view", "guard"])
def things(request: pytest.FixtureRequest) -> Any:
    with TheusEngine({"domain": content()}) as engine:
        if request.param == "view":
            yield Things(engine.state.domain)
        else:
            with engine.transaction() as tx:
                yield Things(tx.domain)
            assert engine.state.version == 1


def match_mapping(t: Things) -> Any:
    match t.d:
        case {"a": int(a), "b": [first, *rest], "m": {"k": k}, **others}:
            return a, first, list(rest), k, others
    return None


def match_sequence(t: Things) -> Any:
    match t.l:
        case [3, one, 2]:
            return one
    return None


def match_wrong(t: Things) -> Any:
    match t.l:
        case {"a": _}:
            return "mapping"
        case [_, _]:
            return "two"
        case str():
            return "text"
        case [*_]:
            return "sequence"
    return None


def match_class(t: Things) -> Any:
    match t.r:
        case Item(a=2):
            return "no"
        case Item(1, tags=[tag]):
            return tag
    return None


def extended(t: Things) -> Any:
    mine = [0]
    mine.extend(t.l)
    mine += t.l
    return mine


def updated(t: Things) -> Any:
    mine = {"z": 0}
    mine.update(t.d["m"])
    mine |= t.d["m"]
    return mine


def written(t: Things) -> Any:
    out = io.StringIO()
    csv.writer(out).writerow(t.l)
    csv.DictWriter(out, ["x", "y"], extrasaction="ignore").writerows(t.rows)
    return out.getvalue()


def through(function: Callable[[Any], Any]) -> Callable[[Things], Any]:
    """A row that has to keep the content and its kind."""
    return lambda t: [function(t.d), function(t.l), function(t.r), function(t.s)]


TABLE: dict[str, Callable[[Things], Any]] = {
    # --- building ---
    "dict()": lambda t: dict(t.d),
    "list()": lambda t: list(t.l),
    "tuple()": lambda t: tuple(t.l),
    "set()": lambda t: (set(t.l), frozenset(t.s)),
    "deque": lambda t: deque(t.l),
    "Counter": lambda t: Counter(t.l),
    "OrderedDict": lambda t: OrderedDict(t.d),
    "ChainMap": lambda t: ChainMap({}, t.d)["a"],
    "dict.fromkeys": lambda t: dict.fromkeys(t.l),
    "dict of items": lambda t: dict(t.d.items()),
    "**": lambda t: dict(**t.d),
    "{**}": lambda t: {"z": 0, **t.d},
    "*": lambda t: (lambda *args: args)(*t.l),
    "[*]": lambda t: [0, *t.l],
    "unpacking": lambda t: (lambda a, b, c: (c, b, a))(*t.l),
    "comprehension": lambda t: {key: value for key, value in t.d.items() if key != "b"},
    "list.extend": extended,
    "dict.update": updated,
    "zip": lambda t: list(zip(t.l, t.d, strict=True)),
    # --- operators ---
    "|": lambda t: t.d | {"z": 1},
    "| from the right": lambda t: {"z": 1, "a": 5} | t.d,
    "| of two": lambda t: t.d | t.d["m"],
    "+": lambda t: t.l + [1],  # noqa: RUF005 - the operator is meant
    "+ from the right": lambda t: [1] + t.l,  # noqa: RUF005 - the operator is meant
    "*2": lambda t: (t.l * 2, 2 * t.l),
    "==": lambda t: (t.d == content()["d"], content()["d"] == t.d, t.l == [3, 1, 2]),
    "!=": lambda t: (t.d != {}, t.l != [3], t.l == (3, 1, 2), t.d == 5, t.l == "x"),
    "order": lambda t: (t.l < [4], operator.gt([4], t.l), t.l <= [3, 1, 2], t.l >= [1]),
    "in": lambda t: (3 in t.l, 9 in t.l, "a" in t.d, "q" in t.d, 1 in t.s),
    "set operators": lambda t: (t.s | {3}, t.s & {1}, t.s - {1}, {1} <= t.s, t.s == {1, 2}),
    "bool": lambda t: (bool(t.d), bool(t.l), bool(t.s), not t.rows[1]["v"]),
    "len": lambda t: (len(t.d), len(t.l), len(t.s)),
    "slices": lambda t: (t.l[1:], t.l[::-1], t.l[-1], t.l[5:]),
    "operator": lambda t: (operator.itemgetter("a")(t.d), operator.length_hint(t.l)),
    # --- methods ---
    "get": lambda t: (t.d.get("a"), t.d.get("q"), t.d.get("q", 5)),
    "keys": lambda t: (list(t.d.keys()), t.d.keys() & {"a", "z"}, t.d.keys() | {"z"}),
    "keys compared": lambda t: (
        t.d.keys() == {"a", "b", "m"},
        t.d.keys() >= {"a"},
        t.d.keys() < {"a"},
        {"a"} <= t.d.keys(),
        t.d.keys().isdisjoint({"z"}),
    ),
    "items compared": lambda t: (
        t.d.items() >= {("a", 1)},
        t.d.items() > {("a", 2)},
        t.d.items() == content()["d"].items(),
        content()["d"].items() == t.d.items(),
        t.d.items() <= content()["d"].items(),
        t.d.items() < content()["d"].items(),
        t.d["m"].items() ^ {("k", 2)},
        t.d.items().isdisjoint([("a", 2), ("z", 1)]),
        t.d.items() == [("a", 1)],
    ),
    "values": lambda t: (list(t.d.values()), 1 in t.d.values(), [3, 1, 2] in t.d.values()),
    "index": lambda t: (t.l.index(1), t.l.count(3), t.l.index(2, 1)),
    "reversed": lambda t: (
        list(reversed(t.l)),
        list(reversed(t.d)),
        list(reversed(t.d.items())),
        list(reversed(t.d.keys())),
        list(reversed(t.d.values())),
    ),
    # --- functions of the library ---
    "sorted": lambda t: (sorted(t.l), sorted(t.d), sorted(t.rows, key=lambda row: -row["x"])),
    "min, max, sum": lambda t: (min(t.l), max(t.l), sum(t.l), any(t.l), all(t.l)),
    "enumerate, map, filter": lambda t: (
        list(enumerate(t.l)),
        [*map(str, t.l)],
        [*filter(None, t.l)],
    ),
    "join": lambda t: (",".join(t.d), ",".join(map(str, t.l))),
    "format": lambda t: ("{a} {b[0]} {m[k]}".format(**t.d), "{a}".format_map(t.d), "%(a)s" % t.d),  # noqa: UP031
    "f-string": lambda t: f"{t.d['a']:>3} {t.l[0]!r} {t.r.a} {len(t.l)}",
    "bisect": lambda t: bisect.bisect(t.l[1:], 1),
    "heapq": lambda t: heapq.nlargest(2, t.l),
    "random": lambda t: (random.Random(1).choice(t.l), random.Random(1).sample(t.l, 3)),
    "statistics": lambda t: statistics.mean(t.l),
    "itertools": lambda t: [*itertools.chain(t.l, t.l), *itertools.pairwise(t.l)],
    "csv": written,
    "isinstance": lambda t: (
        isinstance(t.d, abc.Mapping),
        isinstance(t.d, abc.Sequence),
        isinstance(t.l, abc.Sequence),
        isinstance(t.l, abc.Mapping),
        isinstance(t.l, abc.Iterable),
        isinstance(t.d, abc.Reversible),
        isinstance(t.s, abc.Set),
        isinstance(t.r, Item),
        isinstance(t.d.keys(), abc.KeysView),
        isinstance(t.d.items(), abc.ItemsView),
        isinstance(t.d.values(), abc.ValuesView),
    ),
    # --- match ---
    "match a mapping": match_mapping,
    "match a sequence": match_sequence,
    "match, not the first": match_wrong,
    "match a class": match_class,
    # --- records ---
    "dataclasses.fields": lambda t: [one.name for one in fields(t.r)],
    "vars": lambda t: vars(t.r),
    "repr of a record": lambda t: repr(t.r),
    "replace a copy": lambda t: copy.deepcopy(t.r) == Item() and type(copy.deepcopy(t.r)) is Item,
    # --- copies ---
    "copy": through(copy.copy),
    "deepcopy": through(copy.deepcopy),
    "pprint": lambda t: content_of(pprint.pformat(t.l)),
    "json": lambda t: json.loads(json.dumps([t.d, t.l, t.r, t.s, t.rows], cls=TheusEncoder)),
    "json with a hook": lambda t: json.loads(json.dumps([t.d, t.r, t.s], default=json_default)),
    # --- numpy ---
    "np.array": lambda t: (np.array(t.l).tolist(), str(np.array(t.l).dtype)),
    "np.asarray": lambda t: np.asarray(t.l, dtype=float).tolist(),
    "np of nested lists": lambda t: np.array(t.rows[0]["v"]).tolist(),
    "np functions": lambda t: (int(np.sum(t.l)), np.concatenate([t.l, t.l]).tolist()),
    "np index": lambda t: np.arange(10)[t.l].tolist(),
    # --- pydantic ---
    "model_validate": lambda t: Model.model_validate(t.d).model_dump(),
    "model of **": lambda t: Model(**t.d).model_dump(),
    "field value": lambda t: Holder(value=t.d, items=t.l).model_dump(),
    "TypeAdapter": lambda t: (
        pydantic.TypeAdapter(list[int]).validate_python(t.l),
        pydantic.TypeAdapter(tuple[int, ...]).validate_python(t.l),
        pydantic.TypeAdapter(abc.Mapping[str, int]).validate_python(t.d["m"]),
        pydantic.TypeAdapter(set[int]).validate_python(t.s),
        pydantic.TypeAdapter(Item).validate_python(t.r),
    ),
}
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    TABLE[f"pickle {protocol}"] = through(
        lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
    )


def content_of(text: str) -> str:
    """The text of a list without the name of its class."""
    return text.removeprefix("FrozenList(").removesuffix(")")


@pytest.mark.parametrize("row", TABLE)
def test_it_is_as_with_plain_data(things: Things, row: str) -> None:
    expected = TABLE[row](Things(content()))
    assert TABLE[row](things) == expected


# --- what cannot be, and what to do instead ----------------------------------------------------


REFUSED: dict[str, tuple[Callable[[Things], Any], Callable[[Things], Any]]] = {
    "dataclasses.replace": (
        lambda t: replace(t.r, a=5),
        lambda t: replace(copy.deepcopy(t.r), a=5) == Item(5),
    ),
    "pydantic strict": (
        lambda t: Model.model_validate(t.d, strict=True),
        lambda t: Model.model_validate(t.d.to_dict(), strict=True).a == 1,
    ),
    "json without the encoder": (
        lambda t: json.dumps(t.d),
        lambda t: json.loads(json.dumps(t.d.to_dict())) == content()["d"],
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_needs_a_plain_copy_says_so_and_works_with_one(things: Things, row: str) -> None:
    direct, instead = REFUSED[row]
    with pytest.raises((TypeError, ValueError)):
        direct(things)
    assert instead(things)
