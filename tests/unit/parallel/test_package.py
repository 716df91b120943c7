"""What importing does, what is probed, and the small parts that have no other home."""

from __future__ import annotations

import logging
import pickle
import signal
import sys
import types

import pytest

import theus.parallel
from tests.support.isolated import run_isolated
from tests.unit.parallel import pool_tasks as tasks
from theus.errors import NotTransferableError
from theus.parallel import probe
from theus.parallel.handle import describe_exit
from theus.parallel.reference import FunctionRef, reference, resolve, task_name
from theus.parallel.relay import RelayHandler, deliver, levels


def test_importing_the_package_loads_and_starts_nothing():
    done = run_isolated(
        """
        import sys, theus.parallel
        heavy = ("numpy", "multiprocessing", "asyncio", "concurrent.futures", "logging")
        print([name for name in heavy if name in sys.modules])
        from theus.parallel import ParallelContext, InlinePool, ThreadPool, make_pool
        print([name for name in heavy[:3] if name in sys.modules])
        """
    )
    assert done.stdout == "[]\n[]\n"


def test_every_name_of_the_package_is_there():
    assert all(hasattr(theus.parallel, name) for name in theus.parallel.__all__)
    assert set(theus.parallel.__all__) <= set(dir(theus.parallel))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = theus.parallel.nothing


def test_interpreters_are_probed_and_the_reason_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="theus.parallel"):
        supported = probe.interpreters_supported()
    assert supported is theus.parallel.INTERPRETERS_SUPPORTED
    assert supported is (probe.interpreters_problem() is None)
    assert supported or f"not used: {probe.interpreters_problem()}" in caplog.text


class RefusedError(Exception):
    def __init__(self):
        super().__init__("not here")
        self.excinfo = types.SimpleNamespace(type=ImportError, msg="not here")


@pytest.mark.parametrize(
    ("create", "problem"),
    [
        (False, "no sub-interpreter can be made: none left"),
        (True, "a sub-interpreter failed with ImportError: not here"),
    ],
)
def test_the_probe_asks_the_interpreter(monkeypatch, create, problem):
    """The module of later Pythons, in two of its moods."""
    closed = []

    class Interpreter:
        def exec(self, code):
            raise RefusedError

        def close(self):
            closed.append(self)

    def make():
        if not create:
            raise RuntimeError("none left")
        return Interpreter()

    module = types.ModuleType("concurrent.interpreters")
    module.create, module.ExecutionFailed, module.InterpreterError = make, RefusedError, OSError
    monkeypatch.setitem(sys.modules, "concurrent.interpreters", module)
    probe.interpreters_problem.cache_clear()
    try:
        assert probe.interpreters_problem() == problem
    finally:
        probe.interpreters_problem.cache_clear()
    assert len(closed) == create


def test_without_a_module_that_makes_interpreters_the_reason_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "concurrent.interpreters", None)
    monkeypatch.setitem(sys.modules, "_interpreters", None)
    probe.interpreters_problem.cache_clear()
    try:
        assert "has no concurrent.interpreters" in (probe.interpreters_problem() or "")
    finally:
        probe.interpreters_problem.cache_clear()


# --- references


def test_a_reference_leads_back_to_the_function():
    for function in (tasks.add, tasks.decorated, tasks.undecorated, tasks.Namespace.inside):
        found = reference(function)
        assert isinstance(found, FunctionRef)
        assert resolve(found) is function
        assert resolve(tuple(found)) is function
    assert reference(tasks.undecorated) == (tasks.__name__, "undecorated", 0) or (
        reference(tasks.undecorated).depth == 1
    )


def test_what_is_no_function_is_left_to_pickle():
    for one in (len, int, "x".upper, tasks.Unloadable):
        assert reference(one) is one
    with pytest.raises(TypeError, match="not int"):
        reference(3)


def test_a_function_of_a_module_that_is_not_there():
    function = tasks.copy_of(tasks.add)
    function.__module__ = "no_such_module"
    with pytest.raises(NotTransferableError, match="'no_such_module' is not imported"):
        reference(function)


@pytest.mark.parametrize(
    "ref", [("no_such_module", "f", 0), (tasks.__name__, "missing", 0), (tasks.__name__, "add", 1)]
)
def test_a_reference_that_leads_nowhere(ref):
    with pytest.raises(NotTransferableError, match="Cannot find the function") as caught:
        resolve(ref)
    assert caught.value.name == f"{ref[0]}.{ref[1]}"
    assert caught.value.__cause__ is not None


def test_names_for_messages():
    from functools import partial

    assert task_name(tasks.add) == "tests.unit.parallel.pool_tasks.add"
    assert task_name(partial(tasks.add, 1)) == "tests.unit.parallel.pool_tasks.add"
    assert task_name(len) == "builtins.len"


# --- exits and log records


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "ended with exit code 0"),
        (7, "ended with exit code 7"),
        (-signal.SIGTERM, "was killed by signal 15 (SIGTERM)"),
        (-signal.SIGKILL, "(SIGKILL), perhaps by the system for want of memory"),
        (-200, "signal 200 (a signal without a name)"),
        (None, "ended in an unknown way"),
    ],
)
def test_an_exit_in_words(code, text):
    assert text in describe_exit(code)


def record(**more):
    made = logging.LogRecord("some.name", logging.WARNING, __file__, 1, "%s!", ("hi",), None)
    vars(made).update(more)
    return made


def test_a_record_travels_formatted(caplog):
    sent = []
    handler = RelayHandler(sent.append)
    handler.handle(record(extra_number=3, extra_object=object))
    deliver(sent[0])
    (found,) = caplog.records
    assert found.getMessage() == "hi!"
    assert found.extra_number == 3


def test_what_has_no_pickle_goes_as_text():
    sent = []
    RelayHandler(sent.append).handle(record(stream=sys.stdout, count=2))
    facts = pickle.loads(sent[0])
    assert facts["count"] == 2
    assert "TextIOWrapper" in facts["stream"] or "EncodedFile" in facts["stream"]


def test_a_record_that_cannot_be_formatted_is_reported_as_logging_does(capsys):
    sent = []
    RelayHandler(sent.append).handle(record(args=(1, 2)))
    assert sent == []
    assert "not all arguments converted" in capsys.readouterr().err


def test_nobody_to_send_to_is_no_error():
    def gone(data):
        raise BrokenPipeError

    RelayHandler(gone).handle(record())


def test_levels_that_were_set():
    logger = logging.getLogger("some.level.of.ours")
    before = levels()
    assert "some.level.of.ours" not in before
    assert before[""] == logging.root.level
    logger.setLevel(logging.ERROR)
    try:
        assert levels()["some.level.of.ours"] == logging.ERROR
    finally:
        logger.setLevel(logging.NOTSET)


# --- the lifeline


@pytest.mark.parametrize("by", ["signal", "thread"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_dies_when_its_lifeline_is_cut(by, when):
    done = run_isolated(
        """
        import fcntl, os, sys, time
        from theus.parallel.lifeline import die_with
        by, when = sys.argv[1:]
        if by == "thread" and hasattr(fcntl, "F_SETSIG"):
            del fcntl.F_SETSIG
        reader, writer = os.pipe()
        if when == "before":
            os.close(writer)
        die_with(reader)
        if when == "after":
            os.close(writer)
        time.sleep(60)
        """,
        arguments=(by, when),
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == ""
