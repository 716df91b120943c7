"""`@process`: bare or with arguments, and the function stays what it is."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from theus.contracts import ProcessContract, SemanticType, process
from theus.contracts.decorator import check_function, contract_of
from theus.errors import RegistrationError


@process
def bare(ctx: Any) -> int:
    """Says seven."""
    return 7


@process(["domain.a"], ["domain.b"], SemanticType.PURE, [ValueError], ["log"], True)
def full(ctx: Any, factor: int = 2, *, plus: int = 0) -> int:
    return int(ctx.domain.a) * factor + plus


@process(outputs=["domain.b"], isolation="snapshot", write_timeout_ms=50, name="renamed")
async def later(ctx: Any) -> int:
    await asyncio.sleep(0)
    return 8


def test_bare() -> None:
    assert bare.contract == ProcessContract(name="bare")  # type: ignore[attr-defined]
    assert bare(None) == 7
    assert bare.__doc__ == "Says seven."


def test_all_arguments_by_position() -> None:
    assert contract_of(full) == ProcessContract(
        ("domain.a",),
        ("domain.b",),
        SemanticType.PURE,
        ("ValueError",),
        ("log",),
        True,
        name="full",
    )
    assert full(SimpleNamespace(domain=SimpleNamespace(a=3)), 5, plus=1) == 16


def test_async_functions_stay_async() -> None:
    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later(None)) == 8
    assert contract_of(later).name == "renamed"
    assert contract_of(later).isolation == "snapshot"
    assert contract_of(later).write_timeout_ms == 50


def test_decorated_functions_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(full)) is full


def test_two_contracts_on_one_function_do_not_mix() -> None:
    def body(ctx: Any, a: int = 1, *, b: int = 2) -> int:
        return a + b

    body.note = "kept"  # type: ignore[attr-defined]
    first = process(outputs=["domain.x"])(body)
    second = process(outputs=["domain.y"], name="other")(first)
    assert first is body
    assert second is not first
    assert contract_of(first).outputs == ("domain.x",)
    assert contract_of(second).outputs == ("domain.y",)
    assert second(None, b=5) == 6
    assert second.note == "kept"  # type: ignore[attr-defined]
    assert inspect.signature(second) == inspect.signature(first)


def test_closures_survive_the_copy() -> None:
    seen: list[int] = []

    @process
    @process
    def body(ctx: Any) -> None:
        seen.append(ctx)

    body(4)
    assert seen == [4]


def test_objects_with_a_call_method() -> None:
    class Job:
        def __call__(self, ctx: Any) -> int:
            return 3

    job = process(outputs=["domain.x"])(Job())
    assert contract_of(job).name == "Job"
    check_function(job)
    partial = process(functools.partial(bare))
    assert contract_of(partial).name == "partial"


@pytest.mark.parametrize("thing", [5, "domain.a", None])
def test_only_callables_are_decorated(thing: Any) -> None:
    with pytest.raises(RegistrationError):
        process(inputs=["domain.a"])(thing)


def test_a_text_in_place_of_a_list_is_refused_at_once() -> None:
    with pytest.raises(RegistrationError, match=r"write \['domain.a'\]"):
        process(inputs="domain.a")(lambda ctx: None)


def test_builtins_cannot_carry_a_contract() -> None:
    with pytest.raises(RegistrationError, match="cannot carry a contract"):
        process(len)


class Service:
    @process(outputs=["domain.x"])
    def method(self, ctx: Any) -> int:
        return 1

    @process(outputs=["domain.x"])
    @staticmethod
    def static(ctx: Any) -> int:
        return 2

    @staticmethod
    @process(outputs=["domain.y"])
    def static_inside(ctx: Any) -> int:
        return 3

    @process(outputs=["domain.x"])
    @classmethod
    def of_class(cls, ctx: Any) -> int:
        return 4

    @process
    def generate(ctx: Any) -> Any:
        yield 1


@pytest.mark.parametrize("method", [Service.method, Service().method, Service.of_class])
def test_methods_are_refused_at_registration(method: Any) -> None:
    assert contract_of(method).outputs == ("domain.x",)
    with pytest.raises(RegistrationError, match="is a method"):
        check_function(method)


def test_static_methods_are_functions() -> None:
    check_function(Service.static)
    check_function(Service.static_inside)
    assert contract_of(Service.static).outputs == ("domain.x",)
    assert contract_of(Service.static_inside).outputs == ("domain.y",)
    assert Service.static(None) == 2


def test_a_local_function_may_call_its_argument_self() -> None:
    def local(self: Any) -> None:
        return None

    check_function(local)


@process
async def generate_async(ctx: Any) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (Service, "is a class"),
        (5, "not a function"),
        (Service.generate, "is a generator"),
        (generate_async, "is a generator"),
    ],
)
def test_what_cannot_run_is_refused(thing: Any, why: str) -> None:
    with pytest.raises(RegistrationError, match=why):
        check_function(thing)


def test_a_function_without_contract_says_so() -> None:
    def undeclared(ctx: Any) -> None: ...

    with pytest.raises(RegistrationError, match="decorate it with @process"):
        contract_of(undeclared)
