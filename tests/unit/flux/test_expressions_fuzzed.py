"""Expressions against Python as the oracle, and against random texts."""

from __future__ import annotations

import json
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import ROOT
from theus.errors import FluxError
from theus.flux.expressions import KINDS, ROOTS, compile_expression

CONTEXT = json.loads((ROOT / "tests" / "data" / "expr_ctx.json").read_text(encoding="utf-8"))
STATE = {
    "a": 3, "b": -7, "f": 2.5, "z": 0, "t": True, "s": "abc", "e": "", "n": None,
    "l": [3, 1, 2], "m": [[1], [2, 3]], "d": {"x": 1, "y": {"z": "deep"}},
}  # fmt: skip
NAMES = {"len": len, "abs": abs, "min": min, "max": max, "sum": sum, "sorted": sorted, "bool": bool}


def joined(operand, symbols):
    """Operands and symbols in turn, without parentheses: precedence decides."""
    pairs = st.lists(st.tuples(st.sampled_from(symbols), operand), min_size=1, max_size=3)
    return st.builds(
        lambda first, rest: " ".join([first, *(f"{symbol} {each}" for symbol, each in rest)]),
        operand,
        pairs,
    )


ATOMS = st.sampled_from(
    ["0", "1", "2", "-3", "2.5", "True", "False", "domain['a']", "domain['b']", "domain['f']",
     "domain['z']", "domain['t']", "domain['l'][0]", "domain['m'][1][0]", "domain['d']['x']",
     "len(domain['l'])", "domain['s']", "'abc'", "''", "None", "domain['n']", "domain['l']",
     "[1, 2]", "(1, 'a')", "domain['nothing']", "domain['l'][9]", "max(domain['l'])",
     "sorted(domain['l'])[0]", "2 ** 3", "-2 ** 2", "domain['s'][1:]", "domain['d']",
     "abs(domain['b'])", "sum(domain['l'], )"]
)  # fmt: skip


def larger(inner):
    return st.one_of(
        joined(inner, ["+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>"]),
        joined(inner, ["<", "<=", ">", ">=", "==", "!=", "in", "not in"]),
        joined(inner, ["and", "or"]),
        inner.map(lambda each: f"not {each}"),
        inner.map(lambda each: f"({each})"),
        inner.map(lambda each: f"-{each}"),
        st.tuples(inner, inner, inner).map(lambda three: "{} if {} else {}".format(*three)),
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
        st.tuples(inner, inner).map(lambda two: "[{}, {}][0]".format(*two)),
        inner.map(lambda each: f"bool({each})"),
    )


EXPRESSIONS = st.recursive(ATOMS, larger, max_leaves=10)


def by_python(text):
    """(worked, value) of the text as Python has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return True, eval(text, {"__builtins__": NAMES, "domain": STATE})  # noqa: S307
        except Exception:  # noqa: BLE001 - whatever Python refuses
            return False, None


@settings(max_examples=1500)
@given(EXPRESSIONS)
def test_where_both_have_a_value_it_is_the_same(text):
    worked, wanted = by_python(text)
    try:
        found = compile_expression(text)({"domain": STATE})
    except FluxError as error:
        assert error.kind in KINDS
        # Python has no limits, formats texts with % and merges dicts with |
        more = "%" in text or ("|" in text and "domain['d']" in text)
        assert not worked or error.kind == "limit" or more
        return
    assert worked, f"{text} is an error in Python"
    assert repr(found) == repr(wanted)  # with the types of everything in it


WORDS = """
    domain global signal cmd heavy items name _x __class__ len max sorted get startswith strip
    and or not in is if else for lambda None True 0 1 2.5 9999999999 'a' '%s' f'{x}'
    ** // << >> <= >= == != := ->
"""
SIGNS = [*WORDS.split(), *".,:()[]{}+-*/%&|^~<>=!@#$?;\\`'\" \n\t\x00\u00e9\uff4e"]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(SIGNS), max_size=25), st.sampled_from(["", " "]))
def test_soups_of_signs_have_a_value_or_are_refused(signs, between):
    check_harmless(between.join(signs))


@settings(max_examples=500)
@given(st.text(max_size=60))
def test_random_texts_have_a_value_or_are_refused(text):
    check_harmless(text)


@settings(max_examples=500)
@given(EXPRESSIONS, st.data())
def test_broken_expressions_have_a_value_or_are_refused(text, data):
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 4))
    put = data.draw(st.sampled_from(SIGNS))
    check_harmless(text[:at] + put + text[at + cut :], {"domain": STATE})


def check_harmless(text, context=CONTEXT):
    before = repr(context)
    try:
        expression = compile_expression(text)
        value = expression(context)
        names = {root: context.get(root, {}) for root in ROOTS}
        assert expression.test(names) in (True, False)
    except FluxError as error:
        assert error.kind in KINDS
        assert error.line >= 1
        assert 0 <= error.offset <= len(text)
    else:
        assert isinstance(value, (type(None), bool, int, float, str, list, tuple, dict, set))
    assert repr(context) == before
