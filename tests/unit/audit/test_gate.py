"""The gate: rules on inputs and outputs, attempts that end and attempts made again."""

from __future__ import annotations

import warnings

import pytest

from theus.audit import (
    AuditLevel,
    AuditRecipe,
    AuditRecipeBook,
    AuditRule,
    AuditSystem,
    AuditValidator,
    Check,
    ProcessRules,
)
from theus.errors import (
    AuditAbortError,
    AuditBlockError,
    AuditStopError,
    AuditWarning,
    PathError,
    SettingsError,
)

POSITIVE = (Check("min", 1),)


def gate(inputs=(), outputs=(), recipe=None):
    book = AuditRecipeBook(
        recipe or AuditRecipe("C"), {"load": ProcessRules(inputs=inputs, outputs=outputs)}
    )
    return AuditValidator(book)


def state(**paths):
    """A lookup as the engine gives it: dotted paths, and errors of ours for missing ones."""

    def lookup(path):
        try:
            return paths[path.replace(".", "_")]
        except KeyError:
            raise PathError(f"nothing at {path}", path=path) from None

    return lookup


def messages(validator):
    return [entry.message for entry in validator.system.get_logs()]


def test_a_process_without_rules_has_nothing_to_check():
    validator = gate(inputs=[AuditRule("x", POSITIVE)])
    assert validator.has_rules("load")
    assert not validator.has_rules("other")
    validator.validate_inputs("other", {"x": -5})
    validator.validate_outputs("other", {})
    assert messages(validator) == []


def test_a_recipe_alone_is_a_book_without_rules():
    validator = AuditValidator(AuditRecipe("S"))
    assert validator.book.recipe == validator.system.recipe == AuditRecipe("S")
    assert AuditValidator().book == AuditRecipeBook()
    system = AuditSystem()
    assert AuditValidator(None, system).system is system


def test_an_input_rule_looks_at_the_argument():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "S")])
    validator.validate_inputs("load", {"x": 5, "y": -1})
    with pytest.raises(AuditStopError, match=r"input 'x' is -5, must be at least 1") as caught:
        validator.validate_inputs("load", {"x": -5})
    assert caught.value.rule.field == "x"
    assert caught.value.key == "load.inputs.x[min]"


def test_an_input_rule_looks_at_the_state():
    validator = gate(inputs=[AuditRule("domain.x", POSITIVE, "A")])
    validator.validate_inputs("load", {}, state(domain_x=5))
    with pytest.raises(AuditAbortError, match=r"input 'domain\.x' is 0"):
        validator.validate_inputs("load", {}, state(domain_x=0))


def test_a_value_at_both_places_is_checked_at_both():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "S")])
    validator.validate_inputs("load", {"x": 1}, state(x=1))
    for argument, stored in ((1, 0), (0, 1)):
        with pytest.raises(AuditStopError):
            validator.validate_inputs("load", {"x": argument}, state(x=stored))


@pytest.mark.parametrize("checks", [(), POSITIVE])
def test_a_missing_value_fails(checks):
    validator = gate(
        inputs=[AuditRule("x", checks, "S")], outputs=[AuditRule("domain.y", checks, "S")]
    )
    with pytest.raises(AuditStopError, match="input 'x' is missing"):
        validator.validate_inputs("load", {}, state())
    with pytest.raises(AuditStopError, match=r"output 'domain\.y' is missing"):
        validator.validate_outputs("load", {})


def test_an_output_rule_looks_at_the_value_to_be():
    validator = gate(outputs=[AuditRule("domain.rows", POSITIVE, "B", "no rows", threshold_max=0)])
    validator.validate_outputs("load", {"domain.rows": 3})
    with pytest.raises(AuditBlockError, match=r"no rows \(output 'domain.rows' is 0"):
        validator.validate_outputs("load", state(domain_rows=0))
    assert messages(validator) == [
        "failure 1: no rows (output 'domain.rows' is 0, must be at least 1)"
    ]


def test_an_error_of_the_lookup_is_not_a_missing_value():
    def broken(path):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        gate(outputs=[AuditRule("x")]).validate_outputs("load", broken)


def test_ignored_rules_are_not_even_looked_at():
    def never(path):
        raise AssertionError("looked")

    rule = AuditRule("x", POSITIVE, "I")
    validator = gate(inputs=[rule], outputs=[rule])
    assert not validator.has_rules("load")
    validator.validate_inputs("load", {"x": -1}, never)
    validator.validate_outputs("load", never)


def test_block_counts_over_runs_and_a_good_value_resets():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "B", threshold_max=2)])
    for _ in range(2):
        for _ in range(2):
            validator.validate_inputs("load", {"x": 0})
        with pytest.raises(AuditBlockError, match="failed 3 times"):
            validator.validate_inputs("load", {"x": 0})
        assert validator.system.get_count("load.inputs.x[min]") == 3
        validator.validate_inputs("load", {"x": 1})
        assert validator.system.get_count_all() == {}


