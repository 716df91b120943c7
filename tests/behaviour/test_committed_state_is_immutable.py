"""Promise: no mutator of no container reached by no public accessor changes committed state."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import attrs
import numpy as np
import pydantic
import pytest

from theus import BaseDomainContext, BaseSystemContext, TheusEngine, process
from theus.errors import TheusError


@dataclasses.dataclass
class Data:
    xs: list[int]
    n: int = 1


@attrs.define
class Attrs:
    xs: list[int]
    n: int = 1


class Model(pydantic.BaseModel):
    xs: list[int]
    n: int = 1


class Plain:
    def __init__(self, xs: list[int]) -> None:
        self.xs = xs
        self.n = 1


@dataclasses.dataclass
class Shop(BaseDomainContext):
    inner: Any = dataclasses.field(
        default_factory=lambda: {
            "map": {"k": 1, "deep": {"list": [[3, 1, 2]]}},
            "list": [3, 1, 2],
            "set": {1, 2},
            "tuple": ([1], {"k": 1}),
            "array": np.arange(3),
            "data": Data([1]),
            "attrs": Attrs([1]),
            "model": Model(xs=[1]),
            "plain": Plain([1]),
        }
    )


@dataclasses.dataclass
class Root(BaseSystemContext):
    domain_ctx: Any = dataclasses.field(default_factory=Shop)


@process(inputs=["domain.inner"], outputs=["domain.unrelated"])
def _returning(ctx: Any) -> Any:
    return ctx.domain.inner


def _written(engine: TheusEngine) -> Any:
    engine.run(_returning)
    return engine.state.domain.unrelated


ACCESSORS: dict[str, Callable[[TheusEngine], Any]] = {
    "state.domain.x": lambda engine: engine.state.domain.inner,
    "state.domain[x]": lambda engine: engine.state.domain["inner"],
    "state.data": lambda engine: engine.state.data["domain"]["inner"],
    "state.domain_ctx": lambda engine: engine.state.domain_ctx.inner,
    "get": lambda engine: engine.state.domain.get("inner"),
    "values": lambda engine: next(iter(engine.state.domain.values())),
    "items": lambda engine: dict(engine.state.domain.items())["inner"],
    "copy()": lambda engine: engine.state.domain.copy()["inner"],
    "copy.copy": lambda engine: copy.copy(engine.state.domain)["inner"],
    "copy.deepcopy": lambda engine: copy.deepcopy(engine.state.domain)["inner"],
    "dict()": lambda engine: dict(engine.state.domain)["inner"],
    "to_dict of the state": lambda engine: engine.state.to_dict()["domain"]["inner"],
    "to_dict of a zone": lambda engine: engine.state.domain.to_dict()["inner"],
    "restrict_view": lambda engine: engine.state.restrict_view().domain.inner,
    "tx.state": lambda engine: engine.begin().state.domain.inner,
    "context object": lambda engine: engine.context.domain.inner,
    "written return value": _written,
    "return value": lambda engine: engine.run(_returning),
}

MUTATORS: dict[str, Callable[[Any], Any]] = {
    "setitem": lambda x: x.__setitem__("k", 9),
    "setindex": lambda x: x.__setitem__(0, 9),
    "setslice": lambda x: x.__setitem__(slice(0, 1), [9, 9]),
    "delitem": lambda x: x.__delitem__("k"),
    "delindex": lambda x: x.__delitem__(0),
    "setattr": lambda x: setattr(x, "n", 9),
    "setkeyattr": lambda x: setattr(x, "k", 9),
    "delattr": lambda x: delattr(x, "n"),
    "object.setattr": lambda x: object.__setattr__(x, "n", 9),
    "vars": lambda x: vars(x).__setitem__("n", 9),
    "__dict__": lambda x: x.__dict__["xs"].append(9),
    "update": lambda x: x.update({"k": 9}),
    "setdefault": lambda x: x.setdefault("new", 9),
    "pop()": lambda x: x.pop(),
    "pop(k)": lambda x: x.pop("k"),
    "popitem": lambda x: x.popitem(),
    "clear": lambda x: x.clear(),
    "ior": lambda x: x.__ior__({"k": 9}),
    "append": lambda x: x.append(9),
    "extend": lambda x: x.extend([9]),
    "insert": lambda x: x.insert(0, 9),
    "remove": lambda x: x.remove(1),
    "sort": lambda x: x.sort(),
    "reverse": lambda x: x.reverse(),
    "iadd": lambda x: x.__iadd__([9]),
    "imul": lambda x: x.__imul__(2),
    "add": lambda x: x.add(9),
    "discard": lambda x: x.discard(1),
    "symmetric": lambda x: x.symmetric_difference_update({1, 9}),
    "fill": lambda x: x.fill(9),
    "setflags": lambda x: (x.setflags(write=True), x.fill(9)),
    "view": lambda x: x.view().fill(9),
    "base": lambda x: x.base.fill(9),
    "ufunc out": lambda x: np.add(x, 1, out=x),
    "memoryview": lambda x: memoryview(x).__setitem__(0, 9),
    "resize": lambda x: x.resize(9),
}

REFUSALS = (TheusError, AttributeError, TypeError, ValueError, LookupError)


def _reachable(value: Any) -> Iterator[Any]:
    """A value and everything below it, by every way to go down."""
    yield value
    with suppress(*REFUSALS):
        if not isinstance(value, (str, bytes, np.ndarray)):
            for item in list(value):
                below = value[item] if isinstance(item, str) and hasattr(value, "keys") else item
                if not isinstance(below, (int, str)):
                    yield from _reachable(below)
    with suppress(*REFUSALS):
        if type(value.xs) is not int:
            yield value.xs


def _image(engine: TheusEngine) -> Any:
    inner = engine.state.domain.inner
    records = {name: (list(inner[name].xs), inner[name].n) for name in RECORDS}
    plain = {name: copy.deepcopy(inner[name]) for name in ("map", "list", "set", "tuple")}
    return repr((list(engine.state.domain), list(inner), records, plain, inner.array.tolist()))


RECORDS = ("data", "attrs", "model", "plain")


@pytest.mark.parametrize("accessor", ACCESSORS)
def test_every_mutator_raises_or_works_on_a_copy(accessor: str) -> None:
    with TheusEngine(Root()) as engine:
        ACCESSORS[accessor](engine)
        before, image = engine.state, _image(engine)
        tried = 0
        for name, mutate in MUTATORS.items():
            for thing in _reachable(ACCESSORS[accessor](engine)):
                tried += 1
                with suppress(*REFUSALS):
                    mutate(thing)
                assert _image(engine) == image, (name, type(thing))
        assert tried >= len(MUTATORS)
        assert accessor.endswith("return value") or engine.state is before


@pytest.mark.parametrize("name", [*RECORDS, "map", "list", "tuple", "array"])
def test_views_of_the_state_raise(name: str) -> None:
    with TheusEngine(Root()) as engine:
        inner = engine.state.domain.inner
        refused = {"array": lambda x: x.fill(9), "list": lambda x: x.append(9)}
        mutate = refused.get(name, lambda x: x.__setitem__(0, 9))
        if name in RECORDS:
            mutate = MUTATORS["setattr"]
        with pytest.raises(REFUSALS):
            mutate(inner[name])


@pytest.mark.parametrize("where", ["state", "data", "heavy"])
def test_the_state_itself_cannot_be_assigned_to(where: str) -> None:
    with TheusEngine({"domain": {}, "heavy": {}}) as engine:
        state = engine.state
        target = {"state": state, "data": state.data, "heavy": state.heavy}[where]
        with pytest.raises(TheusError, match="Immutable"):
            target.something = 1
        if where != "state":
            with pytest.raises(TheusError, match="Immutable"):
                target["something"] = 1
        assert engine.state is state


@pytest.mark.parametrize("name", [*RECORDS, "map", "list", "set", "tuple", "array"])
@pytest.mark.parametrize("way", ["context", "transaction", "swap", "return"])
def test_what_is_passed_in_stays_detached(way: str, name: str) -> None:
    own = Shop().inner
    with TheusEngine({"domain": {"inner": own if way == "context" else 0}}) as engine:
        if way == "transaction":
            with engine.transaction() as tx:
                tx.update(data={"domain": {"inner": own}})
        elif way == "swap":
            engine.compare_and_swap(1, data={"domain": {"inner": own}})
        elif way == "return":
            engine.run(process(outputs=["domain.inner"])(lambda ctx: own))
        image = _image(engine)
        target = own[name]
        mutators = {"list": list.reverse, "array": lambda x: x.fill(9), "set": set.clear}
        if name == "map":
            target["deep"]["list"][0].append(9)
        elif name == "tuple":
            target[0].append(9)
        elif name in RECORDS:
            target.xs.append(9)
            target.n = 9
        else:
            mutators[name](target)
        assert _image(engine) == image
