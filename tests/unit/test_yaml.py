"""The YAML reader: values by YAML 1.2, strict, bounded, with exact places."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import theus._yaml
from theus._yaml import Limits, Node, failure, load, load_file, position, suggestion
from theus.errors import FluxError, SchemaViolationError


@pytest.fixture(params=["compiled", "pure"], autouse=True)
def each_loader(request, monkeypatch):
    """Everything holds with libyaml and without."""
    if request.param == "pure":
        monkeypatch.setattr(theus._yaml, "_LOADER", yaml.SafeLoader)
    else:
        monkeypatch.setattr(theus._yaml, "_LOADER", yaml.CSafeLoader)


def refused(text, **options):
    with pytest.raises(FluxError) as caught:
        load(text, source="f.yaml", **options)
    return caught.value


def place_of(error):
    return error.line, error.column


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None), ("null", None), ("Null", None), ("", None),
        ("true", True), ("False", False), ("TRUE", True), ("tRue", "tRue"),
        ("on", "on"), ("yes", "yes"), ("No", "No"), ("off", "off"), ("y", "y"),
        ("0", 0), ("-17", -17), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("0b11", "0b11"),
        ("1_000", "1_000"), ("1:30", "1:30"), ("12:30:45", "12:30:45"),
        ("1e3", 1000.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-0.0", -0.0),
        (".inf", math.inf), ("-.INF", -math.inf), ("1e-400", 0.0),
        ("2024-01-01", "2024-01-01"), ("=", "="), ("=x", "=x"), ("- ", [None]),
        ("'12'", "12"), ('"true"', "true"), ("'~'", "~"), ('""', ""), ('"\\u00e9"', "é"),
        ("+", "+"), ("-", [None]), (".", "."), ("1.2.3", "1.2.3"), ("0x", "0x"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text, value):
    found = load(f"[{text}]" if text not in ("- ", "-") else text).plain()
    wanted = value if isinstance(value, list) else [value] if text else []
    assert found == wanted
    if wanted and wanted[0] is not None:
        assert type(found[0]) is type(wanted[0])


def test_not_a_number_is_read():
    assert math.isnan(load(".nan").plain())


def test_keys_are_texts_and_integers():
    assert load("on: 1\nyes: 2\n3: x\n'4': y").plain() == {"on": 1, "yes": 2, 3: "x", "4": "y"}


def test_every_style_gives_the_same_tree():
    block = load("a:\n  - 1\n  - b: c\nd: |\n  x\n  y\n").plain()
    flow = load('{a: [1, {b: c}], d: "x\\ny\\n"}').plain()
    assert block == flow == {"a": [1, {"b": "c"}], "d": "x\ny\n"}


def test_bytes_and_byte_order_mark():
    assert load("\ufeffa: é".encode()).plain() == {"a": "é"}
    assert load("\ufeffa: 1").plain() == {"a": 1}


def test_aliases_stand_for_their_values():
    root = load("a: &x [1, 2]\nb: *x\n")
    assert root.plain() == {"a": [1, 2], "b": [1, 2]}
    assert root.value["a"] is root.value["b"]
    first, second = root.plain().values()
    assert first is not second


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | WORDS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_is_yaml(value):
    assert load(json.dumps(value, ensure_ascii=False)).plain() == value


# --- places -----------------------------------------------------------------------------------

PLACED = """\
name: é x
steps:
  - flux: while
    do: ["a", 'b', {c: d}]