def test_a_rule_can_keep_its_count():
    rule = AuditRule("x", POSITIVE, "B", threshold_max=1, reset_on_success=False)
    validator = gate(inputs=[rule])
    validator.validate_inputs("load", {"x": 0})
    validator.validate_inputs("load", {"x": 1})
    with pytest.raises(AuditBlockError):
        validator.validate_inputs("load", {"x": 0})


def test_rules_on_one_field_count_separately():
    rules = [
        AuditRule("x", POSITIVE, "C"),
        AuditRule("x", (Check("min", -10),), "C"),
        AuditRule("x", (Check("max", 5),), "C"),
    ]
    validator = gate(inputs=rules, outputs=rules[:1])
    validator.validate_inputs("load", {"x": -20})
    validator.validate_inputs("load", {"x": 9})
    validator.validate_outputs("load", {"x": 0})
    assert validator.system.get_count_all() == {
        "load.inputs.x[max]": 1,
        "load.outputs.x[min]": 1,
    }
    validator.validate_inputs("load", {"x": -20})
    assert validator.system.get_count_all() == {
        "load.inputs.x[min]": 1,
        "load.inputs.x[min]#2": 1,
        "load.outputs.x[min]": 1,
    }


def test_processes_count_separately():
    rules = ProcessRules(inputs=[AuditRule("x", POSITIVE, "B", threshold_max=0)])
    validator = AuditValidator(AuditRecipeBook(processes={"a": rules, "b": rules}))
    for process in ("a", "b"):
        with pytest.raises(AuditBlockError, match="failed once"):
            validator.validate_inputs(process, {"x": 0})


def test_the_first_error_ends_the_check_and_what_came_before_is_kept():
    validator = gate(
        inputs=[
            AuditRule("a", POSITIVE, "C"),
            AuditRule("b", POSITIVE, "S"),
            AuditRule("c", POSITIVE, "S"),
        ]
    )
    with pytest.raises(AuditStopError, match="'b'"):
        validator.validate_inputs("load", {"a": 0, "b": 0, "c": 0})
    assert [entry.key for entry in validator.system.get_logs()] == [
        "load.inputs.a[min]",
        "load.inputs.b[min]",
    ]
    assert set(validator.system.get_count_all()) == {"load.inputs.a[min]", "load.inputs.b[min]"}


def test_a_warning_points_at_the_caller_and_lets_go_on():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "B", threshold_min=1)])
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        validator.begin("load").inputs({"x": 0})
    assert [(one.category, one.filename) for one in given] == [(AuditWarning, __file__)]


def test_a_warning_made_an_error_is_kept_like_one():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "B", threshold_min=1)])
    check = validator.begin("load")
    with pytest.raises(AuditWarning):
        check.inputs({"x": 0})
    check.discard()
    assert validator.system.get_count("load.inputs.x[min]") == 1
    assert len(messages(validator)) == 1


# --- attempts -----------------------------------------------------------------------------


def test_an_attempt_that_is_made_again_counts_once():
    validator = gate(
        inputs=[AuditRule("x", POSITIVE, "C")], outputs=[AuditRule("y", POSITIVE, "C")]
    )
    for _ in range(4):
        check = validator.begin("load")
        check.inputs({"x": 0})
        check.outputs(state(y=0))
        assert validator.system.get_count("load.inputs.x[min]") == 1
        check.discard()
        assert validator.system.get_count_all() == {}
    check = validator.begin("load")
    check.inputs({"x": 0})
    check.outputs(state(y=0))
    check.publish()
    check.discard()
    assert validator.system.get_count_all() == {"load.inputs.x[min]": 1, "load.outputs.y[min]": 1}
    assert len(messages(validator)) == 2
    check.publish()
    assert len(messages(validator)) == 2


def test_an_attempt_that_is_thrown_away_resets_nothing():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "C")])
    validator.validate_inputs("load", {"x": 0})
    check = validator.begin("load")
    check.inputs({"x": 1})
    check.discard()
    check.publish()
    assert validator.system.get_count("load.inputs.x[min]") == 1


def test_a_refused_attempt_stays_counted_when_it_is_rolled_back():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "S")])
    check = validator.begin("load")
    with pytest.raises(AuditStopError):
        check.inputs({"x": 0})
    check.discard()
    assert validator.system.get_count("load.inputs.x[min]") == 1
    assert len(messages(validator)) == 1


def test_attempts_at_the_same_time_do_not_pass_together_what_one_may():
    validator = gate(inputs=[AuditRule("x", POSITIVE, "B", threshold_max=1)])
    first, second = validator.begin("load"), validator.begin("load")
    first.inputs({"x": 0})
    with pytest.raises(AuditBlockError):
        second.inputs({"x": 0})


def test_a_rule_that_does_not_fit_the_book_is_refused_at_once():
    with pytest.raises(SettingsError):
        gate(inputs=[AuditRule("x", threshold_min=7)], recipe=AuditRecipe(AuditLevel.Block, 3))
