"""Workflow files: every problem with its place, all in one error, and nothing else raised."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from theus.errors import FluxError
from theus.flux.parser import parse_workflow
from theus.flux.steps import STEPS


def problems(text):
    with pytest.raises(FluxError) as caught:
        parse_workflow(text, source="f.yaml")
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.file == "f.yaml"
    assert (error.line, error.column) == (
        error.problems[0].position.line,
        error.problems[0].position.column,
    )
    assert str(error).count("f.yaml:") == len(error.problems)
    return {
        f"{problem.position.line}:{problem.position.column}": problem.message
        for problem in error.problems
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "empty"),
        ("# nothing\n", "1:1", "empty"),
        ("[]", "1:1", "`steps:` (or `nodes:`), not a list"),
        ("just text", "1:1", "not the text 'just text'"),
        ("~", "1:1", "not nothing"),
        ("{}", "1:1", "needs `steps:`"),
        ("name: x", "1:1", "needs `steps:`"),
        ("steps: []", "1:8", "at least one step"),
        ("steps:", "1:7", "For no steps, write []"),
        ("steps: a", "1:8", "Put a dash"),
        ("steps: {process: a}", "1:8", "Put a dash"),
        ("nodes: {}", "1:8", "at least one node"),
        ("nodes: x", "1:8", "at least one node"),
        ("steps: [a]\nstep: [b]", "2:1", "Did you mean 'steps'?"),
        ("steps: [a]\nnodes: {x: a}", "2:1", "not both"),
        ("steps: [a]\nstart: a", "2:1", "belongs to `nodes:`"),
        ("steps: [a]\nname: 3", "2:7", "needs a text, not the int 3"),
        ("steps: [a]\n1: b", "2:1", "no key 1"),
        ("steps: [3]", "1:9", "not the int 3"),
        ("steps: [[a]]", "1:9", "not a list"),
        ("steps: ['']", "1:9", "A step is the name"),
        ("steps: [~]", "1:9", "not nothing"),
        ("steps:\n- {}", "2:3", "A step needs"),
        ("steps:\n- {proces: a}", "2:3", "Did you mean 'process'?"),
        ("steps:\n- {name: a}", "2:3", "A step needs `process: NAME`"),
        ("steps:\n- process:", "2:11", "not nothing"),
        ("steps:\n- {process: 1}", "2:13", "not the int 1"),
        ("steps:\n- {process: a, withs: {}}", "2:16", "Did you mean 'with'?"),
        ("steps:\n- {process: a, with: [1]}", "2:22", "mapping of arguments"),
        ("steps:\n- {process: a, with: {a b: 1}}", "2:23", "cannot name an argument"),
        ("steps:\n- {process: a, with: {1: 1}}", "2:23", "cannot name an argument"),
        ("steps:\n- {process: a, with: {x: =b}}", "2:27", "Unknown name 'b'"),
        ("steps:\n- {flux: whille}", "2:10", "Did you mean 'while'?"),
        ("steps:\n- {flux: on}", "2:10", "in YAML 1.2 only true and false are booleans"),
        ("steps:\n- {flux: 1}", "2:10", "Unknown kind of step"),
        ("steps:\n- {flux: process}", "2:3", "needs `process:`"),
        ("steps:\n- {flux: while, do: [a]}", "2:3", "needs `condition:`"),
        ("steps:\n- {flux: while, condition: true}", "2:3", "needs `do:`"),
        ("steps:\n- flux: while\n  condition: true\n  do:", "4:6", "write []"),
        ("steps:\n- {flux: while, condition: yes, do: []}", "2:28", "Write True"),
        ("steps:\n- {flux: while, condition: 1, do: []}", "2:28", "not the int 1"),
        ("steps:\n- {flux: while, condition: {a: b}, do: []}", "2:28", "Put quotes"),
        ("steps:\n- flux: while\n  condition:\n  do: []", "3:13", "not nothing"),
        ("steps:\n- {flux: while, condition: '', do: []}", "2:29", "empty"),
        ("steps:\n- {flux: if, condition: true, else: []}", "2:3", "needs `then:`"),
        ("steps:\n- {flux: if, condition: a.b, then: []}", "2:25", "Unknown name 'a'"),
        ("steps:\n- {flux: if, condition: 'domain.x =', then: []}", "2:35", "=="),
        ("steps:\n- {flux: if, condition: 'domain.x.f()', then: []}", "2:35", "no method"),
        ("steps:\n- flux: if\n  condition: domain._x\n  then: []", "3:21", "private"),
        ("steps:\n- {flux: for-each, as: x, do: []}", "2:3", "needs `items:`"),
        ("steps:\n- {flux: for-each, items: '[]', do: []}", "2:3", "needs `as:`"),
        ("steps:\n- {flux: for-each, items: '[]', as: x}", "2:3", "needs `do:`"),
        ("steps:\n- {flux: for-each, items: '[]', as: len, do: []}", "2:37", "cannot name"),
        ("steps:\n- {flux: for-each, items: '[]', as: a-b, do: []}", "2:37", "cannot name"),
        ("steps:\n- {flux: for-each, items: x, as: x, do: []}", "2:27", "Unknown name 'x'"),
        ("steps:\n- {flux: for-each, items: [=y], as: x, do: []}", "2:29", "Unknown name 'y'"),
        ("steps:\n- {flux: for-each, items: '[]', as: x, do: [], parallel: 0}", "2:58", "int 0"),
        ("steps:\n- {flux: for-each, items: '[]', as: x, do: [], parallel: yes}", "2:58", "1.2"),
        ("steps:\n- {flux: for-each, items: '[]', as: x, do: [], parallel: 1.5}", "2:58", "1.5"),
        (
            "steps:\n- flux: for-each\n  items: '[]'\n  as: x\n  do:\n"
            "  - {flux: for-each, items: x, as: x, do: []}",
            "6:36",
            "not in use",
        ),
        ("steps:\n- {flux: run}", "2:3", "needs `steps:`"),
        ("nodes:\n  x:", "2:5", "`process:` or `next:`"),
        ("nodes: {x: {}}", "1:12", "`process:` or `next:`"),
        ("nodes: {x: {name: a}}", "1:12", "`process:` or `next:`"),
        ("nodes: {x: {proces: a, next: x}}", "1:13", "Did you mean 'process'?"),
        ("nodes: {x: {next: 3}}", "1:19", "no node '3'"),
        ("nodes: {start: {next: strat}}", "1:23", "Did you mean 'start'?"),
        ("nodes: {x: {next: [x]}}", "1:19", "not a list"),
        ("nodes: {x: {next: {when a: x}}}", "1:20", '"if CONDITION"'),
        ("nodes: {x: {next: {if: x}}}", "1:20", '"if CONDITION"'),
        ("nodes: {x: {next: {if domian.x: x}}}", "1:23", "Did you mean 'domain'?"),
        ("nodes: {x: {next: {'if  1 +': x}}}", "1:28", "ends too early"),
        ("start: y\nnodes: {x: a}", "1:8", "no node 'y'"),
        ("start: 3\nnodes: {x: a}", "1:8", "needs a text"),
        ("nodes: [{process: a}]", "1:9", "`id:` or `name:`"),
        ("nodes: [{id: x, process: a}, {id: x, process: b}]", "1:30", "two nodes"),
        (None, "1:1", "str or bytes"),
        (b"steps: [\xff]", "1:9", "UTF-8"),
    ],
)
def test_what_is_wrong_and_where(text, place, words):
    found = problems(text)
    assert place in found
    assert words in found[place]
    assert len(found) == 1


def test_all_problems_are_told_in_one_error_in_the_order_of_the_file():
    text = """\
