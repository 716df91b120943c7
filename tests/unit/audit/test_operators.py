"""The comparisons of rules, as a table of what passes and what does not."""

from __future__ import annotations

import math
import pickle
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus.audit.operators import OPERATORS, Check, Operator, short
from theus.errors import SettingsError

TABLE = [
    ("min", 0, [0, 1, 0.5, math.inf, True, np.array([0, 4])], [-1, -0.5, math.nan]),
    ("min", "m", ["m", "z"], ["a", ""]),
    ("min", date(2013, 1, 1), [date(2013, 1, 1)], [date(2012, 12, 31)]),
    ("max", 5, [5, -9, 4.9], [6, 5.1, math.nan, math.inf, np.array([1, 9])]),
    ("eq", 3, [3, 3.0, np.full(4, 3)], [4, "3", None, [3], np.array([3, 4])]),
    ("eq", None, [None], [0, "", False]),
    ("eq", {"a": [1]}, [{"a": [1]}], [{"a": [2]}, {}]),
    ("neq", 3, [4, "3", None, np.array([1, 2])], [3, 3.0, np.array([2, 3])]),
    ("min_len", 2, ["ab", [1, 2], {"a": 1, "b": 2}, np.zeros(2)], ["a", [], ()]),
    ("max_len", 2, ["ab", "", [1, 2], {}], ["abc", [1, 2, 3]]),
    ("regex", r"\d+$", ["1", "2013"], ["", "a1", "1a", "x"]),
]
CASES = [
    pytest.param(name, bound, value, good, id=f"{name} {bound}: {value!r}")
    for name, bound, passing, failing in TABLE
    for good, values in ((True, passing), (False, failing))
    for value in values
]


def test_the_table_has_every_operator():
    assert {row[0] for row in TABLE} == set(OPERATORS)


@pytest.mark.parametrize(("name", "bound", "value", "good"), CASES)
def test_what_passes_and_what_does_not(name, bound, value, good):
    problem = Check(name, bound).problem(value)
    assert (problem is None) is good
    assert good or problem.startswith("must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min", "text"),
        ("min", None),
        ("max", [1]),
        ("min_len", 5),
        ("max_len", None),
        ("regex", 5),
        ("regex", None),
        ("regex", b"1"),
    ],
)
def test_what_cannot_be_compared_does_not_pass(name, value):
    bound = {"regex": "1"}.get(name, 1)
    assert "cannot be compared" in Check(name, bound).problem(value)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("min", None),
        ("min", True),
        ("min", [1]),
        ("max", math.nan),
        ("max", {}),
        ("min_len", -1),
        ("min_len", 1.0),
        ("max_len", "3"),
        ("max_len", True),
        ("regex", "("),
        ("regex", 5),
        ("between", 3),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(name, bound):
    with pytest.raises(SettingsError, match=name) as caught:
        Check(name, bound)
    assert caught.value.option == name


def test_an_array_says_how_many_of_its_elements_are_wrong():
    problem = Check("min", 0).problem(np.array([1.0, -1.0, math.nan, 2.0]))
    assert problem == "must be at least 0 (2 of 4 elements are not)"


def test_an_empty_array_keeps_to_every_bound():
    assert Check("min", 0).problem(np.array([])) is None


def test_an_error_of_the_value_itself_is_not_taken_for_an_answer():
    class Broken:
        def __ge__(self, other):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Check("min", 0).problem(Broken())


def test_a_check_says_what_it_wants():
    assert Check("regex", "a+").requirement() == "text like 'a+'"
    assert Check("max_len", 3).requirement() == "at most 3 long"
    assert pickle.loads(pickle.dumps(Check("regex", "a+"))) == Check("regex", "a+")


def test_values_are_shown_in_one_short_line():
    assert short([1, 2]) == "[1, 2]"
    assert len(short("x" * 1000)) < 100
    assert "\n" not in short(np.zeros((3, 3)))


def test_an_operator_is_added_by_one_entry(monkeypatch):
    even = Operator("divisible by {}", lambda value, bound: value % bound == 0, int)
    monkeypatch.setitem(OPERATORS, "divisor", even)
    check = Check("divisor", 2)
    assert check.problem(4) is None
    assert check.problem(3) == "must be divisible by 2"


@given(value=st.floats(), low=st.floats(allow_nan=False), high=st.floats(allow_nan=False))
def test_numbers_are_compared_as_python_does(value, low, high):
    assert (Check("min", low).problem(value) is None) is (value >= low)
    assert (Check("max", high).problem(value) is None) is (value <= high)
    assert (Check("eq", low).problem(value) is None) is (value == low)
    assert (Check("neq", low).problem(value) is None) is (value != low)
