"""The truth table of the levels, read from the documentation and checked row by row."""

from __future__ import annotations

import re
import warnings

import pytest

import theus.errors
from tests.support.paths import ROOT
from theus.audit import AuditLevel, AuditRecipe, AuditSystem, levels
from theus.errors import AuditError, AuditWarning, SettingsError

CONDITIONS = {
    "always": lambda count, least, most, over: True,
    "count > max and share > rate": lambda count, least, most, over: count > most and over,
    "0 < min <= count <= max and share > rate": (
        lambda count, least, most, over: 0 < least <= count <= most and over
    ),
    "otherwise": lambda count, least, most, over: True,
}
COUNTED = {"yes": True, "no": False}


def rows(width):
    """The rows of the table with so many columns in the documentation, without its head."""
    lines = re.findall(r"^\|(.*)\|$", levels.__doc__, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in cells if len(row) == width and set(row[0]) != {"-"}][1:]


def expected(level, count, least, most, over=True):
    """Outcome and `counted` of the first row that fits."""
    for name, when, then, counted in rows(4):
        if name == level.name and CONDITIONS[when](count, least, most, over):
            return (None if then == "go on" else getattr(theus.errors, then)), COUNTED[counted]
    raise AssertionError(f"no row for {level.name}, count {count}")


CASES = [
    (level, least, most, count)
    for level in AuditLevel
    for most in (0, 1, 3, 5)
    for least in range(most + 1)
    for count in range(1, most + 4)
]


def test_the_table_names_every_level():
    assert {row[0] for row in rows(4)} == {level.name for level in AuditLevel}


def test_every_row_decides_some_case():
    used = set()
    for level, least, most, count in CASES:
        for row in rows(4):
            if row[0] == level.name and CONDITIONS[row[1]](count, least, most, True):
                used.add(tuple(row))
                break
    assert used == {tuple(row) for row in rows(4)}


@pytest.mark.parametrize(("rate", "share"), [(None, 0.1), (0, 0.1), (0.5, 0.5), (0.5, 0.51)])
@pytest.mark.parametrize(("level", "least", "most", "count"), CASES)
def test_the_verdict_is_that_of_the_table(level, least, most, count, rate, share):
    outcome, counted = expected(level, count, least, most, share > (rate or 0))
    recipe = AuditRecipe(level, most, least, False, rate=rate)
    assert level.verdict(count, recipe, share) is outcome
    assert level.counts is counted


def test_the_page_has_the_same_tables():
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    for line in re.findall(r"^\|.*\|$", levels.__doc__, re.MULTILINE):
        assert re.sub(r" +|-+", " ", line) in re.sub(r" +|-+", " ", page)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(("level", "least", "most"), sorted({c[:3] for c in CASES}, key=str))
def test_a_system_does_what_the_table_says(level, least, most, reset):
    system = AuditSystem(AuditRecipe(level, most, least, reset))
    afterwards = dict(rows(2))[str(reset)]
    total = 0
    for _ in range(2):
        for _ in range(most + 2):
            outcome, counted = expected(level, total + 1, least, most)
            total += counted
            with warnings.catch_warnings(record=True) as given:
                warnings.simplefilter("always")
                try:
                    system.log_fail("key", "why")
                    raised = None
                except AuditError as error:
                    raised = type(error)
                    assert (error.key, error.count) == ("key", total)
            warned = [one.category for one in given]
            assert raised is (None if outcome is AuditWarning else outcome)
            assert warned == ([AuditWarning] if outcome is AuditWarning else [])
            assert system.get_count("key") == total
        system.log_success("key")
        total = 0 if afterwards == "0" else total
        assert system.get_count("key") == total


def test_the_fourth_failure_is_refused_by_default():
    system = AuditSystem()
    assert [system.log_fail("key") for _ in range(3)] == [1, 2, 3]
    with pytest.raises(theus.errors.AuditBlockError, match="key failed 4 times"):
        system.log_fail("key")


@pytest.mark.parametrize("level", AuditLevel)
def test_a_level_is_found_by_letter_name_and_itself(level):
    for spelling in (level, level.letter, level.letter.lower(), level.name, level.name.upper()):
        assert AuditLevel.parse(spelling) is level
    assert AuditLevel(level.letter) is level


@pytest.mark.parametrize("wrong", ["", "X", "Stopp", 1, None, True])
def test_an_unknown_level_is_refused_with_the_known_ones(wrong):
    with pytest.raises(SettingsError, match=r"S \(Stop\).*I \(Ignore\)") as caught:
        AuditLevel.parse(wrong)
    assert caught.value.option == "level"
