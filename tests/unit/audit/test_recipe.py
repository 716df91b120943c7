"""Recipes and rules as values: spellings, limits, defaults."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from theus.audit import AuditLevel, AuditRecipe, AuditRecipeBook, AuditRule, Check, ProcessRules
from theus.errors import SettingsError


def test_the_defaults():
    recipe = AuditRecipe()
    assert recipe == AuditRecipe(AuditLevel.Block, 3, 0, True)
    assert repr(recipe).startswith("AuditRecipe(level=<AuditLevel.Block")


def test_both_spellings_of_a_threshold():
    assert AuditRecipe(max_threshold=5, min_threshold=2) == AuditRecipe("B", 5, 2)
    recipe = AuditRecipe(threshold_max=4, max_threshold=4, threshold_min=1)
    assert (recipe.max_threshold, recipe.min_threshold) == (4, 1)
    with pytest.raises(SettingsError, match="two spellings"):
        AuditRecipe(threshold_max=4, max_threshold=5)


def test_a_recipe_cannot_be_changed_and_can_be_pickled():
    recipe = AuditRecipe("C", 7, 2, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.level = AuditLevel.Stop
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert hash(recipe) == hash(AuditRecipe("C", 7, 2, False))


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"threshold_max": -1}, "threshold_max"),
        ({"threshold_max": 1.5}, "threshold_max"),
        ({"threshold_max": True}, "threshold_max"),
        ({"min_threshold": "1"}, "threshold_min"),
        ({"threshold_min": 4}, "threshold_min"),
        ({"threshold_max": 0, "threshold_min": 1}, "threshold_min"),
        ({"level": "Z"}, "level"),
        ({"reset_on_success": 1}, "reset_on_success"),
        ({"window": 0}, "window"),
        ({"window": -1}, "window"),
        ({"window": float("nan")}, "window"),
        ({"window": float("inf")}, "window"),
        ({"window": "1"}, "window"),
        ({"window": True}, "window"),
        ({"rate": 1, "reset_on_success": False}, "rate"),
        ({"rate": -0.1, "reset_on_success": False}, "rate"),
        ({"rate": float("nan"), "reset_on_success": False}, "rate"),
        ({"rate": 0.5}, "rate"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, option):
    with pytest.raises(SettingsError) as caught:
        AuditRecipe(**settings)
    assert caught.value.option == option


def test_a_rule_takes_from_the_recipe_what_it_leaves_open():
    default = AuditRecipe("C", 9, 4, False)
    assert AuditRule("x").recipe(default) == default
    assert AuditRule("x", level="S").recipe(default) == AuditRecipe("S", 9, 4, False)
    assert AuditRule("x", threshold_min=0).recipe(default) == AuditRecipe("C", 9, 0, False)
    assert AuditRule("x", reset_on_success=True).recipe(default) == AuditRecipe("C", 9, 4, True)
    timed = AuditRecipe("B", 9, 4, False, window=60, rate=0.5)
    assert AuditRule("x").recipe(timed) == timed
    assert AuditRule("x", window=5).recipe(timed).window == 5
    assert AuditRule("x", reset_on_success=True).recipe(timed).rate is None


def test_a_smaller_maximum_takes_the_warning_threshold_with_it():
    assert AuditRule("x", threshold_max=2).recipe(AuditRecipe("B", 9, 4)) == AuditRecipe("B", 2, 2)


def test_a_rule_that_does_not_fit_the_recipe_is_refused():
    with pytest.raises(SettingsError, match="could never warn"):
        AuditRule("x", threshold_min=5).recipe(AuditRecipe("B", 3))


@pytest.mark.parametrize("field", ["", None, 3])
def test_a_rule_needs_a_field(field):
    with pytest.raises(SettingsError, match="field"):
        AuditRule(field)


@pytest.mark.parametrize(
    "checks",
    [
        [Check("min", 3), Check("max", 2)],
        [Check("min_len", 3), Check("max_len", 2)],
        [Check("min", 3), Check("max", "z")],
    ],
)
def test_a_rule_that_nothing_can_keep_is_refused(checks):
    with pytest.raises(SettingsError, match="no value of 'x' can be both"):
        AuditRule("x", checks)


def test_a_rule_says_what_it_wants_and_what_is_wrong():
    rule = AuditRule("x", [Check("min", 0), Check("max", 5), Check("neq", 3)], "B")
    assert str(rule) == "x must be at least 0 and at most 5 and different from 3"
    assert str(AuditRule("x")) == "x must be there"
    assert rule.problem(4) is None
    assert rule.problem(9) == "is 9, must be at most 5"
    assert rule.problem(3) == "is 3, must be different from 3"
    assert pickle.loads(pickle.dumps(rule)) == rule


def test_the_place_of_a_rule_is_no_part_of_its_value():
    assert AuditRule("x", place="a:1:1") == AuditRule("x", place="b:2:2")


def test_a_book_is_detached_from_what_it_was_made_of():
    rules = ProcessRules(inputs=[AuditRule("x")], errors=["ValueError"])
    processes = {"load": rules}
    book = AuditRecipeBook(processes=processes)
    processes.clear()
    assert book.rules_for("load") is rules
    assert rules.inputs == (AuditRule("x"),)
    assert book.rules_for("other") == ProcessRules()
    with pytest.raises(TypeError):
        book.processes["other"] = rules
