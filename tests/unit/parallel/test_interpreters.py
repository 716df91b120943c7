"""Sub-interpreters: what they run, what they refuse, and what is left of them (nothing)."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import weakref

import numpy as np
import pytest

from tests.support.isolated import run_isolated
from tests.unit.parallel import array_tasks, pool_tasks, process_tasks
from tests.unit.parallel.conftest import INTERPRETERS
from theus import TheusEngine
from theus.errors import (
    ContextError,
    ContractViolationError,
    NotTransferableError,
    ParallelError,
    PoolClosedError,
    SettingsError,
    TaskTimeoutError,
    UnknownEntryError,
)
from theus.parallel import (
    InterpreterPool,
    ParallelContext,
    Parcel,
    ProcessPool,
    make_pool,
    probe,
)
from theus.parallel.interpreter import interpreters_module

WAIT = 60


def alive():
    """How many interpreters there are besides this one."""
    return len(interpreters_module().list_all()) - 1


@pytest.fixture
def nothing_left():
    """Checks that the test leaves no interpreter and no thread."""
    before, threads = alive(), set(threading.enumerate())
    yield
    assert alive() == before
    assert set(threading.enumerate()) <= threads


@pytest.fixture
def no_interpreters(monkeypatch):
    """A Python that has none."""
    for name in ("concurrent.interpreters", "_interpreters"):
        monkeypatch.setitem(sys.modules, name, None)
    probe.interpreters_problem.cache_clear()
    yield
    probe.interpreters_problem.cache_clear()


@INTERPRETERS
class TestPool:
    def test_tasks_run_beside_each_other(self, interpreters, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        one = interpreters.submit(pool_tasks.mark_and_wait, first, second)
        other = interpreters.submit(pool_tasks.mark_and_wait, second, first)
        assert one.result(WAIT) == other.result(WAIT)

    def test_modules_are_its_own_and_stay_from_task_to_task(self):
        with make_pool("interpreters", size=1) as pool:
            counts = [pool.submit(process_tasks.count_calls, "x").result(WAIT) for _ in range(3)]
        assert counts == [1, 2, 3]
        assert process_tasks.CALLS == []

    def test_large_values_come_and_go(self, interpreters):
        data = bytes(range(256)) * 20_000
        assert interpreters.submit(pool_tasks.double, data).result(WAIT) == data * 2
        assert interpreters.submit(pool_tasks.add, 1).result(WAIT) == 1

    def test_map(self, interpreters):
        assert list(interpreters.map(pool_tasks.double, range(500))) == list(range(0, 1000, 2))
        with pytest.raises(NotTransferableError, match="numpy"):
            interpreters.map(array_tasks.double, [1])

    def test_log_records_are_here_before_the_result(self, interpreters, caplog):
        with caplog.at_level(logging.INFO):
            assert interpreters.submit(process_tasks.log_and_count, "abc").result(WAIT) == 3
        assert ("tests.inside", logging.WARNING, "abc") in caplog.record_tuples

    def test_a_filter_that_fails_costs_its_record_only(self):
        def fail(record):
            raise ValueError(record)

        logger = logging.getLogger("tests.inside")
        logger.addFilter(fail)
        try:
            with make_pool("interpreters", size=1) as pool:
                assert pool.submit(process_tasks.log_and_count, "abc").result(WAIT) == 3
                assert pool.stats().lost_logs == 1
        finally:
            logger.removeFilter(fail)

    def test_context_variables_go_along(self):
        place = f"{pool_tasks.__name__}:VARIABLE"
        with make_pool("interpreters", size=1, carry=[place]) as pool:
            assert pool.submit(pool_tasks.read_variable).result(WAIT) == "unset"
            token = pool_tasks.VARIABLE.set("here")
            try:
                assert pool.submit(pool_tasks.read_variable).result(WAIT) == "here"
            finally:
                pool_tasks.VARIABLE.reset(token)

    def test_start_makes_them_ready(self, nothing_left):
        with make_pool("interpreters", size=2) as pool:
            assert pool.stats().ready == 0
            pool.start(wait=True)
            assert pool.stats().ready == 2
        with make_pool("interpreters", size=2) as pool, pytest.raises(TaskTimeoutError):
            pool.start(wait=True, timeout=1e-9)

    def test_results_that_cannot_travel(self, interpreters):
        with pytest.raises(NotTransferableError, match=r"result of task .*return_lock"):
            interpreters.submit(pool_tasks.return_lock).result(WAIT)
        with pytest.raises(NotTransferableError, match="will not be loaded"):
            interpreters.submit(pool_tasks.return_unloadable).result(WAIT)

    def test_an_argument_that_ends_the_interpreter_s_code(self, interpreters):
        with pytest.raises(ParallelError, match="SystemExit"):
            interpreters.submit(pool_tasks.take, pool_tasks.EndsItsReader()).result(WAIT)
        assert interpreters.submit(pool_tasks.add, 1).result(WAIT) == 1


@INTERPRETERS
class TestRefusals:
    def test_an_interrupt_in_a_task_is_its_own(self, interpreters):
        with pytest.raises(ParallelError, match="ended by KeyboardInterrupt"):
            interpreters.submit(pool_tasks.interrupt).result(WAIT)

    def test_a_function_whose_module_does_not_load(self, interpreters):
        with pytest.raises(NotTransferableError) as caught:
            interpreters.submit(array_tasks.total, [1])
        assert caught.value.what == "function"
        assert "array_tasks' cannot be loaded there" in str(caught.value)
        assert "module numpy._core._multiarray_umath does not support" in str(caught.value)
        assert "pool='processes'" in str(caught.value)

    def test_an_argument_whose_class_does_not_load(self, interpreters):
        with pytest.raises(NotTransferableError, match=r"argument 1 of task .*take") as caught:
            interpreters.submit(pool_tasks.take, 1, np.ones(2))
        assert caught.value.what == "argument"
        with pytest.raises(NotTransferableError, match="argument grid of task"):
            interpreters.submit(pool_tasks.keywords, grid=np.ones(2))

    def test_arrays_within_other_values(self, interpreters):
        for value in (
            [np.ones(2)],
            {"a": (1, np.float64(2))},
            [{"numpy._core.": np.zeros(0)}, np.dtype("f8")],
        ):
            with pytest.raises(NotTransferableError, match="arguments together of task"):
                interpreters.submit(pool_tasks.take, value)
        context = ParallelContext({"rows": np.ones(2)}, process="p")
        with pytest.raises(NotTransferableError, match="arguments together of task"):
            interpreters.submit(Parcel(pool_tasks.take, context=context))

    def test_the_name_of_numpy_is_no_array(self, interpreters):
        value = ["numpy._core.multiarray", pool_tasks.Watched(b"theus.heavy.array")]
        assert interpreters.submit(pool_tasks.take, value).result(WAIT) == "taken"

    def test_heavy_inputs_are_named(self, interpreters):
        context = ParallelContext(heavy={"grid": np.ones(3)}, process="p")
        parcel = Parcel(pool_tasks.heavy_sum, ("grid",), context=context)
        with pytest.raises(NotTransferableError, match=r"input heavy\.grid of task") as caught:
            interpreters.submit(parcel)
        assert caught.value.name == "heavy.grid"

    def test_a_module_that_a_task_imports_itself_is_the_task_s_error(self, interpreters):
        with pytest.raises(ImportError):
            interpreters.submit(process_tasks.with_numpy, 2).result(WAIT)

    def test_functions_of_the_main_program(self):
        run_isolated(
            """
            from theus.errors import NotTransferableError
            from theus.parallel import InterpreterPool

            def task():
                return 1

            if __name__ == "__main__":
                with InterpreterPool(1) as pool:
                    try:
                        pool.submit(task)
                    except NotTransferableError as error:
                        assert "do not run the main program" in str(error), error
                    else:
                        raise AssertionError
            """
        )


@INTERPRETERS
class TestEnd:
    def test_shutdown_leaves_nothing(self, nothing_left):
        pool = InterpreterPool(2)
        assert [pool.submit(pool_tasks.double, one).result(WAIT) for one in (1, 2)] == [2, 4]
        pool.shutdown()

    def test_a_pool_that_nobody_holds_leaves_nothing(self, nothing_left):
        pool = InterpreterPool(1)
        assert pool.submit(pool_tasks.add, 1).result(WAIT) == 1
        threads = tuple(pool._threads._threads)
        gone = weakref.ref(pool)
        del pool
        gc.collect()
        assert gone() is None
        for thread in threads:
            thread.join(WAIT)

    def test_an_interpreter_that_is_busy_at_the_end_ends_after_its_task(self, tmp_path):
        before = alive()
        gate, mark = tmp_path / "gate", tmp_path / "mark"
        pool = InterpreterPool(1)
        running = pool.submit(pool_tasks.mark_and_wait, mark, gate)
        pool_tasks.wait_for_file(mark)
        threads = tuple(pool._threads._threads)
        pool.shutdown(wait=False)
        with pytest.raises(PoolClosedError):
            running.result(0)
        assert alive() == before + 1
        gate.touch()
        for thread in threads:
            thread.join(WAIT)
        assert alive() == before

    @pytest.mark.parametrize("end", ["", "pool.shutdown()", "del pool"])
    def test_a_program_ends_in_silence(self, end):
        done = run_isolated(
            f"""
            import math
            from theus.parallel import InterpreterPool
            pool = InterpreterPool(2)
            pool.start(wait=True)
            assert pool.submit(math.factorial, 5).result() == 120
            pending = [pool.submit(math.factorial, 500) for _ in range(20)]
            {end}
            """
        )
        assert (done.stdout, done.stderr) == ("", "")


@INTERPRETERS
class TestEngine:
    def test_a_process_commits_as_it_does_elsewhere(self):
        found = []
        for pool in ("interpreters", "inline"):
            data = {"domain": {"rows": [1, 2, 3], "total": 0}}
            with TheusEngine(data, pool=pool, pool_size=1) as engine:
                assert engine.run(process_tasks.add_up, factor=2) == 12
                found.append((engine.state.domain.total, engine.state.version))
        assert found[0] == found[1]

    def test_a_contract_is_kept_there(self):
        data = {"domain": {"rows": [1, 2, 3], "total": 0}}
        with TheusEngine(data, pool="interpreters", pool_size=1) as engine:
            engine.run(process_tasks.append_row)
            assert list(engine.state.domain.rows) == [1, 2, 3, 6]
            with pytest.raises(ContractViolationError, match=r"domain\.total"):
                engine.run(process_tasks.write_too_much)
            with pytest.raises(ContractViolationError, match=r"read 'domain\.total'"):
                engine.run(process_tasks.read_too_much)
            engine.run(process_tasks.count_up)
            assert (engine.state.domain.total, engine.state.version) == (1, 3)

    def test_what_needs_the_core_says_so(self):
        data = {"domain": {"rows": [1, 2, 3], "total": 0}}
        with TheusEngine(data, pool="interpreters", pool_size=1) as engine:
            with pytest.raises(ContextError, match="does not load in a sub-interpreter"):
                engine.run(process_tasks.count_up_by_keys)
            with pytest.raises(NotTransferableError, match=r"contract with wildcards .* the core"):
                engine.run(process_tasks.add_up_all)
            assert engine.state.version == 1

    def test_heavy_inputs_are_refused_before_anything_runs(self):
        with TheusEngine({"domain": {"total": 0}}, pool="interpreters", pool_size=1) as engine:
            engine.compare_and_swap(engine.state.version, heavy={"grid": np.ones(4)})
            with pytest.raises(NotTransferableError, match=r"input heavy\.grid of task"):
                engine.run(process_tasks.add_grid)
            assert engine.state.domain.total == 0

    def test_auto_sends_them_to_processes_and_says_so_once(self, caplog):
        data = {"domain": {"rows": [1, 2], "total": 0}}
        with TheusEngine(data, pool="auto", pool_size=1) as engine:
            engine.compare_and_swap(engine.state.version, heavy={"grid": np.ones(4)})
            with caplog.at_level(logging.INFO, logger="theus.parallel"):
                assert engine.run(process_tasks.add_up, factor=1) == 3
                assert "goes to a worker process" not in caplog.text
                assert [engine.run(process_tasks.add_grid) for _ in range(2)] == [4.0, 4.0]
            told = [text for _, _, text in caplog.record_tuples if "goes to a worker" in text]
            assert len(told) == 1
            assert "input heavy.grid" in told[0]
            assert engine.run(process_tasks.add_up_all) == 3
            assert engine.get_pool().stats().finished == 4


@INTERPRETERS
def test_auto_maps_where_the_function_can_be():
    with make_pool("auto", size=1) as pool:
        assert list(pool.map(pool_tasks.double, [1, 2])) == [2, 4]
        assert [list(one) for one in pool.map(array_tasks.double, [np.ones(1)])] == [[2.0]]
        assert "AutoPool of <InterpreterPool" in repr(pool)


def test_context_variables_go_along_wherever_auto_sends_a_task():
    place = f"{pool_tasks.__name__}:VARIABLE"
    with make_pool("auto", size=1, carry=[place]) as pool:
        token = pool_tasks.VARIABLE.set("here")
        try:
            assert pool.submit(pool_tasks.read_variable).result(WAIT) == "here"
        finally:
            pool_tasks.VARIABLE.reset(token)
    with pytest.raises(SettingsError, match="has no option 'colour'"):
        make_pool("auto", colour="red")


@pytest.mark.usefixtures("no_interpreters")
class TestWithout:
    def test_they_are_an_error_where_they_are_asked_for(self):
        with pytest.raises(ParallelError, match=r"'interpreters': this Python has no concurrent"):
            make_pool("interpreters")
        with pytest.raises(ParallelError, match="Cannot use sub-interpreters: this Python has no"):
            InterpreterPool(1)
        with pytest.raises(ParallelError, match="'interpreters': this Python has no"):
            TheusEngine(pool="interpreters")

    def test_auto_takes_processes_and_logs_the_reason(self, caplog):
        with caplog.at_level(logging.INFO, logger="theus.parallel"):
            pool = make_pool("auto", size=1)
        assert isinstance(pool, ProcessPool)
        assert "sub-interpreters are not used: this Python has no" in caplog.text
        pool.shutdown()


def test_processes_can_be_asked_for_by_the_environment(monkeypatch):
    monkeypatch.setenv("THEUS_USE_PROCESSES", "1")
    with TheusEngine(pool="auto") as engine:
        assert isinstance(engine.get_pool(), ProcessPool)
    with TheusEngine(pool="threads") as engine:
        assert engine.get_pool().capabilities.name == "threads"


def test_a_backend_that_there_is_not_is_an_error_at_once():
    with pytest.raises(UnknownEntryError):
        TheusEngine(pool="elsewhere")
