"""What may be done in a zone is decided at the access, for every way to do it."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from theus import BaseDomainContext, BaseSystemContext, StateUpdate, TheusEngine, process
from theus.context import AppendOnly, Immutable, Mutable
from theus.contracts import AdminTransaction, SemanticType
from theus.errors import ContextError, ContractViolationError, TransactionStateError
from theus.zones import ZONES, ContextZone

NAMES = {
    "data": "orders",
    "signal": "sig_stop",
    "meta": "meta_info",
    "heavy": "heavy_frame",
    "log": "log_events",
    "constant": "const_rates",
    "private": "internal_keys",
}
"""Zone -> a name in it."""

MAY = {
    "data": "append update delete",
    "signal": "append",
    "meta": "update",
    "heavy": "update",
    "log": "append",
    "constant": "",
    "private": "",
}
"""What a process may do with what is there, by zone: the table of the specification."""

MAPPING = {
    "update": (
        ("assign", lambda place: place.__setitem__("k", 9)),
        ("attribute", lambda place: setattr(place, "k", 9)),
        ("update", lambda place: place.update(k=9)),
        ("or", lambda place: place.__ior__({"k": 9})),
    ),
    "delete": (
        ("del", lambda place: place.__delitem__("k")),
        ("delattr", lambda place: delattr(place, "k")),
        ("pop", lambda place: place.pop("k")),
        ("popitem", lambda place: place.popitem()),
        ("clear", lambda place: place.clear()),
    ),
}
LIST = {
    "append": (
        ("append", lambda place: place.append(9)),
        ("extend", lambda place: place.extend([9])),
        ("iadd", lambda place: place.__iadd__([9])),
    ),
    "update": (
        ("item", lambda place: place.__setitem__(0, 9)),
        ("slice", lambda place: place.__setitem__(slice(0, 1), [9])),
        ("insert", lambda place: place.insert(0, 9)),
        ("sort", lambda place: place.sort(reverse=True)),
        ("reverse", lambda place: place.reverse()),
        ("imul", lambda place: place.__imul__(2)),
    ),
    "delete": (
        ("del", lambda place: place.__delitem__(0)),
        ("del slice", lambda place: place.__delitem__(slice(0, 1))),
        ("pop", lambda place: place.pop()),
        ("remove", lambda place: place.remove(1)),
        ("clear", lambda place: place.clear()),
    ),
}
SET = {
    "append": (
        ("add", lambda place: place.add(9)),
        ("update", lambda place: place.update({9})),
        ("or", lambda place: place.__ior__({9})),
    ),
    "delete": (
        ("discard", lambda place: place.discard(1)),
        ("remove", lambda place: place.remove(1)),
        ("pop", lambda place: place.pop()),
        ("clear", lambda place: place.clear()),
        ("sub", lambda place: place.__isub__({1})),
        ("and", lambda place: place.__iand__({2})),
    ),
}
KINDS = {"mapping": ({"k": 1}, MAPPING), "list": ([1, 2], LIST), "set": ({1, 2}, SET)}

CASES = [
    pytest.param(zone, kind, act, operation, id=f"{zone}-{kind}-{act}-{name}")
    for zone, (kind, (_, acts)) in itertools.product(NAMES, KINDS.items())
    for act, operations in acts.items()
    for name, operation in operations
]


def copied(value: Any) -> Any:
    return type(value)(value)


def engine_with(name: str, value: Any, **options: Any) -> TheusEngine:
    return TheusEngine({"domain": {name: copied(value)}}, **options)


def result(engine: TheusEngine, name: str) -> Any:
    return engine.state.to_dict()["domain"].get(name)


def run(engine: TheusEngine, body: Any, **contract: Any) -> Any:
    @process(inputs=[], outputs=["domain"], name="change", **contract)
    def change(ctx: Any) -> None:
        body(ctx)

    engine.register(change)
    return engine.run("change")


def test_the_table_has_every_zone() -> None:
    assert set(NAMES) == set(MAY) == {zone.value for zone in ContextZone}
    for rule in ZONES:
        allowed = {name for name in ("append", "update", "delete") if getattr(rule, name)}
        assert set(MAY[rule.zone.value].split()) == allowed


@pytest.mark.parametrize(("zone", "kind", "act", "operation"), CASES)
def test_an_act_inside_a_zone(zone: str, kind: str, act: str, operation: Any) -> None:
    name, value = NAMES[zone], KINDS[kind][0]
    expected = copied(value)
    with engine_with(name, value) as engine:
        if act in MAY[zone].split():
            plain = expected if kind != "mapping" else _Named(expected)
            operation(plain)
            run(engine, lambda ctx: operation(ctx.domain[name]))
            assert result(engine, name) == expected != value
        else:
            with pytest.raises(ContractViolationError) as caught:
                run(engine, lambda ctx: operation(ctx.domain[name]))
            assert caught.value.fields["path"].startswith(f"domain.{name}")
            assert caught.value.fields["file"] == __file__
            assert result(engine, name) == value
            assert engine.state.version == 1


class _Named:
    """A dict whose keys are attributes too, as those of the state are."""

    def __init__(self, target: dict[str, Any]) -> None:
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._target[name] = value

    def __delattr__(self, name: str) -> None:
        del self._target[name]

    def __setitem__(self, key: str, value: Any) -> None:
        self._target[key] = value

    def __delitem__(self, key: str) -> None:
        del self._target[key]

    def __ior__(self, other: Any) -> Any:
        self._target.update(other)
        return self


PLACE = {
    "assign": lambda ctx, name: ctx.domain.__setitem__(name, 2),
    "attribute": lambda ctx, name: setattr(ctx.domain, name, 2),
    "incr": lambda ctx, name: ctx.incr(f"domain.{name}"),
    "max": lambda ctx, name: ctx.max(f"domain.{name}", 2),
    "setdefault": lambda ctx, name: ctx.domain.setdefault(name, 2),
}


@pytest.mark.parametrize("how", PLACE)
@pytest.mark.parametrize("zone", NAMES)
def test_replacing_the_entry_of_a_zone(zone: str, how: str) -> None:
    name = NAMES[zone]
    with engine_with("unused", []) as engine:
        with engine.transaction() as tx:
            tx.set(f"domain.{name}", 1)
        if zone == "private" or ("update" not in MAY[zone].split() and how != "setdefault"):
            with pytest.raises(ContractViolationError):
                run(engine, lambda ctx: PLACE[how](ctx, name))
            assert result(engine, name) == 1
        else:
            run(engine, lambda ctx: PLACE[how](ctx, name))
            assert result(engine, name) == (1 if how == "setdefault" else 2)


@pytest.mark.parametrize("zone", NAMES)
def test_a_key_that_is_not_there_replaces_nothing(zone: str) -> None:
    name = NAMES[zone]
    with engine_with("unused", []) as engine:
        if MAY[zone]:
            run(engine, lambda ctx: ctx.domain.__setitem__(name, 1))
            assert result(engine, name) == 1
        else:
            with pytest.raises(ContractViolationError):
                run(engine, lambda ctx: ctx.domain.__setitem__(name, 1))
            assert result(engine, name) is None


RETURNS = {
    "value": lambda name: 2,
    "key": lambda name: StateUpdate(key=f"domain.{name}", val=2),
    "data": lambda name: StateUpdate(data={f"domain.{name}": 2}),
    "area": lambda name: StateUpdate(data={"domain": {name: 2}}),
}


@pytest.mark.parametrize("how", RETURNS)
@pytest.mark.parametrize("zone", NAMES)
def test_what_is_returned_is_limited_as_what_is_written(zone: str, how: str) -> None:
    name = NAMES[zone]

    @process(inputs=[], outputs=[f"domain.{name}"])
    def give(ctx: Any) -> Any:
        return RETURNS[how](name)

    with TheusEngine({"domain": {name: 1}}) as engine:
        engine.register(give)
        if "update" in MAY[zone].split():
            engine.run(give)
            assert result(engine, name) == 2
        else:
            with pytest.raises(ContractViolationError):
                engine.run(give)
            assert result(engine, name) == 1


def test_a_returned_deletion_is_limited() -> None:
    @process(inputs=[], outputs=["domain.log_events"])
    def drop(ctx: Any) -> StateUpdate:
        return StateUpdate(delete=["domain.log_events"])

    with engine_with("log_events", [1]) as engine:
        engine.register(drop)
        with pytest.raises(ContractViolationError, match=r"Illegal Delete of 'domain\.log_events'"):
            engine.run(drop)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_zone_holds_at_any_depth(depth: int) -> None:
    value: Any = [1]
    for _ in range(depth):
        value = {"in": value}
    steps = ["in"] * depth

    def body(ctx: Any) -> None:
        place = ctx.domain["log_tree"]
        for step in steps:
            place = place[step]
        place.append(2)
        place.pop()

    with TheusEngine({"domain": {"log_tree": value}}) as engine:
        with pytest.raises(ContractViolationError, match="zone LOG"):
            run(engine, body)


def test_the_first_zone_on_the_way_decides() -> None:
    with TheusEngine({"domain": {"log_all": {"const_x": [1]}}}) as engine:
        run(engine, lambda ctx: ctx.domain.log_all.const_x.append(2))
        assert engine.state.domain.log_all.const_x == [1, 2]


def test_another_name_for_a_place_has_its_limits() -> None:
    def body(ctx: Any) -> None:
        ctx.domain["copy"] = ctx.domain["log_events"]
        ctx.domain["copy"].pop()

    with engine_with("log_events", [1, 2]) as engine:
        with pytest.raises(ContractViolationError):
            run(engine, body)
        assert result(engine, "log_events") == [1, 2]


@dataclass
class Order:
    const_id: int = 7
    log_steps: list[str] = field(default_factory=list)
    internal_note: str = "fields of records belong to their class"


def test_fields_of_records_are_in_zones() -> None:
    with TheusEngine({"domain": {"order": Order()}}) as engine:
        run(engine, lambda ctx: ctx.domain.order.log_steps.append("paid"))
        with pytest.raises(ContractViolationError, match="zone CONSTANT"):
            run(engine, lambda ctx: setattr(ctx.domain.order, "const_id", 8))
        run(engine, lambda ctx: setattr(ctx.domain.order, "internal_note", "seen"))
        found = engine.state.domain.order
        assert (found.const_id, found.log_steps, found.internal_note) == (7, ["paid"], "seen")


def test_members_and_items_are_no_names() -> None:
    with TheusEngine({"domain": {"tags": {"log_a"}, "rows": ["const_b"]}}) as engine:
        run(engine, lambda ctx: ctx.domain.tags.discard("log_a"))
        run(engine, lambda ctx: ctx.domain.tags.add("_x"))
        run(engine, lambda ctx: ctx.domain.rows.clear())
        assert engine.state.to_dict()["domain"] == {"tags": {"_x"}, "rows": []}


@pytest.mark.parametrize(
    "read",
    [
        lambda ctx: ctx.domain["internal_keys"],
        lambda ctx: ctx.domain.internal_keys,
        lambda ctx: ctx.domain.get("internal_keys"),
        lambda ctx: "internal_keys" in ctx.domain,
        lambda ctx: ctx.peek("domain.internal_keys"),
        lambda ctx: ctx.peek("domain.internal_keys.k"),
        lambda ctx: ctx.ensure("domain.internal_keys"),
    ],
)
def test_private_names_are_for_administrators(read: Any) -> None:
    seen = []

    def body(ctx: Any) -> None:
        with AdminTransaction(ctx):
            seen.append(read(ctx))
        read(ctx)

    with engine_with("internal_keys", {"k": 1}) as engine:
        with pytest.raises(ContractViolationError, match="internal_"):
            run(engine, body)
    assert len(seen) == 1


# --- administrators ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "act", "operation"),
    [
        (kind, act, operation)
        for kind, (_, acts) in KINDS.items()
        for act, operations in acts.items()
        for _, operation in operations
    ],
)
@pytest.mark.parametrize("zone", NAMES)
def test_an_administrator_is_stopped_by_what_is_constant_only(
    zone: str, kind: str, act: str, operation: Any
) -> None:
    name, value = NAMES[zone], KINDS[kind][0]

    def body(ctx: Any) -> None:
        with AdminTransaction(ctx) as admin:
            operation(admin.domain[name])

    with engine_with(name, value) as engine:
        if zone == "constant":
            with pytest.raises(ContractViolationError, match="zone CONSTANT"):
                run(engine, body)
            assert result(engine, name) == value
        else:
            run(engine, body)
            assert result(engine, name) != value


def test_what_is_constant_can_be_made_by_an_administrator_once() -> None:
    def body(ctx: Any) -> None:
        with AdminTransaction(ctx):
            ctx.domain["const_limit"] = 5

    with engine_with("unused", []) as engine:
        run(engine, body)
        assert engine.state.domain.const_limit == 5
        with pytest.raises(ContractViolationError):
            run(engine, body)


CHANGES = {
    "set": lambda tx: tx.set("domain.const_limit", 6),
    "update": lambda tx: tx.update(data={"domain": {"const_limit": 6}}),
    "delete": lambda tx: tx.delete("domain.const_limit"),
    "incr": lambda tx: tx.incr("domain.const_limit"),
    "item": lambda tx: tx.domain.__setitem__("const_limit", 6),
    "inside": lambda tx: tx.domain.const_table.__setitem__("new", 1),
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("strict", [True, False])
def test_a_transaction_by_hand_is_an_administrator(how: str, strict: bool) -> None:
    context = {"domain": {"const_limit": 5, "const_table": {"a": 1}, "log_x": [1], "_p": 1}}
    with TheusEngine(context, strict_mode=strict) as engine:
        with pytest.raises(ContractViolationError, match="zone CONSTANT"):
            with engine.transaction() as tx:
                CHANGES[how](tx)
        with engine.transaction() as tx:
            tx.domain.log_x.clear()
            tx.domain["_p"] = 2
        assert engine.state.to_dict()["domain"] == {**context["domain"], "log_x": [], "_p": 2}


def test_compare_and_swap_keeps_constants() -> None:
    with engine_with("const_table", {"k": 1}) as engine:
        with pytest.raises(ContractViolationError):
            engine.compare_and_swap(1, data={"domain": {"const_table": {}}})
        assert result(engine, "const_table") == {"k": 1}


def test_an_administrator_is_not_limited_by_the_contract() -> None:
    @process(inputs=["domain.a"], outputs=["domain.a"])
    def repair(ctx: Any) -> None:
        with AdminTransaction(ctx):
            ctx.domain.b = ctx.domain["_secret"] + 1
            ctx.domain.c.d.append(1)
        ctx.domain.c.d.append(2)

    @process(inputs=["domain.a"], outputs=["domain.a"])
    def repair_well(ctx: Any) -> None:
        with AdminTransaction(ctx):
            ctx.domain.b = ctx.domain["_secret"] + 1
            ctx.domain.c.d.append(1)

    with TheusEngine({"domain": {"a": 1, "_secret": 4, "c": {"d": []}}}) as engine:
        for one in (repair, repair_well):
            engine.register(one)
        with pytest.raises(ContractViolationError, match=r"domain\.c"):
            engine.run(repair)
        assert engine.state.version == 1
        engine.run(repair_well)
        assert (engine.state.domain.b, engine.state.domain.c.d) == (5, [1])


def test_a_block_is_noted_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    def body(ctx: Any) -> None:
        with AdminTransaction(ctx), AdminTransaction(ctx):
            pass

    with engine_with("unused", []) as engine, caplog.at_level("INFO", "theus.admin"):
        run(engine, body)
        noted = [entry.message for entry in engine.state.meta if entry.key == "admin"]
    assert len(noted) == 2
    said = [one.getMessage() for one in caplog.records if one.name == "theus.admin"]
    assert noted == said
    assert noted[0].startswith(f"process 'change' acts as administrator at {__file__}:")


def test_a_process_called_in_the_block_keeps_its_limits() -> None:
    @process(inputs=[], outputs=["domain"])
    def inner(ctx: Any) -> None:
        ctx.domain.log_events.clear()

    def outer(ctx: Any) -> None:
        with AdminTransaction(ctx):
            engine.run(inner)

    with engine_with("log_events", [1]) as engine:
        engine.register(inner)
        with pytest.raises(ContractViolationError, match="'inner'"):
            run(engine, outer)


def test_the_end_of_the_block_ends_the_rights() -> None:
    def body(ctx: Any) -> None:
        place = ctx.domain.log_events
        with pytest.raises(ZeroDivisionError):
            with AdminTransaction(ctx):
                place.pop()
                raise ZeroDivisionError
        place.pop()

    with engine_with("log_events", [1, 2]) as engine:
        with pytest.raises(ContractViolationError):
            run(engine, body)
        assert result(engine, "log_events") == [1, 2]


def test_a_pure_process_is_no_administrator() -> None:
    @process(inputs=[], outputs=["domain.a"], semantic=SemanticType.PURE)
    def compute(ctx: Any) -> int:
        with AdminTransaction(ctx):
            return ctx.domain.b

    with TheusEngine({"domain": {"a": 1, "b": 2}}) as engine:
        engine.register(compute)
        with pytest.raises(ContractViolationError, match="act as administrator"):
            engine.run(compute)


def test_the_block_of_an_ended_context_is_refused() -> None:
    kept = []
    with engine_with("unused", []) as engine:
        run(engine, kept.append)
        with pytest.raises(TransactionStateError):
            AdminTransaction(kept[0]).__enter__()


def test_in_a_unit_test_the_block_does_nothing() -> None:
    context = {"domain": {}}
    with AdminTransaction(context) as same:
        assert same is context


# --- modes ---------------------------------------------------------------------------------------


def test_reports_let_it_through() -> None:
    with engine_with("log_events", [1], contracts="report") as engine:
        run(engine, lambda ctx: ctx.domain.log_events.clear())
        assert result(engine, "log_events") == []
        assert [one.action for one in engine.violations] == ["delete"]


def test_nobody_looks_where_contracts_are_off() -> None:
    with engine_with("log_events", [1], strict_mode=False) as engine:
        run(engine, lambda ctx: ctx.domain.log_events.clear())
        assert result(engine, "log_events") == []
    with engine_with("log_events", [1]) as engine:
        run(engine, lambda ctx: ctx.domain.log_events.clear(), contracts="off")
        assert result(engine, "log_events") == []


# --- annotations ---------------------------------------------------------------------------------


@dataclass
class Domain(BaseDomainContext):
    log_free: Annotated[list[int], Mutable] = field(default_factory=lambda: [1])
    events: Annotated[list[int], AppendOnly] = field(default_factory=lambda: [1])
    rates: Annotated[dict[str, Any], Immutable] = field(default_factory=lambda: {"a": [1]})
    const_open: Annotated[int, "text", Mutable] = 1
    internal_open: Annotated[int, Mutable] = 1
    plain: list[int] = field(default_factory=lambda: [1])


@dataclass
class System(BaseSystemContext):
    domain: Domain = field(default_factory=Domain)


def test_annotations_override_names() -> None:
    def body(ctx: Any) -> None:
        ctx.domain.log_free.clear()
        ctx.domain.log_free = [2]
        ctx.domain.events.append(2)
        ctx.domain.const_open += 1
        ctx.domain.internal_open += 1
        ctx.domain.plain.pop()

    with TheusEngine(System()) as engine:
        run(engine, body)
        assert engine.state.to_dict()["domain"] == {
            "log_free": [2],
            "events": [1, 2],
            "rates": {"a": [1]},
            "const_open": 2,
            "internal_open": 2,
            "plain": [],
        }


@pytest.mark.parametrize(
    ("change", "admin"),
    [
        (lambda ctx: ctx.domain.events.pop(), True),
        (lambda ctx: setattr(ctx.domain, "events", []), True),
        (lambda ctx: ctx.domain.__delitem__("events"), True),
        (lambda ctx: ctx.domain.rates.a.append(1), False),
        (lambda ctx: setattr(ctx.domain, "rates", {}), False),
        (lambda ctx: ctx.domain.rates.pop("a"), False),
    ],
)
def test_annotations_limit(change: Any, admin: bool) -> None:
    def body(ctx: Any) -> None:
        with AdminTransaction(ctx):
            change(ctx)

    with TheusEngine(System()) as engine:
        before = engine.state.to_dict()
        with pytest.raises(ContractViolationError, match="is annotated so"):
            run(engine, change)
        assert engine.state.to_dict() == before
        if admin:
            run(engine, body)
            assert engine.state.to_dict() != before
        else:
            with pytest.raises(ContractViolationError, match="is annotated so"):
                run(engine, body)


def test_a_peek_into_annotated_containers() -> None:
    def body(ctx: Any) -> None:
        ctx.domain.log_free.append(2)
        seen.append((ctx.peek("domain.rates"), ctx.peek("domain")["log_free"]))

    seen: list[Any] = []
    with TheusEngine(System()) as engine:
        run(engine, body)
    assert seen == [({"a": [1]}, [1, 2])]


def test_set_up_code_keeps_constants() -> None:
    with TheusEngine(System()) as engine:
        with engine.edit() as context:
            context.domain.plain = [5]
            context.domain.events = []
        assert engine.state.to_dict()["domain"]["plain"] == [5]
        with pytest.raises(ContractViolationError, match="annotated"):
            with engine.edit() as context:
                context.domain.rates = {"a": [2]}
        assert engine.state.to_dict()["domain"]["rates"] == {"a": [1]}


def test_two_annotations_are_refused() -> None:
    @dataclass
    class Two(BaseDomainContext):
        both: Annotated[int, Mutable, Immutable] = 1

    with pytest.raises(ContextError, match="Mutable and Immutable"):
        TheusEngine({"domain": Two()})


# --- conflicts -----------------------------------------------------------------------------------


def test_two_that_make_the_same_log_do_not_lose_one() -> None:
    """Whether there is a log is a read: the second to come finds it made and must append."""
    started = threading.Barrier(2, timeout=30)
    first = [True, True]

    @process(inputs=["domain"], outputs=["domain"])
    def note(ctx: Any, number: int) -> None:
        if "log_made" in ctx.domain:
            ctx.domain.log_made.append(number)
        else:
            ctx.domain.log_made = [number]
        if first[number]:
            first[number] = False
            started.wait()

    with TheusEngine({"domain": {}}) as engine:
        engine.register(note)
        threads = [threading.Thread(target=engine.run, args=(note, n)) for n in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(engine.state.domain.log_made) == [0, 1]