steeps: 1
steps:
- flux: whille
- proces: a
- flux: if
  condition: domian.x >
  thn: [a]
- 3
- flux: for-each
  items: {a: 1}
  as: domain
  do: a
"""
    found = problems(text)
    assert list(found) == [
        "1:1",
        "3:9",
        "4:3",
        "5:3",
        "6:14",
        "7:3",
        "8:3",
        "10:10",
        "11:7",
        "12:7",
    ]


def test_the_number_of_problems_told_is_bounded():
    with pytest.raises(FluxError) as caught:
        parse_workflow("steps:\n" + "- {proces: a}\n" * 5_000)
    assert len(caught.value.problems) == 50


def test_a_problem_behind_an_alias_is_told_once():
    text = "steps:\n- &x {flux: if, condition: a, then: []}\n- *x\n- *x\n"
    assert list(problems(text)) == ["2:28"]


def test_the_tree_has_the_places_of_its_steps():
    text = "name: n\nsteps:\n- a\n- flux: if\n  condition: true\n  then:\n  - process: b\n- c\n"
    workflow = parse_workflow(text, source="f.yaml")
    assert workflow.name == "n"
    places = [(type(step).__name__, step.position.line) for step in workflow.steps()]
    assert places == [("ProcessStep", 3), ("IfStep", 4), ("ProcessStep", 7), ("ProcessStep", 8)]


def test_a_condition_may_be_folded():
    text = "steps:\n- flux: if\n  condition: >\n    domain.x > 1\n    and domain.y\n  then: [a]\n"
    (step,) = parse_workflow(text).body
    assert step.condition.source == "domain.x > 1 and domain.y"


@pytest.mark.parametrize(
    "text",
    [
        "steps: " + "[" * 100_000,
        "steps: " + "[{flux: run, steps: " * 10_000,
        "steps:\n" + "- a\n" * 60_000,
        "a: &a [x]\nsteps: [" + "*a, " * 50_000 + "]",
        "steps: [a]\n" * 20_000,
    ],
    ids=["brackets", "nested steps", "many steps", "aliases", "keys"],
)
def test_large_hostile_files_are_refused_with_a_place(text):
    assert len(problems(text)) == 1


# --- random files -----------------------------------------------------------------------------

SCALARS = st.sampled_from(
    [
        *(None, True, False, 0, 2, 1.5, "", "a", "b", "domain.x > 1", "=domain.x", "x", "yes"),
        *("domain.", "if domain.x", "else", "end", "1 +", "len(domain.l)", "[1, 2]", *STEPS),
    ]
)
KEYS = st.sampled_from(
    [
        *("flux", "process", "with", "condition", "then", "else", "do", "steps", "items", "as"),
        *("parallel", "nodes", "start", "next", "name", "id", "if domain.x > 1", "x", 1),
    ]
)


def containers(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)


VALUES = st.recursive(SCALARS, containers, max_leaves=12)
BODIES = st.deferred(lambda: st.lists(STEP, max_size=3))
CONDITIONS = st.sampled_from(["domain.x > 1", "True", "x", "domain.", True, "1 / 0", "domain.l"])
STEP = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["a", "b"]),
        st.fixed_dictionaries({"process": st.sampled_from(["a", "b", ""])}),
        st.fixed_dictionaries(
            {"flux": st.just("if"), "condition": CONDITIONS, "then": BODIES},
            optional={"else": BODIES},
        ),
        st.fixed_dictionaries({"flux": st.just("while"), "condition": CONDITIONS, "do": BODIES}),
        st.fixed_dictionaries({"flux": st.just("run"), "steps": BODIES}),
        st.fixed_dictionaries(
            {"flux": st.just("for-each"), "items": CONDITIONS, "as": st.just("x"), "do": BODIES},
            optional={"parallel": st.sampled_from([True, 1, 2, 0])},
        ),
        VALUES,
    )
)
FILES = st.fixed_dictionaries({"steps": BODIES}) | st.fixed_dictionaries({"nodes": VALUES}) | VALUES


@settings(max_examples=400)
@given(FILES)
def test_random_trees_are_parsed_or_refused_with_places(tree):
    check(yaml.safe_dump(tree, sort_keys=False))


@settings(max_examples=300)
@given(FILES, st.data())
def test_broken_files_are_parsed_or_refused_with_places(tree, data):
    text = yaml.safe_dump(tree, sort_keys=False)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?<~= \n\t01.", max_size=4))
    check(text[:at] + put + text[at + cut :])


@settings(max_examples=200)
@given(st.text(max_size=80))
def test_random_texts_are_refused_with_places(text):
    check(text)


def test_a_graph_step_without_nodes_is_refused():
    with pytest.raises(FluxError, match="nodes"):
        parse_workflow("steps:\n- flux: graph\n", source="f.yaml")


LINE_ENDS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Those of YAML."""


def check(text):
    try:
        workflow = parse_workflow(text, source="f.yaml")
    except FluxError as error:
        lines = len(LINE_ENDS.findall(text)) + 2
        assert error.problems
        assert all(1 <= each.position.line <= lines for each in error.problems)
        assert all(each.position.column >= 1 and each.message for each in error.problems)
    else:
        assert workflow.body
