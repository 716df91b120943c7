"""Strict configuration: what is accepted, and where what is wrong is reported."""

from __future__ import annotations

import textwrap

import pytest

from theus import TheusEngine
from theus.audit import AuditRecipe, AuditRecipeBook, AuditRule, AuditValidator, Check
from theus.config import ConfigFactory, ConfigLoader, FieldSchema, SchemaViolationError
from theus.config.contexts import NO_DEFAULT, TYPES
from theus.errors import AuditStopError

RECIPE = """\
audit:
  level: B
  threshold_max: 5
  threshold_min: 2
  reset_on_success: false
process_recipes:
  load:
    inputs:
      - {field: year, min: 2013, max: 2013, level: S, message: only 2013}
      - field: carrier
        regex: "[A-Z0-9]{2}$"
        min_len: 2
        max_len: 2
        neq: XX
        level: Ignore
    outputs:
      - {field: domain.rows, eq: 336776, max_threshold: 4, min_threshold: 1}
    side_effects: [disk]
    errors: [ValueError, OSError]
  report: {}
"""


def recipe(text):
    return ConfigFactory.load_recipe_from_string(textwrap.dedent(text), source="recipe.yaml")


def schema(text):
    return ConfigLoader.load_from_string(textwrap.dedent(text), source="schema.yaml")


def problems(load, text):
    """`line:column message` of everything that is wrong."""
    with pytest.raises(SchemaViolationError) as caught:
        load(text)
    error = caught.value
    assert isinstance(error, ValueError)
    first = error.problems[0].position
    assert (error.file, error.line, error.column) == (first.file, first.line, first.column)
    assert str(first) in str(error)
    return [f"{one.position.line}:{one.position.column} {one.message}" for one in error.problems]


# --- recipes ------------------------------------------------------------------------------


