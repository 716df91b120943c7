"""Promise: return values and `StateUpdate` go exactly where they say."""

from __future__ import annotations

from typing import Any

import pytest

from theus import StateUpdate, TheusEngine, process
from theus.errors import ContractViolationError, TheusError
from theus.structures import FunctionResult

START = {"domain": {"a": 0, "b": 0, "user": {"name": "ann", "age": 1}}}


def _after(outputs: list[str], returned: Any, **options: Any) -> dict[str, Any]:
    with TheusEngine(START, **options) as engine:
        engine.run(process(outputs=outputs)(lambda ctx: returned))
        return engine.state.domain.to_dict()


@pytest.mark.parametrize("value", [5, "text", [1, 2], (1, 2), {"a": 1}, False, 0, ""])
def test_one_output_takes_the_value_as_it_is(value: Any) -> None:
    assert _after(["domain.a"], value)["a"] == value


@pytest.mark.parametrize(
    "returned",
    [(1, 2), [1, 2], {"a": 1, "b": 2}, {"domain.b": 2, "domain.a": 1}, {"a": 1, "domain.b": 2}],
)
def test_the_forms_for_several_outputs(returned: Any) -> None:
    after = _after(["domain.a", "domain.b"], returned)
    assert (after["a"], after["b"]) == (1, 2)


def test_a_dict_may_leave_out_outputs() -> None:
    after = _after(["domain.a", "domain.b"], {"b": 2})
    assert (after["a"], after["b"]) == (0, 2)


@pytest.mark.parametrize("returned", [5, "ab", (1,), (1, 2, 3), {"c": 1}])
def test_other_forms_are_refused_with_the_accepted_ones(returned: Any) -> None:
    with pytest.raises(ContractViolationError, match=r"tuple or list .* dict by path"):
        _after(["domain.a", "domain.b"], returned)


def test_none_maps_to_nothing_and_keeps_writes_in_place() -> None:
    @process(outputs=["domain.a", "domain.b"])
    def in_place(ctx: Any) -> None:
        ctx.domain.a = 7

    with TheusEngine(START) as engine:
        engine.run(in_place)
        assert engine.state.domain.to_dict() == {**START["domain"], "a": 7}


def test_a_deep_path_replaces_only_itself() -> None:
    after = _after(["domain.user.name"], "bob")
    assert after == {**START["domain"], "user": {"name": "bob", "age": 1}}


def test_the_caller_gets_the_return_value() -> None:
    with TheusEngine(START) as engine:
        assert engine.run(process(outputs=["domain.a"])(lambda ctx: 5)) == 5
        assert engine.run(process(name="any")(lambda ctx: {"any": "thing"})) == {"any": "thing"}


@pytest.mark.parametrize(
    ("update", "changes"),
    [
        (StateUpdate(key="domain.a", val=3), {"a": 3}),
        (StateUpdate(data={"domain": {"a": 1, "b": 2}}), {"a": 1, "b": 2}),
        (StateUpdate(data={"domain.user.age": 9}), {"user": {"name": "ann", "age": 9}}),
        (StateUpdate(delete=["domain.user.age"]), {"user": {"name": "ann"}}),
        (StateUpdate(key="domain.a", val=3, assert_version=1), {"a": 3}),
    ],
)
def test_state_updates(update: StateUpdate, changes: dict[str, Any]) -> None:
    after = _after(["domain.a", "domain.b", "domain.user"], update)
    assert after == {**START["domain"], **changes}


@pytest.mark.parametrize(
    "update",
    [
        StateUpdate(key="domain.b", val=3),
        StateUpdate(data={"domain": {"a": 1, "b": 2}}),
        StateUpdate(delete=["domain.user"]),
        StateUpdate(heavy={"h": [1]}),
    ],
)
def test_state_updates_are_held_to_the_outputs(update: StateUpdate) -> None:
    with pytest.raises(ContractViolationError, match="Write permission denied for path"):
        _after(["domain.a"], update)


def test_an_asserted_version_that_is_over_commits_nothing() -> None:
    with TheusEngine(START, max_retries=1) as engine:
        engine.compare_and_swap(1, data={"domain": {"a": 1}})
        before = engine.state
        update = StateUpdate(key="domain.a", val=3, assert_version=1)
        with pytest.raises(TheusError):
            engine.run(process(outputs=["domain.a"])(lambda ctx: update))
        assert engine.state is before


def test_an_asserted_version_that_never_was_commits_nothing() -> None:
    with pytest.raises(TheusError):
        _after(["domain.a"], StateUpdate(key="domain.a", val=3, assert_version=99), max_retries=1)


def test_a_result_with_further_changes_is_one_commit() -> None:
    update = StateUpdate(key="domain.b", val=2, signal={"done": 1})
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        body = process(outputs=["domain.a", "domain.b"])(
            lambda ctx: FunctionResult({"a": 1}, update)
        )
        assert engine.run(body) == {"a": 1}
        assert (engine.state.domain.a, engine.state.domain.b) == (1, 2)
        assert engine.state.version == 2
        assert receiver.drain() == ["done:1"]


def test_an_update_beside_a_result_is_held_to_the_outputs_and_takes_the_result_with_it() -> None:
    result = FunctionResult(1, StateUpdate(key="domain.b", val=2))
    with TheusEngine(START) as engine:
        before = engine.state
        with pytest.raises(ContractViolationError, match="Write permission denied"):
            engine.run(process(outputs=["domain.a"])(lambda ctx: result))
        assert engine.state is before


def test_an_update_may_have_every_part_at_once() -> None:
    thing = object()
    update = StateUpdate(
        key="domain.a",
        val=1,
        data={"domain.b": 2},
        heavy={"thing": thing},
        signal={"done": 1},
        delete=["domain.user.age"],
        assert_version=1,
    )
    with TheusEngine(START) as engine:
        receiver = engine.signal.subscribe()
        engine.run(process(outputs=["domain.*", "heavy.*"])(lambda ctx: update))
        assert engine.state.domain == {"a": 1, "b": 2, "user": {"name": "ann"}}
        assert engine.state.heavy["thing"] is thing
        assert receiver.drain() == ["done:1"]
        assert engine.state.version == 2


def test_heavy_outputs_are_held_by_reference() -> None:
    thing = [1]
    with TheusEngine(START) as engine:
        engine.run(process(outputs=["heavy.thing"])(lambda ctx: thing))
        assert engine.state.heavy["thing"] is thing
