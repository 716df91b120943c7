"""WorkflowEngine: states, observers, contexts, failures, cancellation, files."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace

import pytest

from tests.unit.flux.support import RUNNERS, Program, run_async, run_sync
from tests.unit.flux.support import Mapping as MappingProgram
from theus.errors import FluxError, ParallelError, ReentryError, SettingsError
from theus.flux.machine import StateMachine
from theus.workflow import FSMState, WorkflowEngine

TWO = "name: two\nsteps: [a, b]"
P, R, W, C, F = (
    FSMState.Pending,
    FSMState.Running,
    FSMState.WaitingIO,
    FSMState.Complete,
    FSMState.Failed,
)


def nothing(name, **arguments):
    return None


async def later(name, **arguments):
    await asyncio.sleep(0)


# --- states -----------------------------------------------------------------------------------


def test_the_states():
    assert [state.name for state in FSMState] == [
        "Pending", "Running", "WaitingIO", "Complete", "Failed",
    ]  # fmt: skip
    assert FSMState.Done is FSMState.Complete


def test_a_run_goes_from_pending_over_running_to_complete():
    engine = WorkflowEngine(TWO)
    assert engine.state is engine.fsm_state is P
    assert engine.state_history == [P]
    seen = []
    engine.execute({}, lambda name: seen.append((name, engine.state)))
    assert seen == [("a", R), ("b", R)]
    assert engine.state is C
    assert engine.state_history == [P, R, C]


def test_awaiting_is_waiting():
    engine = WorkflowEngine(TWO)
    seen = []

    async def execute(name):
        seen.append(engine.state)
        await asyncio.sleep(0)
        seen.append(engine.state)

    asyncio.run(engine.execute_async({}, execute))
    assert engine.state_history == [P, R, W, R, W, R, C]
    assert set(seen) <= {R, W}
    assert seen[1] is W


def test_processes_that_do_not_wait_are_not_waited_for():
    engine = WorkflowEngine(TWO)
    asyncio.run(engine.execute_async({}, nothing))
    assert engine.state_history == [P, R, C]


def test_parallel_branches_are_one_wait():
    text = "steps:\n- {flux: for-each, items: '[1, 2, 3]', as: x, parallel: 2, do: [a, b]}"
    engine = WorkflowEngine(text)
    asyncio.run(engine.execute_async({}, later))
    assert engine.state_history == [P, R, W, R, C]


def test_a_simulation_does_not_touch_the_states():
    engine = WorkflowEngine(TWO)
    assert engine.simulate() == ["a", "b"]
    assert engine.state_history == [P]


def test_observers_are_told_every_move_in_order():
    engine = WorkflowEngine(TWO)
    moves, others = [], []
    engine.add_state_observer(lambda old, new: moves.append((old, new)))
    engine.add_state_observer(lambda old, new: others.append((old, new)))
    engine.execute({}, nothing)
    assert moves == [(P, R), (R, C)]
    asyncio.run(engine.execute_async({}, later))
    assert moves[2:] == [(C, P), (P, R), (R, W), (W, R), (R, W), (W, R), (R, C)]
    assert others == moves


def test_an_observer_that_fails_is_logged_and_disturbs_nobody(caplog):
    engine = WorkflowEngine(TWO)
    moves = []

    def broken(old, new):
        raise LookupError("broken observer")

    engine.add_state_observer(broken)
    engine.add_state_observer(lambda old, new: moves.append(new))
    with caplog.at_level(logging.ERROR, "theus.flux"):
        assert engine.execute({}, nothing) == ["a", "b"]
    assert moves == [R, C]
    assert "broken observer" in caplog.text


def test_the_history_begins_anew_with_every_run():
    engine = WorkflowEngine(TWO)
    for _ in range(3):
        engine.execute({}, nothing)
    assert engine.state_history == [P, R, C]
    engine.state_history.clear()
    assert engine.state_history == [P, R, C]


def test_only_moves_that_make_sense():
    machine = StateMachine()
    for wrong in (P, W, C, F):
        with pytest.raises(ReentryError):
            machine.move(wrong)
    assert machine.history == [P]
    machine.begin()
    with pytest.raises(ReentryError):
        machine.begin()
    machine.move(C)
    with pytest.raises(ReentryError):
        machine.move(F)
    machine.begin()
    assert machine.history == [P, R]


# --- failures ---------------------------------------------------------------------------------

FAILING = "steps:\n- a\n- flux: if\n  condition: true\n  then:\n  - process: bad\n- c"


@pytest.mark.parametrize("run", RUNNERS, ids=lambda run: run.__name__)
def test_an_exception_comes_out_as_it_is_with_a_note(run):
    error = LookupError("no such thing")

    def bad(domain):
        raise error

    program = Program(bad=bad)
    with pytest.raises(LookupError) as caught:
        run(FAILING, program, source="f.yaml")
    assert caught.value is error
    assert error.__notes__ == ["in the workflow step 'bad' at f.yaml:6:5"]
    assert [name for name, _ in program.calls] == ["a", "bad"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, StopIteration, GeneratorExit])
def test_a_failed_run_is_failed_and_the_engine_can_run_again(kind):
    engine = WorkflowEngine(FAILING)

    def execute(name):
        if name == "bad" and broken:
            raise kind("stop")

    broken = [True]
    with pytest.raises((kind, RuntimeError)):
        engine.execute({}, execute)
    assert engine.state_history == [P, R, F]
    broken.clear()
    assert engine.execute({}, execute) == ["a", "bad", "c"]
    assert engine.state is C


def test_a_failure_while_waiting():
    engine = WorkflowEngine(FAILING)

    async def execute(name):
        await asyncio.sleep(0)
        if name == "bad":
            raise ValueError(name)

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(engine.execute_async({}, execute))
    assert engine.state_history == [P, R, W, R, W, R, F]


def test_a_condition_that_cannot_be_evaluated_names_its_place():
    engine = WorkflowEngine(
        "steps:\n- {flux: if, condition: domain.x > 1, then: []}", source="f.yaml"
    )
    with pytest.raises(FluxError) as caught:
        engine.execute({"domain": {}}, nothing)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("f.yaml", 2, 32)
    assert caught.value.kind == "unknown-path"
    assert engine.state is F


PARALLEL = (
    "steps:\n- flux: for-each\n  items: '[1, 2, 3]'\n  as: x\n  parallel: true\n  do:\n"
    "  - {process: a, with: {x: =x}}\n  - b"
)


def fail_at_two(domain, x):
    if x == 2:
        raise ValueError("two")


@pytest.mark.parametrize("run", RUNNERS, ids=lambda run: run.__name__)
def test_a_branch_that_fails_fails_the_group(run):
    program = Program(a=fail_at_two)
    with pytest.raises(ValueError, match="two") as caught:
        run(PARALLEL, program, source="f.yaml")
    assert caught.value.__notes__ == [
        "in the workflow step 'a' at f.yaml:7:5",
        "in the parallel loop at f.yaml:2:3",
    ]


def test_a_map_that_raises_fails_the_group():
    program = MappingProgram(a=fail_at_two)
    with pytest.raises(ValueError, match="two") as caught:
        run_sync(PARALLEL, program, source="f.yaml")
    assert caught.value.__notes__ == ["in the parallel loop at f.yaml:2:3"]


def test_a_map_may_return_exceptions():
    class Returning(Program):
        def map(self, calls):
            self.seen = calls
            return [ValueError("two") if arguments["x"] == 2 else None for _, arguments in calls]

    program = Returning()
    with pytest.raises(ValueError, match="two") as caught:
        run_sync(PARALLEL, program, source="f.yaml")
    assert caught.value.__notes__[0] == "in the workflow step 'a' at f.yaml:7:5"
    assert program.seen == [("a", {"x": 1}), ("a", {"x": 2}), ("a", {"x": 3})]


def test_a_map_that_loses_results_is_an_error():
    class Losing(Program):
        def map(self, calls):
            return []

    with pytest.raises(ParallelError, match="0 results for 3 calls"):
        run_sync(PARALLEL, Losing())


def test_other_branches_are_cancelled_and_waited_for():
    ended = []

    async def execute(name, x=None):
        if x == 2:
            await asyncio.sleep(0)
            raise ValueError("two")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(x)

    async def main():
        engine = WorkflowEngine(PARALLEL)
        with pytest.raises(ValueError, match="two"):
            await engine.execute_async({}, execute)
        assert engine.state is F
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    assert sorted(ended) == [1, 3]


@pytest.mark.parametrize("text", [TWO, PARALLEL], ids=["in order", "parallel"])
def test_a_cancelled_run_is_failed_and_leaves_nothing(text):
    async def main():
        engine = WorkflowEngine(text)
        started = asyncio.Event()

        async def execute(name, x=None):
            started.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(engine.execute_async({}, execute))
        await started.wait()
        assert engine.state is W
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.state is F
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_the_limit_of_parallel_branches_is_kept():
    going = peak = 0

    async def execute(name, x=None):
        nonlocal going, peak
        going += 1
        peak = max(peak, going)
        for _ in range(3):
            await asyncio.sleep(0)
        going -= 1

    text = "steps:\n- {flux: for-each, items: domain.l, as: x, parallel: 3, do: [a]}"
    asyncio.run(WorkflowEngine(text).execute_async({"domain": {"l": list(range(10))}}, execute))
    assert peak == 3


def test_the_trace_is_in_the_order_of_the_items_whichever_ends_first():
    async def execute(name, x=None):
        for _ in range(10 - 3 * (x or 0)):
            await asyncio.sleep(0)

    text = (
        "steps:\n- flux: for-each\n  items: '[1, 2, 3]'\n  as: x\n  parallel: true\n  do:\n"
        "  - {process: a, with: {x: =x}}\n  - {flux: if, condition: x == 2, then: [two]}"
    )
    assert asyncio.run(WorkflowEngine(text).execute_async({}, execute)) == ["a", "a", "two", "a"]


def test_execute_refuses_what_must_be_awaited():
    engine = WorkflowEngine(TWO)
    with pytest.raises(ReentryError, match="execute_async"):
        engine.execute({}, later)
    assert engine.state is F


def test_a_second_run_at_the_same_time_is_refused():
    engine = WorkflowEngine(TWO)

    def execute(name):
        with pytest.raises(ReentryError, match="running already"):
            engine.execute({}, nothing)
        assert engine.simulate() == ["a", "b"]

    assert engine.execute({}, execute) == ["a", "b"]
    assert engine.state_history == [P, R, C]


def test_only_one_of_many_threads_gets_the_engine():
    engine = WorkflowEngine("steps: [a]")
    gate = threading.Event()
    results = []

    def run():
        try:
            results.append(engine.execute({}, lambda name: gate.wait(30)))
        except ReentryError:
            results.append("refused")
            gate.set()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["['a']", "refused"]


# --- contexts ---------------------------------------------------------------------------------

LOOK = (
    "steps:\n- flux: if\n  condition: domain.n + global.n == 3 and signal.s == 1 and cmd.s == 1\n"
    "  then: [a]\n  else: [b]"
)


@dataclass
class Domain:
    n: int = 1


@dataclass
class System:
    domain_ctx: Domain = field(default_factory=Domain)
    global_ctx: object = field(default_factory=lambda: SimpleNamespace(n=2))
    signal: dict = field(default_factory=lambda: {"s": 1})


class Loose:
    def __init__(self):
        self.n = 2
        self._hidden = 1


class State:
    """What an engine's state looks like: latched signals beside the hub."""

    domain = MappingProxyType({"n": 1})
    global_ = Loose()
    signals = MappingProxyType({"s": 1})
    signal = object()


