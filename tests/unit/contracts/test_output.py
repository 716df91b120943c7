"""Return values map to outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus.contracts.output import plan_outputs
from theus.errors import ContractViolationError, PathError

A = ("domain", "user", "name")
B = ("domain", "total")
C = ("heavy", "frames")
PLAN = plan_outputs(["domain.user.name", "domain_ctx.total", "heavy.frames"], "pay")
ONE = plan_outputs(["domain.total"], "pay")


@pytest.mark.parametrize("value", [5, "ab", (1, 2), [1], {"total": 1}, {}, False, 0, object()])
def test_one_output_takes_the_value(value: Any) -> None:
    assert ONE.assign(value) == [(B, value)]


@pytest.mark.parametrize("plan", [ONE, PLAN, plan_outputs([])])
def test_none_maps_to_nothing(plan: Any) -> None:
    assert plan.assign(None) == []


@pytest.mark.parametrize("value", [5, (1, 2), {"x": 1}])
def test_without_outputs_the_value_is_the_callers_alone(value: Any) -> None:
    assert plan_outputs([]).assign(value) == []
    assert plan_outputs(["domain.user.*", "**.x"]).assign(value) == []


@pytest.mark.parametrize("kind", [tuple, list])
def test_several_in_order(kind: type) -> None:
    assert PLAN.assign(kind([1, None, 3])) == [(A, 1), (B, None), (C, 3)]


@pytest.mark.parametrize(
    "value",
    [
        {"name": 1, "total": 2, "frames": 3},
        {"domain.user.name": 1, "domain.total": 2, "heavy.frames": 3},
        {"frames": 3, "domain_ctx.user.name": 1, ("domain", "total"): 2},
    ],
)
def test_several_by_name(value: Mapping[Any, Any]) -> None:
    assert PLAN.assign(value) == [(A, 1), (B, 2), (C, 3)]


def test_a_mapping_may_leave_out_outputs() -> None:
    assert PLAN.assign({"total": 2}) == [(B, 2)]
    assert PLAN.assign({}) == []


def test_any_mapping_will_do() -> None:
    class Result(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return {"total": 2}[key]

        def __iter__(self) -> Any:
            return iter(["total"])

        def __len__(self) -> int:
            return 1

    assert PLAN.assign(Result()) == [(B, 2)]


@pytest.mark.parametrize("value", [5, "abc", b"abc", {1, 2, 3}, 1.5, object(), range(3)])
def test_a_scalar_for_several_explains_the_three_forms(value: Any) -> None:
    with pytest.raises(ContractViolationError) as caught:
        PLAN.assign(value)
    text = str(caught.value)
    for part in (
        "'pay'",
        "3 outputs",
        "(1) a tuple or list",
        "(2) a dict by path",
        "(3) a dict by",
    ):
        assert part in text
    assert "domain.user.name" in text
    assert "'name'" in text
    assert caught.value.action == "return"


@pytest.mark.parametrize("value", [(), (1,), (1, 2), [1, 2, 3, 4]])
def test_the_number_of_values_must_fit(value: Any) -> None:
    with pytest.raises(ContractViolationError, match=f"length {len(value)}"):
        PLAN.assign(value)


@pytest.mark.parametrize("key", ["zzz", "domain.zzz", "..", 5, None, object(), ("domain", 1j)])
def test_unknown_keys_are_refused(key: Any) -> None:
    with pytest.raises(ContractViolationError, match="is no output"):
        PLAN.assign({"total": 1, key: 2})


def test_one_output_under_two_keys_is_refused() -> None:
    with pytest.raises(ContractViolationError, match=r"two values for 'domain_ctx\.total'"):
        PLAN.assign({"total": 1, "domain.total": 2})


def test_ambiguous_last_names_need_the_path() -> None:
    plan = plan_outputs(["domain.a.total", "domain.b.total", "domain.n"])
    with pytest.raises(ContractViolationError, match=r"'domain\.a\.total' and 'domain\.b\.total'"):
        plan.assign({"total": 1})
    assert plan.assign({"domain.b.total": 1, "n": 2}) == [
        (("domain", "b", "total"), 1),
        (("domain", "n"), 2),
    ]


def test_a_whole_path_goes_before_a_last_name() -> None:
    plan = plan_outputs(["total", "domain.total"])
    assert plan.assign({"total": 1}) == [(("total",), 1)]


def test_wildcards_take_no_return_values() -> None:
    plan = plan_outputs(["domain.user.*", "domain.total", "domain.total", "heavy.f?"])
    assert plan.targets == (B,)
    assert plan.assign((1, 2)) == [(B, (1, 2))]


def test_integer_and_quoted_keys() -> None:
    plan = plan_outputs(["domain.rows[0]", 'domain["a.*"]'])
    assert plan.targets == (("domain", "rows", 0), ("domain", "a.*"))
    assert plan.assign({0: "x", "a.*": "y"}) == [
        (("domain", "rows", 0), "x"),
        (("domain", "a.*"), "y"),
    ]


def test_malformed_outputs() -> None:
    with pytest.raises(PathError):
        plan_outputs(["domain..x"])


@given(st.lists(st.text("abc", min_size=1, max_size=2), min_size=2, max_size=6, unique=True))
def test_all_forms_agree(names: list[str]) -> None:
    plan = plan_outputs([f"domain.{name}" for name in names])
    values = tuple(range(len(names)))
    expected = plan.assign(values)
    assert plan.assign(list(values)) == expected
    by_name = dict(zip(names, values, strict=True))
    assert plan.assign(dict(reversed(by_name.items()))) == expected
    assert plan.assign({f"domain.{name}": item for name, item in by_name.items()}) == expected
