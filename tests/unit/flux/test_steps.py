"""Every kind of step, run in every way, with the same trace."""

from __future__ import annotations

import pytest

from tests.unit.flux.support import RUNNERS, Limited, Mapping, Program, run_sync
from theus.errors import FluxError, SafetyTripError
from theus.flux.steps import STEPS
from theus.flux.workflow import WorkflowEngine


def count(domain, **_):
    domain["n"] = domain.get("n", 0) + 1


CASES = {
    "a bare name": ("steps: [a, b]", {}, ["a", "b"]),
    "process": ("steps:\n- process: a\n- process: b", {}, ["a", "b"]),
    "process by its kind": ("steps:\n- {flux: process, process: a}", {}, ["a"]),
    "labels": ("name: x\nsteps:\n- {name: one, description: d, process: a}", {}, ["a"]),
    "run": ("steps:\n- flux: run\n  steps: [a, {flux: run, steps: [b]}]\n- c", {}, ["a", "b", "c"]),
    "an empty run": ("steps:\n- flux: run\n  steps: []\n- a", {}, ["a"]),
    "if holds": (
        "steps:\n- {flux: if, condition: domain.n > 1, then: [a], else: [b]}",
        {"n": 2},
        ["a"],
    ),
    "if does not hold": (
        "steps:\n- {flux: if, condition: domain.n > 1, then: [a], else: [b]}",
        {"n": 1},
        ["b"],
    ),
    "if without else": (
        "steps:\n- {flux: if, condition: domain.n, then: [a]}\n- b",
        {"n": 0},
        ["b"],
    ),
    "if by a truth": ("steps:\n- {flux: if, condition: domain.l, then: [a]}", {"l": [0]}, ["a"]),
    "if true": ("steps:\n- {flux: if, condition: true, then: [a], else: [b]}", {}, ["a"]),
    "if false": ("steps:\n- {flux: if, condition: false, then: [a], else: [b]}", {}, ["b"]),
    "if inside if": (
        "steps:\n- flux: if\n  condition: domain.n > 1\n  then:\n"
        "  - {flux: if, condition: domain.n > 2, then: [a], else: [b]}",
        {"n": 2},
        ["b"],
    ),
    "while does not hold": (
        "steps:\n- {flux: while, condition: domain.n > 1, do: [a]}\n- b",
        {"n": 1},
        ["b"],
    ),
    "for-each": (
        "steps:\n- flux: for-each\n  items: domain.l\n  as: x\n  do:\n"
        "  - {process: a, with: {v: =x}}",
        {"l": [1, 2]},
        ["a", "a"],
    ),
    "for-each of nothing": (
        "steps:\n- {flux: for-each, items: domain.l, as: x, do: [a]}\n- b",
        {"l": []},
        ["b"],
    ),
    "for-each of keys": (
        "steps:\n- flux: for-each\n  items: domain.m\n  as: x\n  do:\n"
        "  - {flux: if, condition: 'domain.m[x]', then: [a], else: [b]}",
        {"m": {"p": 1, "q": 0}},
        ["a", "b"],
    ),
    "for-each of a list in the file": (
        "steps:\n- flux: for-each\n  items: [1, =domain.n, 3]\n  as: x\n  do:\n"
        "  - {flux: if, condition: x > 2, then: [a], else: [b]}",
        {"n": 5},
        ["b", "a", "a"],
    ),
    "for-each in for-each": (
        "steps:\n- flux: for-each\n  items: domain.l\n  as: x\n  do:\n"
        "  - flux: for-each\n    items: x\n    as: y\n    do:\n"
        "    - {flux: if, condition: y == len(x), then: [a], else: [b]}\n  - c",
        {"l": [[1], [1, 2]]},
        ["a", "c", "b", "a", "c"],
    ),
    "parallel": (
        "steps:\n- flux: for-each\n  items: domain.l\n  as: x\n  parallel: true\n  do:\n  - a\n"
        "  - {flux: if, condition: x > 1, then: [b, c]}\n- d",
        {"l": [1, 2, 3]},
        ["a", "a", "b", "c", "a", "b", "c", "d"],
    ),
    "parallel with a limit": (
        "steps:\n- {flux: for-each, items: domain.l, as: x, parallel: 2, do: [a, b]}",
        {"l": [1, 2, 3]},
        ["a", "b"] * 3,
    ),
    "parallel false": (
        "steps:\n- {flux: for-each, items: domain.l, as: x, parallel: false, do: [a]}",
        {"l": [1, 2]},
        ["a", "a"],
    ),
    "parallel in parallel": (
        "steps:\n- flux: for-each\n  items: domain.l\n  as: x\n  parallel: 2\n  do:\n  - a\n"
        "  - flux: for-each\n    items: x\n    as: y\n    parallel: true\n    do:\n    - b\n"
        "    - {flux: if, condition: y > 1, then: [c]}",
        {"l": [[1, 2], [], [2]]},
        ["a", "b", "b", "c", "a", "a", "b", "c"],
    ),
    "parallel of nothing": (
        "steps:\n- {flux: for-each, items: '[]', as: x, parallel: true, do: [a]}\n- b",
        {},
        ["b"],
    ),
    "parallel with an empty body": (
        "steps:\n- {flux: for-each, items: '[1, 2]', as: x, parallel: 1, do: []}\n- b",
        {},
        ["b"],
    ),
    "nodes": ("nodes:\n  x: {process: a, next: y}\n  y: {process: b}", {}, ["a", "b"]),
    "nodes with a start": ("start: y\nnodes:\n  x: {process: a}\n  y: {process: b}", {}, ["b"]),
    "nodes with a node named start": (
        "nodes:\n  x: {process: a}\n  start: {process: b, next: x}",
        {},
        ["b", "a"],
    ),
    "nodes with conditions": (
        "nodes:\n  x:\n    process: a\n    next:\n      'if domain.n > 5': y\n"
        "      'if domain.n > 1': z\n      else: end\n  y: {process: b}\n  z: {process: c}",
        {"n": 3},
        ["a", "c"],
    ),
    "nodes with else": (
        "nodes:\n  x:\n    next:\n      else: z\n      'if domain.n > 5': y\n"
        "  y: {process: b}\n  z: {process: c}",
        {"n": 3},
        ["c"],
    ),
    "nodes where nothing holds": (
        "nodes:\n  x: {process: a, next: {if domain.n > 5: y}}\n  y: {process: b}",
        {"n": 3},
        ["a"],
    ),
    "nodes in a list": (
        "nodes:\n- {id: x, process: a, next: y}\n- {name: y, process: b, next: }",
        {},
        ["a", "b"],
    ),
    "a node that is only a name": ("nodes: {x: a}", {}, ["a"]),
    "numbered nodes": ("nodes: {1: {process: a, next: 2}, 2: {process: b}}", {}, ["a", "b"]),
    "a graph as a step": (
        "steps:\n- a\n- flux: graph\n  nodes: {x: {process: b, next: y}, y: {process: c}}\n- d",
        {},
        ["a", "b", "c", "d"],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("run", RUNNERS, ids=lambda run: run.__name__)
def test_all_drivers_give_the_same_trace(case, run):
    text, domain, trace = CASES[case]
    program = Program({"domain": domain})
    assert run(text, program) == trace
    assert sorted(name for name, _ in program.calls) == sorted(trace)


@pytest.mark.parametrize("case", CASES)
def test_a_simulation_gives_the_trace_and_calls_nothing(case):
    text, domain, trace = CASES[case]
    assert WorkflowEngine(text).simulate({"domain": domain}) == trace


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [Mapping, Limited])
def test_an_executor_with_a_map_gives_the_same_trace(case, kind):
    text, domain, trace = CASES[case]
    assert run_sync(text, kind({"domain": domain})) == trace


def test_every_kind_of_step_is_in_a_case():
    texts = " ".join(text for text, _, _ in CASES.values())
    assert set(STEPS) == {"process", "run", "if", "while", "for-each", "graph"}
    assert all(f"flux: {key}" in texts for key in STEPS)
    assert all(kind.summary for kind in STEPS.values())


# --- while ------------------------------------------------------------------------------------

WHILE = "steps:\n- {flux: while, condition: domain.n < 3, do: [count, other]}\n- after"


@pytest.mark.parametrize("run", RUNNERS, ids=lambda run: run.__name__)
def test_while_sees_the_state_as_it_is_now(run):
    program = Program({"domain": {"n": 0}}, count=count)
    assert run(WHILE, program) == ["count", "other"] * 3 + ["after"]


@pytest.mark.parametrize("run", RUNNERS, ids=lambda run: run.__name__)
def test_a_graph_with_a_cycle(run):
    text = "nodes:\n  x: {process: count, next: {if domain.n < 3: x, else: y}}\n  y: {process: end}"
    program = Program({"domain": {"n": 0}}, count=count)
    assert run(text, program) == ["count"] * 3 + ["end"]


def test_a_loop_is_simulated_once_because_nothing_changes():
    engine = WorkflowEngine(WHILE)
    assert engine.simulate({"domain": {"n": 0}}) == ["count", "other", "after"]
    assert engine.simulate({"domain": {"n": 3}}) == ["after"]
    graph = "nodes:\n  x: {process: a, next: {if domain.n < 3: x, else: y}}\n  y: {process: b}"
    assert WorkflowEngine(graph).simulate({"domain": {"n": 0}}) == ["a"]
    assert WorkflowEngine(graph).simulate({"domain": {"n": 5}}) == ["a", "b"]


# --- the safety trip --------------------------------------------------------------------------

ENDLESS = {
    "while": "steps:\n- {flux: while, condition: true, do: [a]}",
    "while with an empty body": "steps:\n- {flux: while, condition: true, do: []}",
    "while with an if that never holds": (
        "steps:\n- flux: while\n  condition: '1 < 2'\n  do:\n"
        "  - {flux: if, condition: false, then: [a]}"
    ),
    "while in while": (
        "steps:\n- flux: while\n  condition: true\n  do:\n"
        "  - {flux: while, condition: true, do: []}"
    ),
    "while in parallel branches": (
        "steps:\n- flux: for-each\n  items: '[1, 2]'\n  as: x\n  parallel: true\n  do:\n"
        "  - {flux: while, condition: x, do: [a]}"
    ),
    "nodes": "nodes: {x: {process: a, next: y}, y: {process: b, next: x}}",
    "nodes without processes": "nodes: {x: {next: y}, y: {next: x}}",
    "a node that is its own next": "nodes: {x: {next: {if true: x, else: x}}}".replace(
        "true", "True"
    ),
}


@pytest.mark.parametrize("case", ENDLESS)
@pytest.mark.parametrize("run", RUNNERS, ids=lambda run: run.__name__)
def test_what_never_ends_trips(case, run):
    with pytest.raises(
        RuntimeError, match=r"Safety Trip: more than 25 operations at f\.yaml:"
    ) as bad:
        run(ENDLESS[case], Program(), max_ops=25, source="f.yaml")
    assert isinstance(bad.value, SafetyTripError)
    assert bad.value.limit == 25
    assert bad.value.where.startswith("f.yaml:")


@pytest.mark.parametrize("case", ENDLESS)
def test_a_simulation_of_what_never_ends_trips(case):
    with pytest.raises(SafetyTripError):
        WorkflowEngine(ENDLESS[case], max_ops=25).simulate({})


def test_an_endless_loop_over_the_state_trips_when_run():
    program = Program({"domain": {"n": 0}})
    with pytest.raises(SafetyTripError):
        run_sync("steps:\n- {flux: while, condition: domain.n < 3, do: []}", program, max_ops=100)


def test_the_limit_is_exact_and_counts_calls_and_passes():
    loop = "steps:\n- {flux: while, condition: domain.n < 3, do: [count]}\n- after"
    program = Program({"domain": {"n": 0}}, count=count)
    assert len(run_sync(loop, program, max_ops=7)) == 4
    with pytest.raises(SafetyTripError):
        run_sync(loop, Program({"domain": {"n": 0}}, count=count), max_ops=6)
    assert run_sync("steps: [a, b]", Program(), max_ops=2) == ["a", "b"]
    with pytest.raises(SafetyTripError):
        run_sync("steps: [a, b]", Program(), max_ops=1)


def test_a_loop_over_too_many_items_starts_none_of_them_in_parallel():
    program = Program({"domain": {"l": list(range(50))}})
    text = "steps:\n- {flux: for-each, items: domain.l, as: x, parallel: true, do: [a]}"
    with pytest.raises(SafetyTripError):
        run_sync(text, program, max_ops=20)
    assert program.calls == []


# --- arguments --------------------------------------------------------------------------------


def test_arguments_are_constants_and_expressions_of_the_moment():
    text = """
steps:
- count
- process: a
  with:
    number: 1
    text: domain.n
    sum: =domain.n + 1
    quoted: '=len(domain.l)'
    equals: ="=x"
    nothing:
    deep: {list: [1, =domain.n, {x: "=domain.l[0]"}], on: yes}
"""
    program = Program({"domain": {"n": 0, "l": [7, 8]}}, count=count)
    run_sync(text, program)
    wanted = {
        "number": 1,
        "text": "domain.n",
        "sum": 2,
        "quoted": 2,
        "equals": "=x",
        "nothing": None,
        "deep": {"list": [1, 1, {"x": 7}], "on": "yes"},
    }
    assert program.calls == [("count", {}), ("a", wanted)]


def test_containers_of_arguments_are_new_at_every_call():
    def spoil(domain, box):
        box["l"].append(1)

    text = (
        "steps:\n- flux: for-each\n  items: '[1, 2]'\n  as: x\n  do:\n"
        "  - {process: a, with: {box: {l: []}}}"
    )
    seen = []
    program = Program(a=lambda domain, box: (seen.append(list(box["l"])), spoil(domain, box)))
    run_sync(text, program)
    assert seen == [[], []]


def test_without_arguments_the_name_is_all():
    seen = []
    WorkflowEngine("steps: [a, {process: b, with: {}}]").execute(
        {}, lambda *a, **k: seen.append((a, k))
    )
    assert seen == [(("a",), {}), (("b",), {})]


def test_the_item_is_what_the_name_stands_for():
    text = (
        "steps:\n- flux: for-each\n  items: domain.parts\n  as: part\n  parallel: 2\n  do:\n"
        "  - {process: work, with: {part: =part, size: '=len(part.rows)', n: =domain.n}}"
    )
    parts = [{"rows": [1]}, {"rows": [1, 2]}]
    program = Program({"domain": {"parts": parts, "n": 4}})
    run_sync(text, program)
    assert program.calls == [
        ("work", {"part": parts[0], "size": 1, "n": 4}),
        ("work", {"part": parts[1], "size": 2, "n": 4}),
    ]


def test_the_items_are_those_at_the_start():
    text = "steps:\n- {flux: for-each, items: domain.l, as: x, do: [grow]}"
    program = Program({"domain": {"l": [1, 2]}}, grow=lambda domain: domain["l"].append(0))
    assert run_sync(text, program) == ["grow", "grow"]


@pytest.mark.parametrize(
    ("items", "words"),
    [("domain.s", "a text"), ("domain.n", "type int"), ("{1}", "sorted"), ("domain.x", "no 'x'")],
)
def test_only_lists_can_be_looped_over(items, words):
    text = f"steps:\n- {{flux: for-each, items: '{items}', as: x, do: [a]}}"
    with pytest.raises(FluxError, match=words) as caught:
        run_sync(text, Program({"domain": {"s": "abc", "n": 1}}), source="f.yaml")
    assert (caught.value.file, caught.value.line) == ("f.yaml", 2)


# --- groups -----------------------------------------------------------------------------------

GROUP = (
    "steps:\n- flux: for-each\n  items: '[1, 2, 3, 4, 5]'\n  as: x\n  parallel: {}\n  do:\n"
    "  - {{flux: if, condition: x != 2, then: [a]}}\n  - {{flux: if, condition: x > 3, then: [b]}}"
)


def test_a_map_gets_the_next_call_of_every_branch():
    program = Mapping()
    run_sync(GROUP.format("true"), program)
    assert program.batches == [["a", "a", "a", "a"], ["b", "b"]]


def test_a_map_without_a_limit_gets_no_more_than_the_limit():
    program = Mapping()
    run_sync(GROUP.format(2), program)
    assert program.batches == [["a", "a"], ["a", "a"], ["b", "b"]]


def test_a_map_with_a_limit_is_told():
    program = Limited()
    run_sync(GROUP.format(2), program)
    assert program.batches == [["a", "a", "a", "a"], ["b", "b"]]
    assert program.limit == 2


def test_a_loop_in_order_needs_no_map():
    program = Mapping()
    run_sync("steps:\n- {flux: for-each, items: '[1, 2]', as: x, do: [a]}", program)
    assert program.batches == []


# --- the shelf --------------------------------------------------------------------------------

NEW_KIND = """
from dataclasses import dataclass
from theus.flux.syntax import Step, StepKind
from theus.flux.walker import Call

@dataclass(frozen=True, slots=True, kw_only=True)
class TwiceStep(Step):
    process: str
    def walk(self, run):
        for _ in range(2):
            run.charge(self)
            call = Call(self.process, None, self.position)
            yield call
            run.done(call)

def parse(fields):
    return TwiceStep(position=fields.position, process=fields.text("of"))

KIND = StepKind(parse, ("of",))
"""


def test_one_new_file_is_one_new_kind_of_step(tmp_path, monkeypatch):
    import theus.flux.steps as room

    (tmp_path / "just_twice.py").write_text(NEW_KIND)
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    STEPS.refresh()
    try:
        text = "steps:\n- {flux: just-twice, of: a}"
        assert run_sync(text, Program()) == ["a", "a"]
        assert WorkflowEngine(text).simulate({}) == ["a", "a"]
        with pytest.raises(FluxError, match="`flux: just-twice` needs `of:`"):
            WorkflowEngine("steps:\n- {flux: just-twice}")
    finally:
        monkeypatch.undo()
        STEPS.refresh()
    with pytest.raises(FluxError, match="Unknown kind"):
        WorkflowEngine(text)