@pytest.mark.parametrize(
    "context",
    [
        {"domain": {"n": 1}, "global": {"n": 2}, "signal": {"s": 1}},
        {"domain_ctx": Domain(), "global_": Loose(), "signals": {"s": 1}},
        MappingProxyType({"domain": {"n": 1}, "global_ctx": {"n": 2}, "signal": {"s": 1}}),
        {"domain": {"n": 1}, "global": {"n": 2}, "signal": {"s": 5}, "cmd": {"s": 1}}
        | {"signal": {"s": 1}},
        System(),
        State(),
        State,
        SimpleNamespace(domain=Domain(), global_=Loose(), signal={"s": 1}),
        lambda: {"domain": {"n": 1}, "global": {"n": 2}, "signal": {"s": 1}},
        lambda: System(),
    ],
)
def test_contexts_of_all_forms(context):
    assert WorkflowEngine(LOOK).execute(context, nothing) == ["a"]
    assert WorkflowEngine(LOOK).simulate(context) == ["a"]


def test_looking_adds_nothing_to_the_context():
    context = {"domain": defaultdict(list), "global": {"d": defaultdict(list)}}
    for condition in ("domain.x", "len(domain['x']) > 1", "global.d.x == 1", "global['d']['x']"):
        engine = WorkflowEngine(f"steps:\n- flux: if\n  condition: {condition}\n  then: [a]")
        with pytest.raises(FluxError, match="unknown-path"):
            engine.simulate(context)
    assert context == {"domain": {}, "global": {"d": {}}}


