"""`ContextGuard`: a contract and zones around any object; and the logger of a process."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from theus import BaseDomainContext, BaseSystemContext, TheusEncoder, TheusEngine, process
from theus.errors import ContractViolationError, PathError, UnsupportedValueError
from theus.guards import ContextGuard, ContextLoggerAdapter
from theus.structures import Transaction
from theus.supervisor import SupervisorProxy


@dataclass
class Shop(BaseDomainContext):
    orders: list[dict[str, Any]] = field(default_factory=lambda: [{"n": 1}, {"n": 2}])
    total: int = 3
    secret: str = "s"
    log_events: list[str] = field(default_factory=lambda: ["a"])
    const_rates: dict[str, float] = field(default_factory=lambda: {"a": 0.1})
    tags: set[str] = field(default_factory=lambda: {"x"})

    def sum(self) -> int:
        return sum(order["n"] for order in self.orders)

    def raise_total(self) -> None:
        self.total += 1


@dataclass
class System(BaseSystemContext):
    domain: Shop = field(default_factory=Shop)


def shop(kind: str) -> Any:
    made = Shop()
    if kind == "record":
        return made
    return dict(vars(made)) if kind == "mapping" else SimpleNamespace(**vars(made))


KINDS = ["record", "mapping"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_declared_can_be_read_and_written(kind: str) -> None:
    target = shop(kind)
    guard = ContextGuard(target, ["domain.orders"], ["domain.total"], "domain")
    assert guard.orders[1]["n"] == 2
    assert guard.total == 3
    guard.total = 4
    guard["total"] += 1
    found = target["total"] if kind == "mapping" else target.total
    assert found == 5


READS = {
    "attribute": lambda guard: guard.secret,
    "item": lambda guard: guard["secret"],
    "get": lambda guard: guard.get("secret"),
    "in": lambda guard: "secret" in guard,
    "iteration": lambda guard: list(guard),
    "items": lambda guard: dict(guard.items()),
    "len": lambda guard: len(guard),
    "stars": lambda guard: {**guard},
    "to_dict": lambda guard: guard.to_dict(),
    "repr": lambda guard: repr(guard),
    "copy": lambda guard: copy.copy(guard),
    "deepcopy": lambda guard: copy.deepcopy(guard),
    "pickle": lambda guard: pickle.dumps(guard),
    "json": lambda guard: json.dumps(guard, cls=TheusEncoder),
    "equal": lambda guard: guard == {"secret": "s"},
    "missing": lambda guard: guard.get("nothing"),
    "proxy": lambda guard: SupervisorProxy(guard).secret,
    "guard": lambda guard: ContextGuard(guard).secret,
}


@pytest.mark.parametrize("how", READS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_declared_cannot_be_read(kind: str, how: str) -> None:
    guard = ContextGuard(shop(kind), ["domain.orders"], ["domain.total"], "domain")
    with pytest.raises(ContractViolationError) as caught:
        READS[how](guard)
    assert isinstance(caught.value, PermissionError)
    assert "permission" in str(caught.value)


WRITES = {
    "attribute": lambda guard: setattr(guard, "secret", "x"),
    "item": lambda guard: guard.__setitem__("secret", "x"),
    "delete": lambda guard: guard.__delitem__("secret"),
    "delattr": lambda guard: delattr(guard, "secret"),
    "update": lambda guard: guard.update(secret="x"),
    "setdefault": lambda guard: guard.setdefault("fresh", 1),
    "pop": lambda guard: guard.pop("secret"),
    "clear": lambda guard: guard.clear(),
    "nested": lambda guard: guard.orders[0].__setitem__("n", 9),
    "append": lambda guard: guard.orders.append({}),
    "insert": lambda guard: guard.orders.insert(0, {}),
    "del item": lambda guard: guard.orders.__delitem__(0),
    "slice": lambda guard: guard.orders.__setitem__(slice(0, 1), []),
    "sort": lambda guard: guard.orders.sort(key=str),
    "reverse": lambda guard: guard.orders.reverse(),
    "iadd": lambda guard: guard.orders.__iadd__([{}]),
    "proxy": lambda guard: SupervisorProxy(guard).__setitem__("secret", "x"),
}


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_declared_cannot_be_written(kind: str, how: str) -> None:
    target = shop(kind)
    before = copy.deepcopy(target)
    guard = ContextGuard(target, ["domain"], ["domain.total"], "domain")
    with pytest.raises(ContractViolationError):
        WRITES[how](guard)
    assert target == before


def test_the_error_says_where_and_what_to_add() -> None:
    guard = ContextGuard(Shop(), ["domain.orders"], [], "domain")
    with pytest.raises(ContractViolationError) as caught:
        guard.orders[-1]["n"] = 5
    fields = caught.value.fields
    assert fields["path"] == "domain.orders[1].n"
    assert fields["change"] == ("outputs", "domain.orders[1].n")
    assert fields["file"] == __file__


def test_methods_do_what_the_guard_allows() -> None:
    guard = ContextGuard(Shop(), ["orders", "sum"], [])
    assert guard.sum() == 3
    free = ContextGuard(Shop(), ["**"], [])
    with pytest.raises(ContractViolationError, match="total"):
        free.raise_total()


def test_a_whole_context_in_any_spelling() -> None:
    system = System()
    guard = ContextGuard(system, ["domain_ctx.orders"], ["domain.total"])
    assert guard.domain.orders[0]["n"] == 1
    guard.domain.total = 8
    assert system.domain.total == 8
    with pytest.raises(ContractViolationError):
        guard.domain.secret
    with pytest.raises(ContractViolationError):
        guard.global_ctx


def test_neither_inputs_nor_outputs_is_no_limit() -> None:
    target = Shop()
    guard = ContextGuard(target)
    guard.secret = "t"
    guard.orders.append({"n": 3})
    assert guard.to_dict()["secret"] == "t"
    assert len(target.orders) == 3


def test_globs() -> None:
    guard = ContextGuard({"user_a": 1, "user_b": {"x": 2}, "item": 3}, ["user_*"], ["user_b.*"])
    assert (guard.user_a, guard.user_b.x) == (1, 2)
    guard.user_b.x = 3
    with pytest.raises(ContractViolationError):
        guard.user_a = 2
    with pytest.raises(ContractViolationError):
        guard.item


# --- zones ---------------------------------------------------------------------------------------


def test_strict_mode_adds_zones_and_private_names() -> None:
    target = {**vars(Shop()), "_x": 1, "internal_y": 2}
    loose = ContextGuard(copy.deepcopy(target), ["**"], ["**"])
    loose.log_events.clear()
    assert (loose["_x"], loose.internal_y) == (1, 2)
    strict = ContextGuard(target, ["**"], ["**"], strict_mode=True)
    strict.log_events.append("b")
    assert target["log_events"] == ["a", "b"]
    for act in (
        lambda: strict.log_events.pop(),
        lambda: strict.log_events.__setitem__(0, "c"),
        lambda: setattr(strict, "log_events", []),
        lambda: strict["_x"],
        lambda: strict.internal_y,
        lambda: strict.__setitem__("_x", 2),
    ):
        with pytest.raises(ContractViolationError):
            act()
    assert target["log_events"] == ["a", "b"]


@pytest.mark.parametrize("admin", [True, False])
@pytest.mark.parametrize("strict", [True, False])
def test_constants_stay_as_they_are(admin: bool, strict: bool) -> None:
    target = Shop()
    guard = ContextGuard(target, ["**"], ["**"], is_admin=admin, strict_mode=strict)
    for act in (
        lambda: setattr(guard, "const_rates", {}),
        lambda: guard.const_rates.__setitem__("a", 1.0),
        lambda: guard.const_rates.__setitem__("b", 1.0),
        lambda: guard.const_rates.pop("a"),
        lambda: guard.__delitem__("const_rates"),
    ):
        with pytest.raises(ContractViolationError, match="zone CONSTANT"):
            act()
    assert target.const_rates == {"a": 0.1}


def test_an_administrator_is_not_limited_otherwise() -> None:
    target = Shop()
    guard = ContextGuard(target, ["orders"], [], is_admin=True, strict_mode=True)
    guard.secret = "t"
    guard.log_events.clear()
    assert (target.secret, target.log_events) == ("t", [])


def test_sets_come_out_as_copies_where_they_may_not_be_changed() -> None:
    target = Shop()
    assert type(ContextGuard(target, ["tags"], []).tags) is frozenset
    writable = ContextGuard(target, [], ["tags"]).tags
    writable.add("y")
    assert target.tags == {"x", "y"}


# --- with a transaction --------------------------------------------------------------------------


def test_a_transaction_takes_the_writes() -> None:
    with Transaction() as tx:
        tx.update(data={"domain": {"a": 1, "b": 2}})
        target = {"a": 0}
        guard = ContextGuard(target, ["domain.a"], ["domain.a"], "domain", tx)
        guard.a += 1
        with pytest.raises(ContractViolationError):
            guard.b = 3
        assert tx.get("domain.a") == 2
        assert target == {"a": 0}


def test_a_process_hands_a_part_of_its_context_on() -> None:
    def helper(guard: Any) -> None:
        guard.domain.a += 1
        guard.domain.b += 1

    @process(inputs=["domain"], outputs=["domain"])
    def give(ctx: Any) -> None:
        helper(ContextGuard(ctx, ["domain.a"], ["domain.a"]))

    with TheusEngine({"domain": {"a": 1, "b": 1}}) as engine:
        engine.register(give)
        with pytest.raises(ContractViolationError, match=r"domain\.b"):
            engine.run(give)
        assert engine.state.version == 1


def test_storing_a_guard_stores_a_copy() -> None:
    target: dict[str, Any] = {"a": {"x": [1]}, "b": None}
    guard = ContextGuard(target, ["a"], ["b"])
    guard.b = guard.a
    guard.b.x.append(2)
    assert target == {"a": {"x": [1]}, "b": {"x": [1, 2]}}


@pytest.mark.parametrize("target", [5, "text", [1], None])
def test_what_cannot_be_guarded_is_refused(target: Any) -> None:
    with pytest.raises(UnsupportedValueError):
        ContextGuard(target, [], [])


def test_a_bad_pattern_is_refused() -> None:
    with pytest.raises(PathError):
        ContextGuard({}, ["a["], [])


# --- the logger ----------------------------------------------------------------------------------


def test_records_know_the_process(caplog: pytest.LogCaptureFixture) -> None:
    @process(inputs=[], outputs=[])
    def talk(ctx: Any) -> None:
        assert isinstance(ctx.log, ContextLoggerAdapter)
        ctx.log.warning("so %s", "it is", extra={"mine": 1})

    with TheusEngine() as engine, caplog.at_level(logging.WARNING, "theus"):
        engine.register(talk)
        engine.run(talk)
    [record] = caplog.records
    assert record.name == "theus.process.talk"
    assert record.getMessage() == "so it is"
    assert (record.theus_process, record.mine) == ("talk", 1)  # type: ignore[attr-defined]


def test_further_attributes(caplog: pytest.LogCaptureFixture) -> None:
    adapter = ContextLoggerAdapter(logging.getLogger("theus.test"), {"run": 7})
    with caplog.at_level(logging.INFO, "theus.test"):
        adapter.info("x")
    assert caplog.records[0].run == 7  # type: ignore[attr-defined]
