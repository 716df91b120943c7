"""One place that knows the processes: names, what is refused, use from many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.errors import ContractViolationError, RegistrationError, TheusError


@process(inputs=["domain.n"], outputs=["domain.n"])
def add_one(ctx: Any) -> int:
    return ctx.domain.n + 1


@pytest.fixture
def engine() -> Any:
    with TheusEngine({"domain": {"n": 1}}) as made:
        yield made


def _made(name: str, value: int = 0, **contract: Any) -> Any:
    return process(name=name, outputs=["domain.n"], **contract)(lambda ctx: value)


def test_it_is_a_read_only_mapping_that_follows_registrations(engine: TheusEngine) -> None:
    registry = engine.registry
    assert isinstance(registry, Mapping)
    assert dict(registry) == {}
    engine.register(add_one)
    assert dict(registry) == {"add_one": add_one}
    for change in (
        lambda: registry.__setitem__("other", add_one),
        lambda: registry.__delitem__("add_one"),
        lambda: registry.clear(),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()
    assert list(engine.registry) == ["add_one"]


def test_a_name_may_be_given(engine: TheusEngine) -> None:
    engine.register(_made("my name", 7))
    assert engine.run("my name") == 7


def test_registering_twice_is_nothing_new(engine: TheusEngine) -> None:
    assert engine.register(add_one) is add_one
    assert engine.register(add_one) is add_one
    assert list(engine.registry) == ["add_one"]


def test_a_name_that_is_taken_keeps_its_first_owner(engine: TheusEngine) -> None:
    engine.register(_made("same", 1))
    with pytest.raises(RegistrationError, match="'same'") as caught:
        engine.register(process(name="same")(lambda ctx: 2))
    assert caught.value.process == "same"
    assert engine.run("same") == 1


def test_the_contract_is_frozen_and_stays_with_the_function(engine: TheusEngine) -> None:
    engine.register(add_one)
    assert add_one.contract is engine.registry["add_one"].contract
    with pytest.raises((TheusError, AttributeError)):
        add_one.contract.inputs = ()


def test_one_function_in_two_engines(engine: TheusEngine) -> None:
    with TheusEngine({"domain": {"n": 10}}, strict_mode=False) as other:
        assert [engine.run(add_one), other.run(add_one), engine.run("add_one")] == [2, 11, 3]


class Owner:
    @process
    def method(self, ctx: Any) -> None: ...

    @staticmethod
    @process
    def static(ctx: Any) -> int:
        return 5


@process
def generator(ctx: Any) -> Any:
    yield 1


REFUSED: dict[str, Callable[[], Any]] = {
    "no contract": lambda: lambda ctx: None,
    "a builtin": lambda: len,
    "a class": lambda: Owner,
    "no function": lambda: 5,
    "a method": lambda: Owner.method,
    "a bound method": lambda: Owner().method,
    "a generator": lambda: generator,
    "a bad pattern": lambda: process(inputs=["domain..n"])(lambda ctx: None),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_a_process_is_refused(engine: TheusEngine, what: str) -> None:
    with pytest.raises(RegistrationError):
        engine.register(REFUSED[what]())
    assert dict(engine.registry) == {}


def test_a_static_method_can_be_one(engine: TheusEngine) -> None:
    assert engine.run(engine.register(Owner.static)) == 5


def test_a_pure_process_with_a_signal_is_refused_and_not_kept(engine: TheusEngine) -> None:
    bad = process(name="bad", inputs=["signal.stop"], semantic="pure")(lambda ctx: None)
    for _ in range(2):
        with pytest.raises(ContractViolationError, match="Zone: Signal"):
            engine.register(bad)
    assert "bad" not in engine.registry


def test_an_unknown_name_suggests_similar_ones(engine: TheusEngine) -> None:
    engine.register(_made("load_users"))
    with pytest.raises(RegistrationError, match=r"similar: load_users"):
        engine.run("users")


def test_many_threads_register_and_call(engine: TheusEngine) -> None:
    bodies = [_made(f"p{number}", number) for number in range(64)]
    errors: list[BaseException] = []
    ready = threading.Barrier(8)

    def work(offset: int) -> None:
        try:
            ready.wait()
            for at in range(64):
                body = bodies[(at + offset * 8) % 64]
                engine.register(body)
                assert engine.run(body.contract.name) == int(body.contract.name[1:])
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(engine.registry) == sorted(f"p{number}" for number in range(64))