def test_a_context_may_have_nothing():
    text = "steps:\n- {flux: if, condition: len(domain) or len(signal), then: [a], else: [b]}"
    for context in (None, {}, object(), lambda: None, {"domain": None}):
        assert WorkflowEngine(text).simulate(context) == ["b"]


def test_fields_of_objects_are_their_public_fields_only():
    def look(condition, domain):
        text = f"steps:\n- {{flux: if, condition: {condition!r}, then: [a], else: [b]}}"
        return WorkflowEngine(text).simulate({"domain": domain})

    assert look("'n' in domain and 'hidden' not in domain and len(domain) == 1", Loose()) == ["a"]
    for wrong in ("domain.nothing", "domain['__dict__']", "domain['_hidden']"):
        with pytest.raises(FluxError):
            look(wrong, Loose())


@pytest.mark.parametrize("domain", ["text", 3, [1], object()])
def test_a_domain_that_is_no_mapping_is_refused(domain):
    text = "steps:\n- {flux: if, condition: domain.x, then: [a]}"
    with pytest.raises(FluxError, match="domain of the context must be a mapping"):
        WorkflowEngine(text).simulate({"domain": domain})


def test_a_callable_context_is_asked_at_every_condition_and_only_for_what_is_read():
    asked = []

    class Watched(Mapping):
        def __getitem__(self, key):
            asked.append(key)
            return {"domain": {"n": 1}}[key]

        def __iter__(self):
            return iter(["domain"])

        def __len__(self):
            return 1

    text = (
        "steps:\n- {flux: if, condition: domain.n, then: [a]}\n"
        "- {flux: if, condition: true, then: [b]}\n"
        "- {flux: if, condition: domain.n > 0, then: [c]}"
    )
    assert WorkflowEngine(text).execute(Watched, nothing) == ["a", "b", "c"]
    assert asked == ["domain", "domain"]