def test_a_recipe_is_read_whole(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    book = ConfigFactory.load_recipe(path)
    assert book.recipe == AuditRecipe("B", 5, 2, False)
    load = book.rules_for("load")
    assert load.inputs == (
        AuditRule("year", (Check("min", 2013), Check("max", 2013)), "S", "only 2013"),
        AuditRule(
            "carrier",
            (
                Check("neq", "XX"),
                Check("min_len", 2),
                Check("max_len", 2),
                Check("regex", "[A-Z0-9]{2}$"),
            ),
            "I",
        ),
    )
    assert load.outputs == (
        AuditRule("domain.rows", (Check("eq", 336776),), threshold_max=4, threshold_min=1),
    )
    assert (load.side_effects, load.errors) == (("disk",), ("ValueError", "OSError"))
    assert load.inputs[0].place == f"{path}:9:9"
    assert set(book.processes) == {"load", "report"}
    assert ConfigFactory.load_recipe(str(path)) == book


def test_what_was_read_is_enforced():
    validator = AuditValidator(recipe(RECIPE))
    validator.validate_inputs("load", {"year": 2013, "carrier": "not looked at"})
    with pytest.raises(AuditStopError, match="only 2013"):
        validator.validate_inputs("load", {"year": 2014})


@pytest.mark.parametrize("text", ["audit: {}", "process_recipes: {}", "{}"])
def test_everything_may_be_left_out(text):
    assert recipe(text) == AuditRecipeBook()


def test_both_spellings_of_thresholds_are_read():
    for text in ("{threshold_max: 7, min_threshold: 3}", "{max_threshold: 7, threshold_min: 3}"):
        assert recipe(f"audit: {text}").recipe == AuditRecipe("B", 7, 3)


WRONG_RECIPES = [
    ("", "1:1 The file is empty."),
    ("[]", "1:1 A recipe must be a mapping, not a list."),
    ("audti: {}", "1:1 A recipe has no 'audti'. Did you mean 'audit'?"),
    ("audit: 5", "1:8 audit must be a mapping, not the int 5."),
    ("audit: {levle: B}", "1:9 audit has no 'levle'. Did you mean 'level'?"),
    ("audit: {level: X}", "1:16 'X' is no audit level; use S (Stop)"),
    ("audit: {level: 3}", "1:16 3 is no audit level"),
    ("audit: {threshold_max: many}", "1:24 threshold_max must be an integer from 0 on"),
    ("audit: {threshold_max: -1}", "1:24 threshold_max must be an integer from 0 on"),
    ("audit: {threshold_max: true}", "1:24 threshold_max must be an integer from 0 on"),
    ("audit: {threshold_min: 4}", "1:24 threshold_min=4 is above threshold_max=3"),
    ("audit: {reset_on_success: yes}", "1:27 reset_on_success must be true or false"),
    ("audit: {threshold_max: 3, max_threshold: 3}", "1:42 max_threshold is another spelling"),
    ("process_recipes: []", "1:18 process_recipes must be a mapping, not a list."),
    ("process_recipes: {1: {}}", "1:19 A name in process_recipes must be a text, not 1."),
    ("process_recipes: {f: []}", "1:22 The recipe of 'f' must be a mapping"),
    ("process_recipes: {f: {input: []}}", "1:23 The recipe of 'f' has no 'input'. Did you mean"),
    ("process_recipes: {f: {inputs: }}", "1:31 inputs must be a list, not nothing. Write []"),
    ("process_recipes: {f: {errors: [1]}}", "1:32 An entry of errors must be a text"),
    ("process_recipes: {f: {inputs: [x]}}", "1:32 A rule must be a mapping, not the text 'x'."),
    ("process_recipes: {f: {inputs: [{min: 1}]}}", "1:32 A rule needs 'field'."),
    ("process_recipes: {f: {inputs: [{field: 3}]}}", "1:40 field must be a text, not the int 3."),
    ("process_recipes: {f: {inputs: [{field: x, maxx: 1}]}}", "1:43 A rule has no 'maxx'. Did"),
    ("process_recipes: {f: {inputs: [{field: x, min: []}]}}", "1:48 min needs a number"),
    ("process_recipes: {f: {inputs: [{field: x, min_len: -2}]}}", "1:52 min_len needs an int"),
    ("process_recipes: {f: {inputs: [{field: x, regex: '('}]}}", "1:50 regex is no regular"),
    ("process_recipes: {f: {inputs: [{field: x, message: 5}]}}", "1:52 message must be a text"),
    ("process_recipes: {f: {outputs: [{field: x, level: Z}]}}", "1:51 'Z' is no audit level"),
    (
        "process_recipes: {f: {inputs: [{field: x, min: 5, max: 2}]}}",
        "1:48 no value of 'x' can be both min 5 and max 2",
    ),
    (
        "process_recipes: {f: {inputs: [{field: x, threshold_min: 9}]}}",
        "1:58 threshold_min=9 is above threshold_max=3",
    ),
    ("audit: {level: B, level: S}", "1:19 The key 'level' is here twice"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG_RECIPES)
def test_what_is_wrong_with_a_recipe_is_said_with_its_place(text, expected):
    [problem] = problems(recipe, text)
    assert problem.startswith(expected)


def test_all_problems_are_reported_together():
    text = """
        audit: {lvl: B, threshold_max: -1}
        process_recipes:
          load:
            inputs:
              - {field: x, min: {}}
              - {field: y, maxi: 3}
            output: []
    """
    assert [one.split()[0] for one in problems(recipe, text)] == [
        "2:9",
        "2:32",
        "6:25",
        "7:20",
        "8:5",
    ]


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        ConfigFactory.load_recipe(tmp_path / "none.yaml")
    with pytest.raises(FileNotFoundError):
        ConfigLoader.load(tmp_path / "none.yaml")


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("audit: 5\n")
    with pytest.raises(SchemaViolationError, match=r"bad\.yaml:1:8: audit must be"):
        ConfigFactory.load_recipe(path)


# --- context schemas ----------------------------------------------------------------------

CONTEXT = """\
context:
  global:
    year: {type: integer, required: true}
    home: {type: string, default: JFK}
  domain:
    rows: {type: list, default: [1, {a: 2}]}
    share: {type: float, default: 1}
    on: {type: boolean, default: false}
    note: {type: string, default: null}
    carriers: {type: dict}
  billing:
    currency: {type: string, required: true, default: USD}
"""


def test_a_schema_is_read_whole(tmp_path):
    path = tmp_path / "context.yaml"
    path.write_text(CONTEXT)
    loaded = ConfigLoader.load(path)
    assert loaded == schema(CONTEXT)
    assert list(loaded.areas) == ["global", "domain", "billing"]
    assert loaded.global_["year"] == FieldSchema("year", "integer", True, NO_DEFAULT)
    assert loaded.domain["share"] == FieldSchema("share", "float", False, 1.0)
    assert loaded.domain["carriers"].default is NO_DEFAULT
    assert {name: list(area) for name, area in loaded.namespaces.items()} == {
        "billing": ["currency"]
    }


def test_defaults_are_new_objects_every_time():
    loaded = schema(CONTEXT)
    first = loaded.defaults()
    assert first == {
        "global": {"home": "JFK"},
        "domain": {"rows": [1, {"a": 2}], "share": 1.0, "on": False, "note": None},
        "billing": {"currency": "USD"},
    }
    assert type(first["domain"]["share"]) is float
    first["domain"]["rows"][1]["a"] = 3
    assert loaded.defaults()["domain"]["rows"] == [1, {"a": 2}]


def test_a_schema_cannot_be_changed():
    loaded = schema(CONTEXT)
    for mapping in (loaded.areas, loaded.domain, loaded.namespaces):
        with pytest.raises(TypeError):
            mapping["more"] = {}


def test_areas_that_are_not_there_are_empty():
    loaded = schema("context: {}")
    assert (loaded.domain, loaded.global_, loaded.namespaces) == ({}, {}, {})


WRONG_SCHEMAS = [
    ("{}", "1:1 A context schema needs 'context'."),
    ("context: 3", "1:10 context must be a mapping, not the int 3."),
    ("context: {}\nmore: 1", "2:1 A context schema has no 'more'."),
    ("context: {domain: []}", "1:19 The area 'domain' must be a mapping"),
    ("context: {domain: {x: 3}}", "1:23 The field 'x' must be a mapping, not the int 3."),
    ("context: {domain: {x: {}}}", "1:23 The field 'x' needs 'type'."),
    ("context: {domain: {x: {type: int}}}", "1:30 'int' is no type; use string, integer"),
    ("context: {domain: {x: {type: 3}}}", "1:30 type must be a text, not the int 3."),
    ("context: {domain: {x: {typ: string, type: string}}}", "1:24 The field 'x' has no 'typ'."),
    (
        "context: {domain: {x: {type: list, required: maybe}}}",
        "1:46 required must be true or false",
    ),
    ("context: {domain: {'a b': {type: list}}}", "1:20 'a b' cannot be used as the name"),
    ("context: {domain: {class: {type: list}}}", "1:20 'class' cannot be used as the name"),
    ("context: {'1st': {}}", "1:11 '1st' cannot be used as the name"),
    ("context: {heavy: {}}", "1:11 'heavy' cannot be an area"),
    ("context: {global_ctx: {}}", "1:11 'global_ctx' cannot be an area"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG_SCHEMAS)
def test_what_is_wrong_with_a_schema_is_said_with_its_place(text, expected):
    [problem] = problems(schema, text)
    assert problem.startswith(expected)


DEFAULTS = {"string": "x", "integer": "1", "float": "1.5", "boolean": "true", "list": "[1]"}
DEFAULTS["dict"] = "{a: 1}"


@pytest.mark.parametrize("given", DEFAULTS)
@pytest.mark.parametrize("kind", TYPES)
def test_a_default_must_be_of_the_type(kind, given):
    text = f"context: {{domain: {{x: {{default: {DEFAULTS[given]}, type: {kind}}}}}}}"
    if kind == given or (kind, given) == ("float", "integer"):
        assert type(schema(text).domain["x"].default) is TYPES[kind]
    else:
        [problem] = problems(schema, text)
        assert problem.startswith(f"1:33 The default must be of type {kind}")


def test_a_required_field_cannot_have_nothing_as_default():
    text = "context: {domain: {x: {type: string, required: true, default: null}}}"
    [problem] = problems(schema, text)
    assert problem.startswith("1:63 The default must be of type string, not nothing")


def test_global_is_an_area_though_python_reserves_the_word():
    assert list(schema("context: {global: {x: {type: list}}}").global_) == ["x"]
    assert NO_DEFAULT is not None
    assert repr(NO_DEFAULT) == "NO_DEFAULT"


# --- a schema that an engine enforces -----------------------------------------------------------

ENFORCED = """
context:
  global:
    year: {type: integer, required: true}
  domain:
    name: {type: string, required: true}
    rate: {type: float, default: 0.5}
    rows: {type: list, default: []}
    flag: {type: boolean}
    facts: {type: dict}
"""


def enforced():
    schema = ConfigLoader.load_from_string(ENFORCED)
    start = schema.defaults()
    start["global"]["year"] = 2013
    start["domain"]["name"] = "flights"
    return TheusEngine(start, schema=schema)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("name", "other", 3),
        ("rate", 1, "fast"),
        ("rate", None, [1]),
        ("rows", [1, "x"], {"a": 1}),
        ("flag", True, 1),
        ("facts", {"a": {"b": 1}}, [1]),
        ("unknown", 1, None),
    ],
)
def test_a_schema_is_enforced_on_every_commit(field, good, bad):
    with enforced() as engine:
        with engine.transaction() as tx:
            tx.domain[field] = good
        assert engine.state.domain[field] == good
        if bad is None:
            return
        before = engine.state
        with pytest.raises(SchemaViolationError, match=rf"domain\.{field}"):
            with engine.transaction() as tx:
                tx.domain[field] = bad
        assert engine.state is before


def test_a_required_field_cannot_go():
    with enforced() as engine:
        with engine.transaction() as tx:
            del tx.domain.rate
        with pytest.raises(SchemaViolationError, match=r"domain\.name"):
            with engine.transaction() as tx:
                del tx.domain.name
        with pytest.raises(SchemaViolationError, match=r"global"):
            with engine.transaction() as tx:
                tx.global_.year = "2013"


def test_a_state_that_does_not_fit_is_refused_at_the_start():
    schema = ConfigLoader.load_from_string(ENFORCED)
    with pytest.raises(SchemaViolationError, match=r"year"):
        TheusEngine({"domain": {"name": "x"}, "global": {}}, schema=schema)
