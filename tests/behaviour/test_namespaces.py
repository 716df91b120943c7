"""Namespaces: further areas of the state, with what processes may do in them."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from theus import BaseDomainContext, BaseSystemContext, TheusEngine, process
from theus.context import AppendOnly, Namespace, NamespacePolicy, NamespaceRegistry
from theus.contracts import AdminTransaction
from theus.errors import ContractViolationError, RegistrationError, SchemaViolationError


@dataclass
class Shop(BaseDomainContext):
    orders: list[int] = field(default_factory=list)


@dataclass
class Billing:
    invoices: list[int] = field(default_factory=lambda: [1])
    total: int = 0
    ledger: Annotated[list[int], AppendOnly] = field(default_factory=lambda: [1])
    rates: dict[str, float] = field(default_factory=lambda: {"a": 0.1})


@dataclass
class Vault:
    key: str = "k"


@dataclass
class System(BaseSystemContext):
    domain: Shop = field(default_factory=Shop)
    billing = Namespace(Billing)
    notes = Namespace(dict, policy=NamespacePolicy(allow_update=False))
    fixed = Namespace(Billing, NamespacePolicy(allow_update=False, allow_append=False))
    free = Namespace(Billing, NamespacePolicy(allow_delete=True))
    vault = Namespace(Vault, NamespacePolicy(allow_read=False))


def run(engine: TheusEngine, body: Any, *outputs: str, inputs: Any = ()) -> Any:
    @process(inputs=inputs, outputs=outputs, name="change")
    def change(ctx: Any) -> Any:
        return body(ctx)

    engine.register(change)
    return engine.run("change")


@pytest.fixture
def engine() -> Any:
    with TheusEngine(System()) as made:
        yield made


def test_a_namespace_is_an_area_of_its_own(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        ctx.billing.invoices.append(2)
        ctx.billing.total += 5

    run(engine, body, "billing.invoices", "billing.total")
    assert engine.state.data["billing"]["invoices"] == [1, 2]
    assert engine.state.data["billing"]["total"] == 5
    assert engine.state.to_dict()["domain"] == {"orders": []}
    assert list(engine.namespaces) == ["billing", "notes", "fixed", "free", "vault"]


def test_its_contract_is_that_of_any_path(engine: TheusEngine) -> None:
    with pytest.raises(ContractViolationError, match=r"billing\.total"):
        run(engine, lambda ctx: setattr(ctx.billing, "total", 1), "billing.invoices")
    assert run(engine, lambda ctx: ctx.billing.total, inputs=["billing.*"]) == 0


ACTS = {
    "append": lambda area: area.invoices.append(2),
    "update": lambda area: area.__setitem__("total", 2),
    "inner": lambda area: area.rates.__setitem__("a", 0.2),
    "delete": lambda area: area.rates.pop("a"),
    "clear": lambda area: area.invoices.clear(),
    "new": lambda area: area.rates.__setitem__("b", 0.2),
}
ALLOWED = {
    "billing": {"append", "update", "inner", "new"},
    "fixed": set(),
    "free": set(ACTS),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ALLOWED)
def test_the_policy_holds_in_all_of_it(engine: TheusEngine, name: str, act: str) -> None:
    before = engine.state.to_dict()

    def body(ctx: Any) -> None:
        ACTS[act](getattr(ctx, name))

    if act in ALLOWED[name]:
        run(engine, body, name)
        assert engine.state.to_dict() != before
    else:
        with pytest.raises(ContractViolationError, match=f"policy of the namespace '{name}'"):
            run(engine, body, name)
        assert engine.state.to_dict() == before


def test_a_policy_may_allow_new_keys_only(engine: TheusEngine) -> None:
    run(engine, lambda ctx: ctx.notes.__setitem__("a", 1), "notes")
    with pytest.raises(ContractViolationError):
        run(engine, lambda ctx: ctx.notes.__setitem__("a", 2), "notes")
    assert engine.state.to_dict()["notes"] == {"a": 1}


def test_annotations_go_before_the_policy_only_where_they_limit_more(engine: TheusEngine) -> None:
    run(engine, lambda ctx: ctx.free.ledger.append(2), "free")
    with pytest.raises(ContractViolationError, match="annotated"):
        run(engine, lambda ctx: ctx.free.ledger.pop(), "free")


@pytest.mark.parametrize(
    "read",
    [
        lambda ctx: ctx.vault,
        lambda ctx: ctx.vault.key,
        lambda ctx: ctx.data["vault"],
        lambda ctx: ctx.peek("vault.key"),
        lambda ctx: ctx.ensure("vault.key"),
        lambda ctx: "vault" in ctx.data,
    ],
)
def test_a_hidden_namespace_is_for_administrators(engine: TheusEngine, read: Any) -> None:
    def body(ctx: Any) -> Any:
        with AdminTransaction(ctx):
            return read(ctx) is not None

    assert run(engine, body, inputs=["**"]) is True
    with pytest.raises(ContractViolationError):
        run(engine, read, inputs=["**"])


def test_each_context_has_its_own_content() -> None:
    one, other = System(), System()
    one.billing.total = 5
    assert (one.billing.total, other.billing.total) == (5, 0)
    other.billing = Billing(total=9)
    with TheusEngine(one) as first, TheusEngine(other) as second:
        assert first.state.data["billing"]["total"] == 5
        assert second.state.data["billing"]["total"] == 9


def test_set_up_code_edits_it(engine: TheusEngine) -> None:
    with engine.edit() as context:
        context.billing.total = 7
        context.notes["x"] = 1
    assert engine.state.data["billing"]["total"] == 7
    assert engine.state.data["notes"] == {"x": 1}


def test_plain_data_and_back() -> None:
    system = System()
    system.billing.total = 3
    data = system.to_dict()
    assert data["billing"]["total"] == 3
    again = System.from_dict(data)
    assert isinstance(again.billing, Billing)
    assert again.to_dict() == data
    with pytest.raises(SchemaViolationError, match="nowhere"):
        System.from_dict({**data, "nowhere": {}})


def test_a_namespace_with_an_annotation_is_no_field() -> None:
    @dataclass
    class Annotated_(BaseSystemContext):
        billing: Any = Namespace(Billing)  # noqa: RUF009

    assert Annotated_().billing.total == 0
    with TheusEngine(Annotated_()) as made:
        assert made.state.data["billing"]["total"] == 0


def test_a_subclass_inherits_and_overrides() -> None:
    @dataclass
    class More(System):
        extra = Namespace(Vault)
        vault = Namespace(Billing)
        notes = None

    assert list(NamespaceRegistry(More)) == ["billing", "fixed", "free", "vault", "extra"]
    assert isinstance(More().vault, Billing)


def test_the_registry_is_a_mapping_and_is_announced() -> None:
    registry = NamespaceRegistry(System)
    assert registry["billing"].policy == NamespacePolicy()
    assert registry["billing"].name == "billing"
    assert len(registry) == 5
    assert System in NamespaceRegistry.announced()
    assert list(NamespaceRegistry({"domain": {}})) == []


def test_the_list_of_classes_keeps_none_alive() -> None:
    def make() -> None:
        class Gone:
            area = Namespace(Vault)

        assert Gone in NamespaceRegistry.announced()

    make()
    gc.collect()
    assert "Gone" not in [cls.__name__ for cls in NamespaceRegistry.announced()]


@pytest.mark.parametrize(
    "name",
    ["domain", "global_", "global_ctx", "signal", "heavy", "outbox", "_mine", "log_x", "peek"],
)
def test_names_that_are_taken_are_refused(name: str) -> None:
    with pytest.raises((RegistrationError, RuntimeError)) as caught:
        type("Bad", (), {name: Namespace(Vault)})
    error = caught.value
    found = error if isinstance(error, RegistrationError) else error.__cause__
    assert isinstance(found, RegistrationError)


def test_a_namespace_needs_a_class() -> None:
    with pytest.raises(TypeError, match="context class"):
        Namespace({})  # type: ignore[arg-type]