# --- the rest ---------------------------------------------------------------------------------


def test_what_an_engine_knows():
    engine = WorkflowEngine(
        "name: n\nsteps:\n- a\n- {flux: if, condition: true, then: [b], else: [{process: c}]}"
    )
    assert engine.name == "n"
    assert engine.process_names == {"a", "b", "c"}
    assert repr(engine) == "<WorkflowEngine n Pending>"
    assert (
        repr(WorkflowEngine("nodes: {x: a}", source="f.yaml")) == "<WorkflowEngine f.yaml Pending>"
    )
    assert WorkflowEngine("nodes: {x: {process: a}, y: b}").process_names == {"a", "b"}


def test_files(tmp_path):
    path = tmp_path / "flow.yaml"
    path.write_text("steps: [a]")
    assert WorkflowEngine.from_file(path).execute({}, nothing) == ["a"]
    path.write_text("steps: []")
    with pytest.raises(FluxError) as caught:
        WorkflowEngine.from_file(str(path))
    assert caught.value.file == str(path)
    with pytest.raises(FileNotFoundError):
        WorkflowEngine.from_file(tmp_path / "none.yaml")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "10", None])
def test_a_wrong_limit_is_refused(wrong):
    with pytest.raises(SettingsError) as caught:
        WorkflowEngine(TWO, max_ops=wrong)
    assert caught.value.option == "max_ops"


def test_debug_logs_calls_and_conditions(caplog):
    text = "steps:\n- a\n- {flux: if, condition: '1 < 2', then: [b]}"
    with caplog.at_level(logging.INFO, "theus.flux"):
        WorkflowEngine(text, source="f.yaml").execute({}, nothing)
        assert caplog.messages == []
        WorkflowEngine(text, 10, True, source="f.yaml").execute({}, nothing)
    assert caplog.messages == [
        "ran a (f.yaml:2:3)",
        "condition 1 < 2 is True",
        "ran b (f.yaml:3:41)",
    ]


def test_positional_arguments_as_ever():
    engine = WorkflowEngine(TWO, 1, False)
    with pytest.raises(RuntimeError, match="Safety Trip"):
        engine.execute({}, nothing)


def test_an_async_program_over_a_real_loop():
    def count(domain):
        domain["n"] += 1

    text = "steps:\n- {flux: while, condition: domain.n < 5, do: [count]}"
    assert run_async(text, Program({"domain": {"n": 0}}, count=count)) == ["count"] * 5