"""


def test_every_node_knows_its_place():
    root = load(PLACED, source="f.yaml")
    assert str(root.position) == "f.yaml:1:1"
    assert str(position(root, "name")) == "f.yaml:1:7"
    assert str(position(root, "steps", 0)) == "f.yaml:3:5"
    assert str(position(root, "steps", 0, "flux")) == "f.yaml:3:11"
    assert str(position(root, "steps", 0, "do", 2, "c")) == "f.yaml:4:24"
    assert str(root.at("steps", 0).keys["do"].position) == "f.yaml:4:5"


@pytest.mark.parametrize("path", [("nothing",), ("steps", 7), ("name", 0), ("steps", 0, "x", 1)])
def test_a_path_that_leads_nowhere(path):
    with pytest.raises(LookupError):
        position(load(PLACED), *path)


@pytest.mark.parametrize(
    ("text", "offset", "column"),
    [
        ("a: xyz", 2, 6),
        ("a: 'xyz'", 2, 7),
        ("a: 'x''y'", 2, 8),
        ('a: "x\\ny"', 2, 8),
        ('a: "\\u00e9y"', 1, 11),
        ('a: "\\x41\\U0001F600y"', 2, 19),
        ("a: |\n  xyz", 2, 4),
        ("a: x\n  yz", 3, 4),
    ],
)
def test_characters_of_a_text_have_places(text, offset, column):
    assert load(text).at("a").locate(offset).column == column


def test_problems_show_their_line():
    node = load("a: 1\nb: 'long\ttext here'", source="f.yaml").at("b")
    assert str(node.problem("Wrong.", 5, 4)) == (
        "f.yaml:2:10: Wrong.\n    2 | b: 'long text here'\n      |          ^^^^"
    )


def test_problems_in_folded_texts_show_the_text_itself():
    node = load("a: >-\n  one\n  two three\n", source="f.yaml").at("a")
    assert str(node.problem("Wrong.", 4, 3)) == (
        "f.yaml:1:4: Wrong.\n    1 | one two three\n      |     ^^^"
    )


def test_long_lines_are_cut_around_the_place():
    error = refused("a: [" + "x, " * 500 + "!t y]")
    line, carets = str(error).splitlines()[1:]
    assert len(line) < 120
    assert line[carets.index("^")] == "!"


def test_all_problems_of_a_file_are_one_error():
    root = load("a: 1\nb: 2", source="f.yaml")
    error = failure([root.at("b").problem("Second."), root.at("a").problem("First.")])
    assert isinstance(error, FluxError)
    assert isinstance(error, ValueError)
    assert str(error).startswith("f.yaml has 2 problems:\nf.yaml:1:4: First.")
    assert (error.file, error.line, error.column) == ("f.yaml", 1, 4)
    assert [problem.message for problem in error.problems] == ["First.", "Second."]
    again = pickle.loads(pickle.dumps(error))
    assert again.problems == error.problems
    assert str(again) == str(error)


def test_the_class_of_errors_can_be_chosen():
    with pytest.raises(SchemaViolationError) as caught:
        load("a: 1\na: 2", error=SchemaViolationError)
    assert caught.value.line == 2
    with pytest.raises(SchemaViolationError):
        load("a: 1", error=SchemaViolationError).fail("No.")


def test_nodes_describe_themselves():
    root = load("[{}, [], ~, 1, text, yes, 'yes', " + "x" * 60 + "]")
    assert [node.describe() for node in root.value] == [
        "a mapping", "a list", "nothing", "the int 1", "the text 'text'",
        "the text 'yes' (in YAML 1.2 only true and false are booleans)",
        "the text 'yes'", "the text '" + "x" * 37 + "...'",
    ]  # fmt: skip
    assert isinstance(root, Node)
    assert "a list at <string>:1:1" in repr(root)


def test_suggestions():
    assert suggestion("whille", ["while", "if"]) == " Did you mean 'while'?"
    assert suggestion("zzz", ["while", "if"]) == ""


# --- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "empty"),
        ("# only this\n", 1, 1, "empty"),
        ("a: 1\nb: 2\na: 3", 3, 1, "twice; first in line 1"),
        ("{a: 1, 'a': 2}", 1, 8, "twice"),
        ("1: a\n1: b", 2, 1, "twice"),
        ("x: &a {k: 1}\ny:\n  <<: *a", 3, 3, "Merge keys"),
        ("a: &a [*a]", 1, 8, "inside the value that it names"),
        ("a: *b", 1, 4, "alias"),
        ("a: !!python/object/apply:os.system [x]", 1, 4, "tag"),
        ("a: !!str 1", 1, 4, "tag"),
        ("a: ! x", 1, 4, "tag"),
        ("a: !mine x", 1, 4, "tag"),
        ("%TAG ! tag:x,2000:\n---\na: 1", None, None, "Tag directives"),
        ("a: 1\n---\nb: 2", 2, 1, "second document"),
        ("x: 012", 1, 4, "zero"),
        ("x: -007", 1, 4, "zero"),
        ("x: 1e999", 1, 4, "too large"),
        ("x: " + "9" * 401, 1, 4, "more than 400 digits"),
        ("x: 0x" + "f" * 401, 1, 4, "more than 400 digits"),
        ("? [a]\n: 1", 1, 3, "A key must be"),
        ("? {a: b}\n: 1", 1, 3, "A key must be"),
        ("true: 1", 1, 1, "A key must be"),
        ("1.5: 1", 1, 1, "A key must be"),
        ("~: 1", 1, 1, "A key must be"),
        ("a: \x00", 1, 4, "U+0000"),
        ("a: b\nc: \x07", 2, 4, "U+0007"),
        ("a: \ud800", 1, 4, "U+D800"),
        (b"a: 1\nb: \xff", 2, 4, "Not UTF-8: byte 0xff"),
        (b"\xff\xfea\x00", 1, 1, "Not UTF-8"),
        ("condition: 'a' == b", 1, None, "quote the whole value"),
        ("a: [1, 2", None, None, "Not valid YAML"),
        ("a: b: c", 1, 5, "Not valid YAML"),
        ("\tb: 1", 1, 1, "Not valid YAML"),
        (17, 1, 1, "str or bytes, not int"),
        (None, 1, 1, "str or bytes, not NoneType"),
    ],
)
def test_what_is_refused_and_where(text, line, column, words):
    error = refused(text)
    assert words in str(error)
    assert error.file == "f.yaml"
    assert line is None or error.line == line
    assert column is None or error.column == column


def test_a_quoted_merge_sign_is_a_key():
    assert load("'<<': {a: 1}").plain() == {"<<": {"a": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "- " * 100_000,
        "{a: " * 50_000,
        "a: &a " * 30_000,
        "&a " * 60_000,
        "? " * 100_000,
        '"' * 200_000,
        "a: 1\n" * 40_000,
        "[" + "1," * 100_000 + "]",
        "k: &a [1]\n" + "".join(f"k{i}: *a\n" for i in range(20_000)),
    ],
    ids=lambda text: text[:8].strip(),
)
def test_large_hostile_texts_are_refused_with_a_place(text):
    assert refused(text).line >= 1


def test_an_alias_bomb_is_refused_before_it_is_expanded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "50,000 values" in str(refused("\n".join(lines)))


def test_depth_counts_through_aliases():
    lines = ["a0: &a0 " + "[" * 20 + "]" * 20]
    lines += [f"a{i}: &a{i} " + "[" * 20 + f"*a{i - 1}" + "]" * 20 for i in range(1, 5)]
    assert "64 levels by an alias" in str(refused("\n".join(lines)))


def test_the_limits_are_exact():
    assert load("[" * 64 + "]" * 64).height == 64
    assert "64 levels" in str(refused("[" * 65 + "]" * 65))
    assert load("a: 1", limits=Limits(size=4)).plain() == {"a": 1}
    assert "larger than 3 bytes" in str(refused("a: 1", limits=Limits(size=3)))
    assert "larger than 4 bytes" in str(refused("a: é", limits=Limits(size=4)))
    assert load("[1, 2]", limits=Limits(nodes=3)).plain() == [1, 2]
    assert "More than 2 values" in str(refused("[1, 2]", limits=Limits(nodes=2)))
    assert "More than 1 aliases" in str(refused("[&a 1, *a, *a]", limits=Limits(aliases=1)))


def test_files(tmp_path):
    path = tmp_path / "flow.yaml"
    path.write_text("a: 1\na: 2")
    with pytest.raises(FluxError) as caught:
        load_file(path)
    assert caught.value.file == str(path)
    path.write_text("a: é", encoding="utf-8")
    assert load_file(str(path)).plain() == {"a": "é"}
    path.write_bytes(b"x" * 100)
    with pytest.raises(FluxError, match="larger than 10 bytes"):
        load_file(path, limits=Limits(size=10))
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "none.yaml")


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text):
    try:
        load(text).plain()
    except FluxError as error:
        assert error.line >= 1
        assert error.column >= 1


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?<~ \n\t01.", max_size=80))
def test_any_soup_of_yaml_signs_is_read_or_refused(text):
    try:
        load(text).plain()
    except FluxError as error:
        assert error.problems
