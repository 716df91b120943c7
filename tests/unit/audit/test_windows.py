"""Windows and rates: what happened long ago counts no more, and what is rare may pass."""

from __future__ import annotations

import pytest

from theus import TheusEngine, process
from theus.audit import AuditRecipe, AuditRecipeBook, AuditSystem, AuditValidator, ProcessRules
from theus.audit.counters import MOST
from theus.config import ConfigFactory
from theus.errors import (
    AuditAbortError,
    AuditBlockError,
    RegistrationError,
    SchemaViolationError,
)


class Clock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def system_of(clock: Clock, **settings) -> AuditSystem:
    return AuditSystem(AuditRecipe("B", **settings), clock=clock)


def test_failures_leave_the_window() -> None:
    clock = Clock()
    system = system_of(clock, threshold_max=1, window=10)
    system.log_fail("key")
    clock.now = 109.9
    assert system.get_count("key") == 1
    clock.now = 110.0
    assert system.get_count("key") == 0
    assert system.get_count_all() == {}
    assert system.log_fail("key") == 1
    with pytest.raises(AuditBlockError):
        system.log_fail("key")


def test_a_clock_that_goes_back_stands_still() -> None:
    clock = Clock()
    system = system_of(clock, threshold_max=9, window=10)
    system.log_fail("key")
    clock.now = 50.0
    assert system.log_fail("key") == 2
    clock.now = 109.0
    assert system.get_count("key") == 2
    clock.now = 110.0
    assert system.get_count("key") == 0


def test_a_failure_that_is_taken_back_after_it_left_the_window() -> None:
    clock = Clock()
    system = system_of(clock, threshold_max=9, window=10)
    failure = system.count_failure("key")
    clock.now = 150.0
    system.log_fail("key")
    system.uncount(failure)
    assert system.get_count("key") == 1


def test_memory_is_bounded() -> None:
    system = system_of(Clock(), threshold_max=2 * MOST, window=10)
    for _ in range(MOST + 10):
        system.count_failure("key")
    assert system.get_count("key") == MOST


def test_what_is_rare_passes() -> None:
    system = system_of(Clock(), threshold_max=0, reset_on_success=False, rate=0.25)
    for _ in range(3):
        system.log_success("key")
    assert system.log_fail("key") == 1
    with pytest.raises(AuditBlockError):
        system.log_fail("key")


def test_in_a_recipe(tmp_path) -> None:
    book = ConfigFactory.load_recipe_from_string(
        """
audit: {level: B, reset_on_success: false, window: 1.5, rate: 0.5}
process_recipes:
  p:
    inputs: [{field: x, min: 1, window: 3}]
"""
    )
    assert (book.recipe.window, book.recipe.rate) == (1.5, 0.5)
    rule = book.rules_for("p").inputs[0]
    assert (rule.recipe(book.recipe).window, rule.recipe(book.recipe).rate) == (3, 0.5)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("audit: {window: 0}", (1, 17)),
        ("audit: {window: soon}", (1, 17)),
        ("audit:\n  window: .nan", (2, 11)),
        ("audit: {rate: 0.5}", (1, 15)),
        ("audit: {rate: 2, reset_on_success: false}", (1, 15)),
        ("process_recipes: {p: {inputs: [{field: x, window: []}]}}", (1, 51)),
    ],
)
def test_a_mistake_in_a_recipe_has_its_place(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(SchemaViolationError) as caught:
        ConfigFactory.load_recipe_from_string(text)
    assert (caught.value.line, caught.value.column) == place


@process(inputs=[], outputs=["domain.out"], errors=["ValueError"], side_effects=["disk"])
def give(ctx, value):
    return value


def test_a_rule_is_counted_once() -> None:
    book = ConfigFactory.load_recipe_from_string(
        "process_recipes: {give: {outputs: [{field: domain.out, max: 5, level: A}]}}"
    )
    with TheusEngine({"domain": {"out": 0}}, audit_recipe=book) as engine:
        with pytest.raises(AuditAbortError, match="how the output is computed"):
            engine.run(give, 9)
        assert engine.audit.get_count_all() == {"give.outputs.domain.out[max]": 1}
        assert len(engine.audit.get_logs()) == 1


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        (ProcessRules(errors=("ValueError",), side_effects=("disk",)), None),
        (ProcessRules(errors=("KeyError",)), "KeyError"),
        (ProcessRules(side_effects=("disk", "mail")), "mail"),
    ],
)
def test_a_contract_has_to_declare_what_the_book_expects(rules, missing) -> None:
    validator = AuditValidator(AuditRecipeBook(AuditRecipe(), {"give": rules}))
    with TheusEngine({"domain": {"out": 0}}, audit_recipe=validator) as engine:
        assert engine.audit is validator.system
        if missing is None:
            engine.register(give)
            return
        with pytest.raises(RegistrationError, match=missing):
            engine.register(give)
        with pytest.raises(RegistrationError, match=missing):
            engine.run(give, 1)
