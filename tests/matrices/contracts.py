"""Every way to touch the state, against every kind of contract.

One table of accesses (what is done, and what it needs), crossed with contracts and with the ways
in which code reaches its access. What is expected is computed by `contract_oracle`.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from tests.matrices.contract_oracle import ANY_ITEM, Need, refused
from theus import ContractViolationError, StateUpdate, TheusEngine, process

Use = Callable[[Any], Any]

BOX = ("domain", "box")


@dataclass
class Record:
    """A record of the state."""

    k: int = 1
    other: int = 2

    @property
    def total(self) -> int:
        """Reads both fields."""
        return self.k + self.other

    def double(self) -> int:
        """Reads one field."""
        return self.k * 2

    def grow(self) -> None:
        """Reads and writes one field."""
        self.k += 1


KINDS: dict[str, Callable[[], Any]] = {
    "map": lambda: {"k": 1, "other": 2},
    "nested": lambda: {"k": {"x": 1, "y": 2}, "other": 2},
    "list": lambda: [1, 2],
    "set": lambda: {1, 2},
    "record": Record,
}


class Access(NamedTuple):
    """One row: a container kind, what is done to the container, and what that needs inside it."""

    kind: str
    name: str
    use: Use
    needs: tuple[tuple[str, Any], ...]


def box(*below: Any) -> tuple[Any, ...]:
    """A path in the container."""
    return BOX + below


def rows(kind: str, needs: list[tuple[str, Any]], **uses: Use) -> list[Access]:
    """Accesses of one kind of container with the same needs."""
    return [Access(kind, name, use, tuple(needs)) for name, use in uses.items()]


def unpacked(**items: Any) -> Any:
    return items


def put(target: Any, name: str, value: Any) -> None:
    """An assignment as an expression."""
    if isinstance(name, str):
        setattr(target, name, value)
    else:
        target[name] = value


def matched(value: Any) -> Any:
    match value:
        case {"k": found}:
            return found
    return None


def loop(values: Any) -> int:
    count = 0
    for _ in values:
        count += 1
    return count


def exec_add(b: Any) -> None:
    b["k"] += 1


def add_attribute(b: Any) -> None:
    b.k += 1


def slice_assignment(b: Any) -> None:
    b[0:1] = [5]


def delete_item(b: Any) -> None:
    del b[0]


def delete_slice(b: Any) -> None:
    del b[0:1]


def delete_attribute(b: Any) -> None:
    del b.k


def add_item(b: Any) -> None:
    b[0] += 1


def grow_in_place(b: Any) -> None:
    b += [3]


def repeat_in_place(b: Any) -> None:
    b *= 2


def or_in_place(b: Any, value: Any) -> None:
    b |= value


def and_in_place(b: Any, value: Any) -> None:
    b &= value


def minus_in_place(b: Any, value: Any) -> None:
    b -= value


def xor_in_place(b: Any, value: Any) -> None:
    b ^= value


READ_K = [("read", ("k",))]
READ_ALL: list[tuple[str, Any]] = [("read", ())]
WRITE_K = [("write", ("k",))]
WRITE_ALL: list[tuple[str, Any]] = [("write", ())]
READ_X = [("pass", ("k",)), ("read", ("k", "x"))]
WRITE_X = [("pass", ("k",)), ("write", ("k", "x"))]
ITEM = [("read", (0,))]
WRITE_ITEM = [("write", (0,))]
APPEND = [("write", (ANY_ITEM,))]
MEMBER = [("read", (1,))]
WRITE_MEMBER = [("write", (1,))]

ACCESSES: list[Access] = [
    *rows(
        "map",
        READ_K,
        attribute=lambda b: b.k,
        item=lambda b: b["k"],
        get=lambda b: b.get("k"),
        get_default=lambda b: b.get("k", 0),
        getattr=lambda b: getattr(b, "k", None),
        hasattr=lambda b: hasattr(b, "k"),
        contains=lambda b: "k" in b,
        not_contains=lambda b: "k" not in b,
        walrus=lambda b: (found := b.k) and found,
        walrus_item=lambda b: [found for _ in "a" if (found := b["k"])],
        comprehension=lambda b: [b[name] for name in ("k",)],
        dict_comprehension=lambda b: {name: b.get(name) for name in ("k",)},
        generator=lambda b: sum(b[name] for name in ("k",)),
        text=lambda b: f"{b.k}",
        setdefault_present=lambda b: b.setdefault("k", 5),
        condition=lambda b: 1 if b.k else 0,
        lambda_in=lambda b: (lambda: b.k)(),
        method_call=lambda b: b.__getitem__("k"),
    ),
    *rows(
        "map",
        READ_ALL,
        iteration=loop,
        len=len,
        bool=bool,
        keys=lambda b: list(b.keys()),
        values=lambda b: list(b.values()),
        items=lambda b: list(b.items()),
        in_keys=lambda b: "k" in b.keys(),  # noqa: SIM118
        double_star=lambda b: unpacked(**b),
        double_star_literal=lambda b: {**b},
        star=lambda b: [*b],
        unpacking=lambda b: _pair(b),
        dict=dict,
        list=list,
        sorted=sorted,
        reversed=lambda b: list(reversed(b)),
        copy=lambda b: b.copy(),
        deepcopy=copy.deepcopy,
        to_dict=lambda b: b.to_dict(),
        equals=lambda b: b == {},
        repr=repr,
        union=lambda b: b | {},
        right_union=lambda b: {} | b,
        comprehension_over=lambda b: [name for name in b],  # noqa: C416
        sum_of_values=lambda b: sum(b.values()),
        any_of=lambda b: any(b),
        match=matched,
    ),
    *rows(
        "map",
        WRITE_K,
        attribute=lambda b: put(b, "k", 5),
        item=lambda b: b.__setitem__("k", 5),
        delete=lambda b: b.__delitem__("k"),
        delete_attribute=delete_attribute,
        pop=lambda b: b.pop("k"),
        pop_default=lambda b: b.pop("k", None),
        update=lambda b: b.update({"k": 5}),
        update_keyword=lambda b: b.update(k=5),
        update_pairs=lambda b: b.update([("k", 5)]),
        or_in_place=lambda b: or_in_place(b, {"k": 5}),
    ),
    *rows(
        "map",
        [*READ_K, *WRITE_K],
        add_in_place=exec_add,
        add_attribute=add_attribute,
        both=lambda b: put(b, "k", b.k + 1),
    ),
    *rows("map", WRITE_ALL, clear=lambda b: b.clear(), popitem=lambda b: b.popitem()),
    *rows(
        "map",
        [("pass", ("new",)), ("write", ("new",))],
        setdefault_missing=lambda b: b.setdefault("new", 1),
    ),
    *rows("map", [("write", ("new",))], new_item=lambda b: b.__setitem__("new", 1)),
    *rows(
        "map",
        [("pass", ("gone",))],
        get_missing=lambda b: b.get("gone"),
        contains_missing=lambda b: "gone" in b,
    ),
    *rows(
        "nested",
        READ_X,
        attribute=lambda b: b.k.x,
        item=lambda b: b["k"]["x"],
        get=lambda b: b.get("k").get("x"),
        contains=lambda b: "x" in b.k,
        alias=lambda b: (lambda inner: inner.x)(b["k"]),
    ),
    *rows(
        "nested",
        [("pass", ("k",)), ("read", ("k",))],
        len=lambda b: len(b.k),
        copy=lambda b: {**b.k},
    ),
    *rows("nested", READ_ALL, to_dict=lambda b: b.to_dict(), values=lambda b: [*b.values()]),
    *rows(
        "nested",
        WRITE_X,
        attribute=lambda b: put(b.k, "x", 5),
        item=lambda b: b["k"].__setitem__("x", 5),
        delete=lambda b: b.k.__delitem__("x"),
        pop=lambda b: b.k.pop("x"),
        update=lambda b: b.k.update(x=5),
    ),
    *rows("nested", [("pass", ("k",)), ("write", ("k",))], clear=lambda b: b.k.clear()),
    *rows(
        "nested", WRITE_K, replace=lambda b: put(b, "k", {}), remove=lambda b: b.__delitem__("k")
    ),
    *rows(
        "list",
        ITEM,
        item=lambda b: b[0],
        negative=lambda b: b[-2],
        comprehension=lambda b: [b[at] for at in (0,)],
        walrus=lambda b: (found := b[0]) and found,
    ),
    *rows(
        "list",
        READ_ALL,
        iteration=loop,
        len=len,
        bool=bool,
        contains=lambda b: 1 in b,
        slice=lambda b: b[:1],
        unpacking=lambda b: _pair(b),
        star=lambda b: [*b],
        list=list,
        tuple=tuple,
        sum=sum,
        sorted=sorted,
        reversed=lambda b: list(reversed(b)),
        index=lambda b: b.index(1),
        count=lambda b: b.count(1),
        copy=lambda b: b.copy(),
        deepcopy=copy.deepcopy,
        to_list=lambda b: b.to_list(),
        equals=lambda b: b == [1],
        less=lambda b: b < [5],
        plus=lambda b: b + [1],  # noqa: RUF005
        right_plus=lambda b: [1] + b,  # noqa: RUF005
        times=lambda b: b * 2,
        repr=repr,
        comprehension_over=lambda b: [item for item in b],  # noqa: C416
        enumerate=lambda b: list(enumerate(b)),
        zip=lambda b: list(zip(b, b, strict=True)),
    ),
    *rows(
        "list",
        WRITE_ITEM,
        item=lambda b: b.__setitem__(0, 5),
        negative=lambda b: b.__setitem__(-2, 5),
    ),
    *rows("list", [*ITEM, *WRITE_ITEM], add_in_place=add_item),
    *rows(
        "list",
        APPEND,
        append=lambda b: b.append(3),
        extend=lambda b: b.extend([3]),
        grow_in_place=grow_in_place,
    ),
    *rows(
        "list",
        WRITE_ALL,
        insert=lambda b: b.insert(0, 5),
        pop=lambda b: b.pop(),
        pop_first=lambda b: b.pop(0),
        remove=lambda b: b.remove(1),
        clear=lambda b: b.clear(),
        sort=lambda b: b.sort(),
        reverse=lambda b: b.reverse(),
        delete=delete_item,
        delete_slice=delete_slice,
        slice=slice_assignment,
        repeat_in_place=repeat_in_place,
    ),
    *rows("set", MEMBER, contains=lambda b: 1 in b, not_contains=lambda b: 1 not in b),
    *rows(
        "set",
        READ_ALL,
        iteration=loop,
        len=len,
        bool=bool,
        set=set,
        star=lambda b: [*b],
        unpacking=lambda b: _pair(b),
        copy=lambda b: b.copy(),
        union=lambda b: b | {5},
        intersection=lambda b: b & {1},
        difference=lambda b: b - {1},
        symmetric=lambda b: b ^ {1},
        subset=lambda b: b <= {1, 2, 3},
        isdisjoint=lambda b: b.isdisjoint({5}),
        equals=lambda b: b == {1},
        sorted=sorted,
        repr=repr,
    ),
    *rows(
        "set",
        WRITE_MEMBER,
        add=lambda b: b.add(1),
        discard=lambda b: b.discard(1),
        remove=lambda b: b.remove(1),
        update=lambda b: b.update({1}),
        difference_update=lambda b: b.difference_update({1}),
        or_in_place=lambda b: or_in_place(b, {1}),
        minus_in_place=lambda b: minus_in_place(b, {1}),
    ),
    *rows(
        "set",
        [*READ_ALL, *WRITE_MEMBER],
        and_in_place=lambda b: and_in_place(b, {2}),
        intersection_update=lambda b: b.intersection_update({2}),
        xor_in_place=lambda b: xor_in_place(b, {1}),
        symmetric_difference_update=lambda b: b.symmetric_difference_update({1}),
    ),
    *rows("set", WRITE_ALL, clear=lambda b: b.clear(), pop=lambda b: b.pop()),
    *rows(
        "record",
        READ_K,
        attribute=lambda b: b.k,
        getattr=lambda b: getattr(b, "k", None),
        method=lambda b: b.double(),
        walrus=lambda b: (found := b.k) and found,
    ),
    *rows("record", [*READ_K, ("read", ("other",))], property=lambda b: b.total),
    *rows(
        "record",
        READ_ALL,
        equals=lambda b: b == 5,
        repr=repr,
        vars=vars,
        copy=copy.copy,
        deepcopy=copy.deepcopy,
    ),
    *rows("record", [], isinstance=lambda b: isinstance(b, Record)),
    *rows("record", WRITE_K, attribute=lambda b: put(b, "k", 5)),
    *rows("record", [*READ_K, *WRITE_K], add_in_place=add_attribute, method=lambda b: b.grow()),
]


def _pair(values: Any) -> Any:
    first, second = values
    return first, second


class ByPath(NamedTuple):
    """An access by path, through the context; nothing is passed on the way."""

    name: str
    use: Use
    needs: tuple[tuple[str, Any], ...]


BY_PATH: list[ByPath] = [
    ByPath("peek", lambda ctx: ctx.peek("domain.box.k"), (("read", ("k",)),)),
    ByPath("peek of all", lambda ctx: ctx.peek("domain.box"), (("read", ()),)),
    ByPath(
        "returned update", lambda ctx: StateUpdate(key="domain.box.k", val=1), (("write", ("k",)),)
    ),
    ByPath("returned data", lambda ctx: StateUpdate(data={"domain": {"box": 1}}), (("write", ()),)),
    ByPath(
        "returned deletion", lambda ctx: StateUpdate(delete=["domain.box.k"]), (("write", ("k",)),)
    ),
]
COMMUTING: dict[str, Use] = {
    "incr": lambda ctx: ctx.incr("domain.box.k"),
    "max": lambda ctx: ctx.max("domain.box.k", 5),
    "min": lambda ctx: ctx.min("domain.box.k", 0),
}

CONTRACTS: dict[str, str] = {
    "declared": "domain.box.k",
    "declared item": "domain.box.0",
    "declared member": "domain.box.1",
    "declared below": "domain.box.k.x",
    "parent declared": "domain.box",
    "area declared": "domain",
    "star": "domain.box.*",
    "star above": "domain.*",
    "star in between": "domain.*.k",
    "glob": "domain.b?x.[kz]",
    "one character": "domain.box.?",
    "deep": "**",
    "deep in between": "domain.**.k",
    "deep end": "domain.box.**",
    "undeclared": "domain.a",
    "another area": "global",
    "sibling declared": "domain.box.other",
    "sibling below": "domain.box.k.y",
    "longer name": "domain.box.key",
    "sibling of the parent": "domain.boxes",
    "glob that misses": "domain.box.[!k]*",
}


def directly(use: Use, ctx: Any) -> Any:
    return use(ctx.domain.box)


def by_items(use: Use, ctx: Any) -> Any:
    return use(ctx.domain["box"])


def by_alias(use: Use, ctx: Any) -> Any:
    area = ctx.domain
    known = area.box
    again = known
    return use(again)


def by_helper(use: Use, ctx: Any) -> Any:
    def helper(area: Any) -> Any:
        return use(area.box)

    return helper(ctx.domain)


def by_data(use: Use, ctx: Any) -> Any:
    return use(ctx.data["domain"].get("box"))


def in_thread(use: Use, ctx: Any) -> Any:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            use(ctx.domain.box)
        except BaseException as error:  # noqa: BLE001 - handed to the process
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


async def after_waiting(use: Use, ctx: Any) -> Any:
    area = ctx.domain
    await asyncio.sleep(0)
    return use(area.box)


WAYS: dict[str, Callable[[Use, Any], Any]] = {
    "direct": directly,
    "items": by_items,
    "alias": by_alias,
    "helper": by_helper,
    "data": by_data,
    "thread": in_thread,
    "async": after_waiting,
}


class Case(NamedTuple):
    """One combination."""

    name: str
    kind: str
    body: Callable[[Any], Any]
    needs: list[Need]
    inputs: list[str]
    outputs: list[str]


def bodies() -> Iterator[tuple[str, str, Callable[[Any], Any], list[Need]]]:
    """(name, kind, body, needs) of every access by every way."""
    passing = [Need("pass", ("domain",)), Need("pass", BOX)]
    for access in ACCESSES:
        needs = passing + [Need(action, box(*path)) for action, path in access.needs]
        for way, reach in WAYS.items():
            yield (
                f"{access.kind} {needs[-1].action} {access.name} / {way}",
                access.kind,
                _body(reach, access.use),
                needs,
            )
    for row in BY_PATH:
        needs = [Need(action, box(*path)) for action, path in row.needs]
        yield f"path {row.name}", "map", _plain(row.use), needs
    for name, use in COMMUTING.items():
        yield f"path {name}", "map", _plain(use), [*passing, Need("write", box("k"))]


def _body(reach: Callable[[Use, Any], Any], use: Use) -> Callable[[Any], Any]:
    if asyncio.iscoroutinefunction(reach):

        async def waits(ctx: Any) -> None:
            await reach(use, ctx)

        return waits

    def body(ctx: Any) -> None:
        reach(use, ctx)

    return body


def _plain(use: Use) -> Callable[[Any], Any]:
    def body(ctx: Any) -> Any:
        used = use(ctx)
        return used if isinstance(used, StateUpdate) else None

    return body


def cases() -> Iterator[Case]:
    """Every combination."""
    for name, kind, body, needs in bodies():
        for contract, pattern in CONTRACTS.items():
            for role in ("inputs", "outputs"):
                inputs = [pattern] if role == "inputs" else []
                outputs = [pattern] if role == "outputs" else ["domain.out.*"]
                yield Case(f"{name} / {contract} in {role}", kind, body, needs, inputs, outputs)


def _path_text(path: tuple[Any, ...]) -> str:
    text = ""
    for key in path:
        if key is ANY_ITEM:
            break
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def wrong(case: Case) -> str | None:
    """What is wrong with one case: a miss, a false alarm, a wrong error; None where it is right."""
    expected = refused(case.needs, case.inputs, case.outputs)
    declared = process(inputs=case.inputs, outputs=case.outputs, name="case")(case.body)
    with TheusEngine({"domain": {"box": KINDS[case.kind](), "a": 1}}) as engine:
        try:
            engine.run(declared)
        except ContractViolationError as error:
            if expected is None:
                return f"false alarm: {error}"
            action = "read" if expected.action == "pass" else expected.action
            if (error.action, error.path) != (action, _path_text(expected.path)):
                return f"expected {action} of {_path_text(expected.path)}: {error}"
            if not error.file or not error.line or error.process != "case":
                return f"no place: {error}"
            if engine.state.version != 1:
                return "something was committed"
        else:
            if expected is not None:
                return f"miss: {expected.action} of {_path_text(expected.path)}"
    return None


WRONG = {"misses", "false alarms", "wrong errors"}
"""The counts that are not 0 where something is wrong."""


def counts(step: int = 1) -> dict[str, int]:
    """Try every case, or each `step`-th: how many, allowed, refused, and what went wrong."""
    found: Counter[str] = Counter({"misses": 0, "false alarms": 0, "wrong errors": 0})
    for case in islice(cases(), 0, None, step):
        found["cases"] += 1
        expected = refused(case.needs, case.inputs, case.outputs)
        found["allowed" if expected is None else "refused"] += 1
        fault = wrong(case)
        if fault is not None:
            kind = fault.partition(":")[0]
            kinds = {"miss": "misses", "false alarm": "false alarms"}
            found[kinds.get(kind, "wrong errors")] += 1
    return dict(found)
