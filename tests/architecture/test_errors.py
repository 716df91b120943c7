"""One tree of errors: codes, remedies, built-in bases, fields that survive pickling."""

from __future__ import annotations

import builtins
import pickle
import re

import pytest

from theus import errors


def all_errors(base=errors.TheusError):
    return [base, *(one for sub in base.__subclasses__() for one in all_errors(sub))]


ERRORS = sorted(set(all_errors()), key=lambda one: one.code)
BUILT_IN = {
    one
    for one in vars(builtins).values()
    if isinstance(one, type) and issubclass(one, Exception) and one is not Exception
}


def test_codes_are_unique():
    codes = [one.code for one in ERRORS]
    assert len(set(codes)) == len(codes)


def test_all_is_complete():
    own = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type)
        and issubclass(one, Exception)
        and one.__module__ == errors.__name__
    }
    assert set(errors.__all__) == own


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
def test_an_error_has_its_own_code_remedy_and_docstring(error):
    assert error.__module__ == "theus.errors"
    assert re.fullmatch(r"T\d{3}", vars(error)["code"])
    assert len(vars(error)["remedy"]) > 10
    assert len(error.__doc__) > 10


@pytest.mark.parametrize("error", ERRORS[1:], ids=lambda one: one.__name__)
def test_an_error_is_also_a_built_in_one(error):
    assert BUILT_IN & set(error.__mro__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling(error, protocol):
    made = error("what, where, why", paths=("domain.a",), version=3)
    again = pickle.loads(pickle.dumps(made, protocol))
    assert type(again) is error
    assert str(again) == "what, where, why"
    assert again.paths == ("domain.a",)
    assert again.version == 3
    assert again.fields == made.fields
