"""Expressions: what is legal has its value, everything else is refused and touches nothing."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import sys
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import NamedTuple

import attrs
import numpy as np
import pydantic
import pytest

from tests.support.paths import ROOT
from theus._yaml import load
from theus.errors import FluxError
from theus.flux.expressions import KINDS, compile_expression, is_free_name
from theus.flux.expressions.limits import BITS, DEPTH, LENGTH, NODES, RESULT, TOUCHED

DATA = ROOT / "tests" / "data"
CONTEXT = json.loads((DATA / "expr_ctx.json").read_text(encoding="utf-8"))
ATTACKS = (DATA / "expr_attacks.txt").read_text(encoding="utf-8").splitlines()
LEGAL = [
    line.rpartition(" => ")[::2]
    for line in (DATA / "expr_legal.txt").read_text(encoding="utf-8").splitlines()
]


def value_of(text, context=CONTEXT):
    return compile_expression(text)(context)


def refused(text, context=CONTEXT):
    with pytest.raises(FluxError) as caught:
        value_of(text, context)
    assert caught.value.kind in KINDS
    return caught.value


# --- the corpora ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ATTACKS, ids=lambda text: text[:40])
def test_every_attack_is_refused_and_changes_nothing(text):
    before = copy.deepcopy(CONTEXT)
    error = refused(text)
    assert isinstance(error, ValueError)
    assert 0 <= error.offset <= error.end_offset <= len(text)
    assert before == CONTEXT


@pytest.mark.parametrize(("text", "value"), LEGAL, ids=lambda text: text[:40])
def test_every_legal_expression_has_its_value_and_type(text, value):
    found, wanted = value_of(text), ast.literal_eval(value)
    assert found == wanted
    assert type(found) is type(wanted)


# --- the language -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "-2 ** 2", "2 ** -1", "2 ** 3 ** 2", "-2 ** -2", "not 1 == 2", "not 1 in [1]",
        "1 + 2 * 3 - 4 / 5 // 6 % 7", "1 | 2 ^ 3 & 4 << 1 >> 1", "~5 & 3", "1 < 2 == 2 != 3",
        "1 if 0 else 2 if 0 else 3", "1 or 2 and 0", "not 0 or 1", "'a' 'b' \"c\"",
        "r'\\d' == '\\\\d'", "'\\x41\\u00e9\\U0001F600\\n\\t\\'\\101\\0'", "'''a b'''", "u'x'",
        "[1, 2, 3][-1]", "[1, 2, 3][1:]", "'abc'[:-1]", "(1, 2, 3)[0:99]", "[1][5:2]", "[]", "()",
        "{}", "{'a': 1, 'b': [2]}['b'][0]", "{1, 2} == {2, 1}", "(1,)", "[1,]", "{1: 2,}",
        "((((1))))", "1 in {1: 2}", "1 not in (2, 3)", "'b' in 'abc'", "(1, 2) in {1: 2}",
        "[1] + [2]", "(1,) * 3",
        "3 * 'ab'", "-1 * [1]", "[1, [2]] == [1, [2]]", "[1] == (1,)", "[1, 2] < [1, 3]",
        "(1, 'a') <= (1, 'b')", "1 == 1.0", "True == 1", "None == 0", "'a' < 'b'", "1 < 2.5",
        "0x_ff + 0b_1 + 0o1_7", "1_0.5e-1", ".5", "5.", "00", "1e3", "None is None",
        "True is True", "None is None is True",
        "{'a': {1: (2, [3])}} == {'a': {1: (2, [3])}}", "' x '.strip().upper().lower()",
        "'xax'.strip('x')", "'abc'.startswith('a') and not 'abc'.endswith('a')",
        "abs(-3) + max(1, 2) + min([4, 3]) + sum([1, 2.5])", "round(2.567, 1)", "round(2.5)",
        "round(12345, -2)", "int('12') + int(3.9) + int(True)", "float('1.5')",
        "str(1.5) + str(None)",
        "bool([])", "any([0, '', 2])", "all([])", "sorted([3, 1, 2])", "sorted(['b', 'a'])",
        "sorted([(2, 'b'), (1, 'z'), (1, 'a')])", "max('a', 'b')", "max([[1, 2], [1, 3]])",
        "len('abc') + len([1]) + len({1: 2}) + len((1, 2)) + len({1})", "any({0: 1})",
        "1 and 'x'", "0 and 'x'", "'' or []", "[] or {} or 0 or 'last'", "not []",
        "True + True", "True & False", "5 % 3.5", "-7 // 2", "-7 % 3", "2 ** 100",
        "(1 if True else 2) + 1", "1 if 1 < 2 and 3 else 0", "1 <2", " 1 ", "\t1", "+1", "--1",
        "'#'", "'global'", "'a => b'",
    ],
)  # fmt: skip
def test_it_means_what_python_means(text):
    wanted = eval(text.strip())  # noqa: S307 - the second opinion
    found = value_of(text)
    assert found == wanted
    assert type(found) is type(wanted)


def test_words_of_python_are_fields_after_a_point():
    context = {"domain": {"class": 1, "in": 2, "global": 3}, "global": {"domain": 4}}
    assert value_of("domain.class + domain.in + domain.global + global.domain", context) == 10


def test_what_is_not_evaluated_does_not_fail():
    assert value_of("True or 1 / 0") is True
    assert value_of("False and domain.nothing") is False
    assert value_of("1 if True else domain.nothing.at.all") == 1
    assert value_of("3 < 2 < 1 / 0") is False


def test_declared_names():
    expression = compile_expression("part['n'] + domain.x", names=["part"])
    assert expression.names == {"part", "domain"}
    assert expression.evaluate({"part": {"n": 1}, "domain": {"x": 2}}) == 3
    with pytest.raises(FluxError, match="Unknown name 'part'"):
        compile_expression("part")


def test_what_it_reads():
    text = "domain.a.b['c'] > 0 and len(domain['d']) and signal.get('s') or global[domain.i] or x"
    assert compile_expression(text, names=["x"]).reads == {
        "domain.a.b.c", "domain.d", "signal", "global", "domain.i",
    }  # fmt: skip
    assert compile_expression("1 < 2").reads == frozenset()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1", True), ("[]", False), ("''", False), ("None", False), ("domain", True), ("1 < 2", True),
     ("0 or 0", False), ("not 1", False), ("any([0])", False), ("signal", False)],
)  # fmt: skip
def test_conditions_are_true_or_false(text, wanted):
    names = {"domain": {"a": 1}, "signal": {}}
    assert compile_expression(text).test(names) is wanted


def test_it_is_only_an_expression_if_it_is_a_str():
    class Text(str):
        __slots__ = ()

    for wrong in (Text("1"), b"1", 1, None, ["1"]):
        with pytest.raises(TypeError):
            compile_expression(wrong)


def test_names_that_a_loop_may_declare():
    assert all(map(is_free_name, ["part", "x1", "item_2"]))
    taken = ["domain", "global", "cmd", "len", "for", "None", "_x", "1a", "", "tên", "a.b", "x "]
    assert not any(map(is_free_name, taken))


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "part"),
    [
        ("domain.items_left >", "syntax", ""),
        ("(1", "syntax", ""),
        ("[1, 2", "syntax", ""),
        ("1 2", "syntax", "2"),
        ("domain..x", "syntax", "."),
        ("'abc", "syntax", "'"),
        ("1 +* 2", "syntax", "*"),
        ("domain.tên", "syntax", "ê"),
        ("domain && x", "syntax", "&"),
        ("1 # no", "syntax", "#"),
        ("1\n+ 1", "syntax", "\n"),
        ("1 + \x00", "syntax", "\x00"),
        ("'\ud800'", "syntax", "\ud800"),
        ("\ufeff1", "syntax", "\ufeff"),
        ("", "syntax", ""),
        ("   ", "syntax", ""),
        ("a < b", "unknown-name", "a"),
        ("1 + domian.x", "unknown-name", "domian"),
        ("1 < true", "unknown-name", "true"),
        ("_x", "not-allowed", "_x"),
        ("domain._x", "not-allowed", "_x"),
        ("domain['_' + 'x']", "not-allowed", "'_' + 'x'"),
        ("domain.get('_x')", "not-allowed", "domain.get('_x')"),
        ("domain.name.format(1)", "not-allowed", "format"),
        ("f'{domain}'", "not-allowed", "f"),
        ("b'x'", "not-allowed", "b"),
        ("lambda: 1", "not-allowed", "lambda"),
        ("[x for x in [1]]", "unknown-name", "x"),
        ("[1 for x in [1]]", "not-allowed", "for"),
        ("[*[1]]", "not-allowed", "*"),
        ("{**{}}", "not-allowed", "**"),
        ("max(*[1])", "not-allowed", "*"),
        ("domain is 1", "not-allowed", "1"),
        ("len", "not-allowed", "len"),
        ("len.x", "not-allowed", "len"),
        ("'x'()", "not-allowed", "("),
        ("domain.items[::2]", "not-allowed", ":"),
        ("domain.nothing", "unknown-path", "nothing"),
        ("domain['order'].lines[7]", "unknown-path", "7"),
        ("domain.maybe.x", "unknown-path", "x"),
        ("1 + (1 / 0)", "zero-division", "1 / 0"),
        ("domain.name + 1", "type", "domain.name + 1"),
        ("domain.name.x", "type", "x"),
        ("len(1)", "type", "len(1)"),
        ("len(1, 2)", "type", "len"),
        ("1j", "syntax", "1"),
        ("'%s' % 1", "type", "'%s' % 1"),
        ("{[]: 1}", "type", "{[]: 1}"),
        ("{[1]}", "type", "{[1]}"),
        ("domain[[1]]", "type", "[1]"),
        ("domain.items['a']", "type", "'a'"),
        ("domain.items[True]", "type", "True"),
        ("[1] < (1,)", "type", "[1] < (1,)"),
        ("None < 1", "type", "None < 1"),
        ("sum(['a'])", "type", "sum(['a'])"),
        ("max([])", "type", "max([])"),
        ("max([1, 'a'])", "type", "max([1, 'a'])"),
        ("sorted([1, 'a'])", "type", "sorted([1, 'a'])"),
        ("int('x')", "type", "int('x')"),
        ("int(None)", "type", "int(None)"),
        ("round('x')", "type", "round('x')"),
        ("round(1, 2.5)", "type", "round(1, 2.5)"),
        ("~True", "type", "~True"),
        ("-'a'", "type", "-'a'"),
        ("1 << -1", "type", "1 << -1"),
        ("1.5 << 1", "type", "1.5 << 1"),
        ("(-1) ** 0.5", "type", "-1) ** 0.5"),
        ("1 in 1", "type", "1 in 1"),
        ("1 in 'a'", "type", "1 in 'a'"),
        ("[1] in {1}", "type", "[1] in {1}"),
        ("[1] in domain", "type", "[1] in domain"),
        ("'abc'.startswith(1)", "type", "'abc'.startswith(1)"),
        ("domain.items.upper()", "type", "domain.items.upper()"),
        ("domain.name.get('x')", "type", "domain.name.get('x')"),
        ("1[0]", "type", "0"),
        ("1[0:1]", "type", "1[0:1]"),
        ("[1]['a':]", "type", "[1]['a':]"),
    ],
)
def test_errors_name_kind_and_part(text, kind, part):
    error = refused(text)
    assert error.kind == kind
    assert error.source == text.strip()
    assert error.source[error.offset : error.end_offset] == part


def test_errors_have_a_caret_and_survive_pickling():
    error = refused("1 + domian.x")
    assert str(error).splitlines() == [
        "<expression>:1:5: Unknown name 'domian'; there are domain, global, signal, cmd. "
        "Did you mean 'domain'? [unknown-name]",
        "    1 | 1 + domian.x",
        "      |     ^^^^^^",
    ]
    again = pickle.loads(pickle.dumps(error))
    assert (again.kind, again.offset, str(again)) == ("unknown-name", 4, str(error))


@pytest.mark.parametrize(
    ("yaml", "line", "column"),
    [
        ("c:   domain.nothing", 1, 13),
        ("c: 'domain[''nothing'']'", 1, 12),
        ('c: "  domain.\\x6eothing"', 1, 14),
        ("x: 1\nc: >-\n  domain\n  .nothing", 2, 4),
    ],
)
def test_errors_point_into_the_yaml_file(yaml, line, column):
    node = load(yaml, source="f.yaml").at("c")
    with pytest.raises(FluxError) as caught:
        compile_expression(node.value, node=node)(CONTEXT)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("f.yaml", line, column)


def test_a_missing_field_has_a_suggestion():
    assert "Did you mean 'items_left'?" in str(refused("domain.item_left"))
    assert ".get('item_left')" in str(refused("domain.item_left"))


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1" + " " * LENGTH + "+ 1",
        "x" * 1_000_000,
        "9" * 500,
        "1e999",
        "[" + "1, " * NODES + "]",
        "(" * (DEPTH + 1) + "1" + ")" * (DEPTH + 1),
        "not " * (DEPTH + 1) + "1",
        "-" * (DEPTH + 1) + "1",
        "1" + " + 1" * DEPTH,
        "1" + " ** 1" * DEPTH,
        "domain" + ".order" * DEPTH,
        "1 if 1 else " * DEPTH + "1",
        "1" + " < 2" * 9,
        "9 ** 9 ** 8",
        "2 ** 10 ** 30",
        "(2 ** 4000) ** 4000",
        "2 ** 4000 * 2 ** 4000",
        "1 << 5000",
        "1 << 10 ** 30",
        "2 ** 4000 << 4000",
        "0.5 ** -10000",
        "10 ** 1000 * 1.5",
        "10 ** 1000 / 3",
        f"'x' * {RESULT + 1}",
        f"{RESULT + 1} * [1]",
        f"('x' * {RESULT}) + 'x'",
        f"[1] * {RESULT} + [1]",
        "round(1.5, 301)",
        "round(12345, -(10 ** 9))",
        "int('1' * 401)",
        "float('1' * 401)",
        "int(1e308 * 10)",
        "sum([10 ** 1200] * 100) * 10 ** 400",
    ],
    ids=lambda text: text[:24],
)
def test_what_is_too_large_is_refused(text):
    assert refused(text).kind == "limit"


def test_the_limits_are_where_they_should_be():
    assert value_of("1" + " " * (LENGTH - 4) + "+ 1") == 2
    assert value_of("1" + " < 2" * 8) is False
    assert value_of("1 << 4095") == 1 << 4095
    assert len(value_of(f"'x' * {RESULT}")) == RESULT
    assert value_of("1" + " + 1" * (DEPTH - 1)) == DEPTH
    assert value_of("1 ** 10 ** 30") == 1
    assert value_of("True and " * 250 + "True") is True


@pytest.mark.parametrize(
    "text",
    [
        "1 in domain.long",
        "domain.long == domain.long2",
        "sum(domain.long)",
        "sorted(domain.long)",
        "any(domain.long)",
        "max(domain.long)",
        "max(domain.range)",
        "1 in domain.range",
        "len(domain.endless)",
        "domain.endless == domain.endless2",
    ],
)
def test_one_evaluation_visits_so_many_elements_only(text):
    context = {
        "domain": {
            "long": [0] * (TOUCHED + 1),
            "long2": [0] * (TOUCHED + 1),
            "range": range(10**12),
            "endless": range(10**30),
            "endless2": range(1, 10**30),
        }
    }
    assert refused(text, context).kind == "limit"


def test_visits_add_up_over_one_evaluation_and_not_over_two():
    expression = compile_expression("1 in domain.half and 1 in domain.half or 1 in domain.half")
    context = {"domain": {"half": [0] * (TOUCHED // 2 + 1)}}
    once = compile_expression("1 in domain.half")
    assert once(context) is False
    assert once(context) is False
    with pytest.raises(FluxError, match="elements visited"):
        expression(context)


def test_large_integers_in_the_state_can_be_compared_but_not_multiplied():
    context = {"domain": {"huge": 1 << 100_000}}
    assert value_of("domain.huge > 5", context) is True
    for text in ("domain.huge + 1", "-domain.huge", "str(domain.huge)", "float(domain.huge)"):
        assert refused(text, context).kind == "limit"
    assert (1 << BITS).bit_length() == BITS + 1


def test_values_that_contain_themselves_or_go_very_deep():
    loop: list = []
    loop.append(loop)
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    context = {"domain": {"loop": loop, "loop2": [loop], "deep": deep, "deep2": [deep[0]]}}
    assert refused("domain.loop == domain.loop2", context).kind == "limit"
    assert refused("domain.deep == domain.deep2", context).kind in ("limit", "type")
    assert refused("domain.loop < domain.loop2", context).kind == "limit"


# --- values of the state ----------------------------------------------------------------------


class Trap:
    """Every look at it is noted."""

    def __init__(self):
        object.__setattr__(self, "calls", [])

    def _note(self, *arguments):
        self.calls.append(arguments)
        return True

    def __getattribute__(self, name):
        if name in ("calls", "_note", "__class__"):
            return object.__getattribute__(self, name)
        object.__getattribute__(self, "calls").append(name)
        return object.__getattribute__(self, name)

    __eq__ = __lt__ = __gt__ = __bool__ = __len__ = __contains__ = __getitem__ = _note
    __add__ = __radd__ = __mul__ = __neg__ = __iter__ = __call__ = __str__ = __repr__ = _note
    __index__ = __int__ = __float__ = __round__ = __abs__ = __format__ = _note
    __hash__ = object.__hash__


@pytest.mark.parametrize(
    "text",
    [
        "domain.trap.calls", "domain.trap['a']", "domain.trap[0]", "domain.trap == 1",
        "1 == domain.trap", "domain.trap < 1", "not domain.trap", "domain.trap and 1",
        "1 if domain.trap else 2", "len(domain.trap)", "domain.trap in [1]", "1 in domain.trap",
        "domain.trap + 1", "1 + domain.trap", "-domain.trap", "str(domain.trap)",
        "int(domain.trap)", "round(domain.trap)", "abs(domain.trap)", "sum([domain.trap])",
        "sorted([domain.trap, 1])", "max(domain.trap, 1)", "any([domain.trap])",
        "domain.trap.get('x')", "domain.trap.upper()", "domain.trap.x", "domain[domain.trap]",
        "[domain.trap] == [1]", "{'a': domain.trap} == {'a': 1}", "'x' * domain.trap",
        "domain.items[domain.trap]", "domain.items[domain.trap:]", "{domain.trap}",
        "{domain.trap: 1}", "domain.trap in {1}", "domain.trap != 2", "bool(domain.trap)",
        "'a'.strip(domain.trap)", "domain.get(domain.trap)", "1 < domain.trap < 3",
        "1 << domain.trap", "2 ** domain.trap", "round(1.5, domain.trap)",
    ],
)  # fmt: skip
def test_no_method_of_an_unknown_class_is_called(text):
    trap = Trap()
    context = {"domain": {"trap": trap, "items": [1, 2]}}
    assert refused(text, context).kind in ("type", "unknown-path")
    assert trap.calls == []


def test_an_unknown_object_can_be_passed_on_and_asked_whether_it_is_there():
    trap = Trap()
    context = {"domain": {"trap": trap}}
    assert value_of("domain.trap", context) is trap
    assert value_of("domain.trap is None", context) is False
    assert value_of("domain.trap == None", context) is False
    assert value_of("domain.trap == domain.trap", context) is True
    assert value_of("[domain.trap][0]", context) is trap
    assert trap.calls == []


class Reading(Mapping):
    """A view as the state has them."""

    def __init__(self, data):
        self._data = data

    def __getitem__(self, key):
        return self._data[key]

    def __iter__(self):
        return iter(self._data)

    def __len__(self):
        return len(self._data)


@pytest.mark.parametrize("wrap", [Reading, UserDict, OrderedDict], ids=lambda wrap: wrap.__name__)
def test_registered_mappings_are_read_like_dicts(wrap):
    inner = wrap({"b": UserList([1, 2, 3]), "items": 7})
    context = {"domain": wrap({"a": inner, "n": 2})}
    assert value_of("domain.a.b[1] + domain.a.items + domain['n']", context) == 11
    assert value_of("domain.a.b[-1:] == [3]", context) is True
    assert value_of("domain.a.b + [4] == [1, 2, 3, 4]", context) is True
    assert value_of("'n' in domain and 'x' not in domain and len(domain) == 2", context) is True
    assert value_of("domain.get('x', 5) + domain.get('n')", context) == 7
    assert value_of("domain.a == {'b': [1, 2, 3], 'items': 7}", context) is True
    assert value_of("domain.n > 1", context) is True
    assert refused("domain.nothing > 1", context).kind == "unknown-path"
    assert refused("len(domain.nothing) > 1", context).kind == "unknown-path"


@dataclass
class Plain:
    n: int = 1
    lines: list = field(default_factory=lambda: [{"qty": 2}])
    _secret: int = 9

    @property
    def computed(self):
        raise AssertionError("no property is read")


@attrs.define
class Attrs:
    n: int = 1
    lines: list = attrs.Factory(lambda: [{"qty": 2}])


class Model(pydantic.BaseModel):
    n: int = 1
    lines: list = [{"qty": 2}]


@pytest.mark.parametrize(
    "record",
    [Plain(), Attrs(), Model(), SimpleNamespace(n=1, lines=[{"qty": 2}])],
    ids=lambda record: type(record).__name__,
)
def test_records_show_their_fields_only(record):
    context = {"domain": {"order": record}}
    assert value_of("domain.order.n + domain.order['lines'][0].qty", context) == 3
    assert value_of("domain.order.get('nothing', 4)", context) == 4
    assert value_of("'n' in domain.order and 'x' not in domain.order", context) is True
    assert value_of("bool(domain.order)", context) is True
    for name in ("nothing", "computed", "copy", "model_dump", "json"):
        assert refused(f"domain.order.{name}", context).kind == "unknown-path"
    assert refused("domain.order['_secret']", context).kind == "not-allowed"


class Pair(NamedTuple):
    left: int
    right: int


class Level(IntEnum):
    HIGH = 3


class Colour(Enum):
    RED = "red"


def test_instances_of_subclasses_of_scalars_become_exact():
    class Text(str):
        def __eq__(self, other):
            raise AssertionError("no method of a subclass runs")

        __hash__ = str.__hash__

    context = {"domain": {"level": Level.HIGH, "text": Text("abc"), "colour": Colour.RED}}
    assert value_of("domain.level > 2", context) is True
    assert type(value_of("domain.level + 1", context)) is int
    assert value_of("domain.text == 'abc' and 'b' in domain.text", context) is True
    assert value_of("[domain.text] == ['abc']", context) is True
    assert value_of("domain.text.upper()", context) == "ABC"
    assert refused("domain.colour == 'red'", context).kind == "type"


def test_numpy_scalars_are_numbers_and_arrays_are_not():
    context = {
        "domain": {
            "i": np.int32(3), "f": np.float32(0.5), "d": np.float64(2.5), "b": np.bool_(True),
            "s": np.str_("x"), "c": np.complex64(1), "a": np.arange(3),
            "t": np.datetime64("2020-01-01"),
        }
    }  # fmt: skip
    assert value_of("domain.i + domain.f + domain.d", context) == 6.0
    assert type(value_of("domain.i * 2", context)) is int
    assert value_of("domain.b and domain.s == 'x' and domain.b is True", context) is True
    assert value_of("domain.i in [1, 3] and domain.i == 3 and [1, 2, 3, 4][domain.i] == 4", context)
    for text in ("domain.c + 1", "domain.a == 1", "len(domain.a)", "not domain.a", "domain.t == 1"):
        assert refused(text, context).kind == "type"


def test_moments_and_decimals_can_be_compared():
    context = {
        "domain": {
            "d1": date(2020, 1, 1), "d2": date(2020, 1, 2), "at": datetime(2020, 1, 1),
            "t": timedelta(0), "price": Decimal("9.5"), "odd": Decimal("sNaN"), "raw": b"x",
        }
    }  # fmt: skip
    assert value_of("domain.d1 < domain.d2 and domain.d1 != domain.d2", context) is True
    assert value_of("domain.price > 9 and domain.price == 9.5", context) is True
    assert value_of("bool(domain.t)", context) is False
    assert value_of("domain.d1 == 'x' or domain.d1 == None or domain.raw == 'x'", context) is False
    assert refused("domain.odd == 1", context).kind == "type"
    assert refused("domain.odd < 1", context).kind == "type"
    assert refused("domain.at < domain.d1", context).kind == "type"
    assert refused("domain.d1 + 1", context).kind == "type"


def test_what_makes_up_missing_keys_is_not_made_to():
    for counted in (defaultdict(list, a=[1]), Counter(a=1)):
        for context in ({"domain": counted}, {"domain": {"d": counted}}):
            path = "domain" if context["domain"] is counted else "domain.d"
            assert value_of(f"len({path}.a) == 1" if counted["a"] == [1] else f"{path}.a", context)
            for text in (f"{path}.x", f"len({path}.x)", f"{path}.x > 1", f"{path}['x']"):
                assert refused(text, context).kind == "unknown-path"
            assert value_of(f"{path}.get('x', 5)", context) == 5
            assert value_of(f"{path} == {{'b': 1}} or 'x' in {path}", context) is False
            assert list(counted) == ["a"]


def test_sequences_that_have_no_slices():
    context = {"domain": {"q": deque([1, 2, 3]), "r": range(10**12), "p": Pair(1, 2)}}
    assert value_of("domain.q[1:] + domain.q[:1]", context) == [2, 3, 1]
    assert value_of("domain.r[5:7]", context) == [5, 6]
    assert value_of("domain.p[0:1] == (1,) and domain.p[1] == 2", context) is True
    assert refused("domain.r[5:]", context).kind == "limit"
    assert refused("domain.p.left", context).kind == "type"


def test_what_is_made_in_one_evaluation_is_bounded():
    assert refused("[" + f"[1] * {RESULT}, " * 11 + "]").kind == "limit"
    assert refused(
        "[" + "domain.l[0:100000], " * 11 + "]", {"domain": {"l": [1] * RESULT}}
    ).kind == ("limit")


def test_missing_roots_are_empty():
    assert value_of("'x' in signal or len(cmd)", {}) == 0
    assert refused("domain.x", {}).kind == "unknown-path"


def test_one_expression_serves_many_states():
    expression = compile_expression("domain.n * 2")
    assert [expression({"domain": {"n": n}}) for n in range(5)] == [0, 2, 4, 6, 8]


def test_warnings_as_errors_change_nothing():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused("1 is 1").kind == "not-allowed"
        assert refused("'\\d'").kind == "syntax"
        assert refused("1if 1 else 2").kind == "syntax"


def test_a_caller_near_the_recursion_limit_gets_the_same_class_of_error():
    def at_depth(levels):
        return at_depth(levels - 1) if levels else value_of(text)

    text = "(" * DEPTH + "1" + ")" * DEPTH
    assert value_of(text) == 1
    with pytest.raises(FluxError, match="nested too deep"):
        at_depth(sys.getrecursionlimit() - 300)
