"""ProcessPool: what only worker processes have."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import threading
import time
import weakref

import pytest

from tests.support import leftovers
from tests.unit.parallel import plain_tasks
from tests.unit.parallel import pool_tasks as tasks
from theus.errors import (
    HeavyGoneError,
    NotTransferableError,
    ParallelError,
    SettingsError,
    TaskTimeoutError,
)
from theus.heavy import HeavyZoneAllocator
from theus.parallel import ParallelContext, Parcel, ProcessPool, RemoteTraceback, make_pool

WAIT = 60


def descriptors():
    return set(os.listdir("/proc/self/fd"))


# --- what travels


def test_tasks_run_in_other_processes(processes):
    pids = {processes.submit(tasks.thread_and_process).result(WAIT)[1] for _ in range(10)}
    assert os.getpid() not in pids
    assert pids <= set(processes.pids())


def test_arguments_are_taken_when_they_are_submitted(processes, tmp_path):
    gate = tmp_path / "gate"
    blockers = [processes.submit(tasks.wait_for_file, gate) for _ in range(2)]
    value = [1, 2]
    future = processes.submit(tasks.double, value)
    value.append(3)
    gate.touch()
    assert future.result(WAIT) == [1, 2, 1, 2]
    assert [blocker.result(WAIT) for blocker in blockers] == [None, None]


@pytest.mark.parametrize("size", [0, 1 << 10, (1 << 16) - 50, 1 << 16, 1 << 20, 30 << 20])
def test_bytes_of_any_size_travel_both_ways(processes, size):
    sent = os.urandom(size // 2)
    assert processes.submit(tasks.double, sent).result(WAIT) == sent + sent


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: 1, "lambda"),
        (tasks.copy_of(tasks.double), "another object"),
        (tasks.copy_of(lambda: 1), "lambda"),
    ],
)
def test_a_function_that_cannot_be_found_is_named(processes, function, reason):
    with pytest.raises(NotTransferableError, match=reason) as caught:
        processes.submit(function)
    assert caught.value.what == "function"
    assert function.__qualname__ in caught.value.name


def test_an_inner_function_is_named(processes):
    def inner():
        return 1

    with pytest.raises(NotTransferableError, match=r"inside another function") as caught:
        processes.submit(inner)
    assert isinstance(caught.value, TypeError)
    assert "inner" in str(caught.value)


def test_functions_under_other_names_are_found(processes):
    assert processes.submit(tasks.decorated, 1).result(WAIT) == ("outer", 1)
    assert processes.submit(tasks.undecorated, 1).result(WAIT) == 1
    assert processes.submit(tasks.Namespace.inside, 1).result(WAIT) == ("inside", 1)
    assert processes.submit(tasks.other_nothing).result(WAIT) is None
    assert processes.submit("abc".upper).result(WAIT) == "ABC"


def test_arguments_that_cannot_travel_are_named(processes):
    lock = threading.Lock()
    with pytest.raises(NotTransferableError, match=r"argument 1 of task .*pool_tasks.add"):
        processes.submit(tasks.add, 1, lock)
    with pytest.raises(NotTransferableError, match="argument 'right'") as caught:
        processes.submit(tasks.add, 1, right={"deep": [lock]})
    assert caught.value.fields == {
        "what": "argument",
        "name": "'right'",
        "task": "tests.unit.parallel.pool_tasks.add",
    }
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(NotTransferableError, match=r"input domain\.lock of task summing"):
        processes.submit(
            Parcel(tasks.use_context, (1,), context=ParallelContext({"lock": lock}), name="summing")
        )
    with pytest.raises(NotTransferableError, match=r"argument 0.*ProcessPool cannot be pickled"):
        processes.submit(tasks.take, processes)
    assert processes.stats().pending == 0


def test_results_that_cannot_travel_fail_their_task(processes):
    with pytest.raises(NotTransferableError, match=r"the result of task .*return_lock") as caught:
        processes.submit(tasks.return_lock).result(WAIT)
    assert caught.value.name == "lock"
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    with pytest.raises(NotTransferableError, match="LookupError: will not be loaded"):
        processes.submit(tasks.return_unloadable).result(WAIT)
    assert processes.submit(tasks.add, 1).result(WAIT) == 1


def test_arguments_that_cannot_be_rebuilt_fail_their_task(processes):
    with pytest.raises(NotTransferableError, match="LookupError: will not be loaded") as caught:
        processes.submit(tasks.take, tasks.Unloadable()).result(WAIT)
    assert "_refuse_to_load" in str(caught.value.__cause__)


def test_messages_that_cannot_travel_are_named(processes):
    parcel = Parcel(tasks.queue, ({"lock"},), context=ParallelContext())
    with pytest.raises(NotTransferableError, match="outbox message of task"):
        processes.submit(parcel).result(WAIT)


def test_errors_bring_the_remote_traceback(processes):
    error = processes.submit(tasks.fail_with_cause).exception(WAIT)
    assert type(error) is KeyError
    assert isinstance(error.__cause__, RemoteTraceback)
    text = str(error.__cause__)
    assert 'raise KeyError("outer") from error' in text
    assert "ValueError: inner" in text
    assert "The above exception was the direct cause" in text
    assert "run.py" not in text


@pytest.mark.parametrize(
    ("function", "name", "message"),
    [(tasks.fail_oddly, "OddError", "a and b"), (tasks.fail_unpicklable, "RuntimeError", "lock")],
)
def test_errors_that_cannot_travel_are_told_as_text(processes, function, name, message):
    error = processes.submit(function).exception(WAIT)
    assert type(error) is NotTransferableError
    assert error.what == "exception"
    assert error.name == name
    assert message in str(error)
    assert f"{name}: " in str(error.__cause__)


def test_an_interrupt_in_a_worker_is_an_error_of_its_task(processes):
    with pytest.raises(ParallelError, match="ended by KeyboardInterrupt"):
        processes.submit(tasks.interrupt).result(WAIT)


@pytest.mark.parametrize("as_sent", [lambda array: array, lambda array: array.descriptor()])
def test_a_heavy_array_arrives_without_being_copied(processes, as_sent):
    with HeavyZoneAllocator() as heavy:
        array = heavy.alloc("rows", shape=(1000,), dtype="f8")
        array[:] = 2.0
        context = ParallelContext(heavy={"rows": as_sent(array)})
        outcome = processes.submit(Parcel(tasks.heavy_sum, ("rows",), context=context)).result(WAIT)
    assert outcome.value == (2000.0, False, "ShmArray")


def test_a_heavy_array_that_is_gone_fails_its_task(processes):
    with HeavyZoneAllocator() as heavy:
        passport = pickle.dumps(heavy.alloc("rows", shape=(1000,), dtype="f8"))
    error = processes.submit(pickle.loads, passport).exception(WAIT)
    assert isinstance(error, HeavyGoneError)


# --- what goes along


def test_context_variables_go_along_by_name():
    with ProcessPool(1, spare=0, carry=[f"{tasks.__name__}:VARIABLE"]) as pool:
        assert pool.submit(tasks.read_variable).result(WAIT) == "unset"
        token = tasks.VARIABLE.set("here")
        try:
            assert pool.submit(tasks.read_variable).result(WAIT) == "here"
        finally:
            tasks.VARIABLE.reset(token)
        pool.submit(tasks.set_variable, "leaked").result(WAIT)
        assert pool.submit(tasks.read_variable).result(WAIT) == "unset"


@pytest.mark.parametrize(
    "place", ["no_such_module:X", f"{tasks.__name__}:MISSING", f"{tasks.__name__}:NOT_A_VARIABLE"]
)
def test_a_context_variable_that_is_none_is_refused(place):
    with pytest.raises(SettingsError, match="`carry`"):
        ProcessPool(1, carry=[place])


def test_log_records_reach_the_parent(processes, caplog):
    with caplog.at_level(logging.WARNING):
        processes.submit(tasks.log_something, "some_library", "text").result(WAIT)
    records = [record for record in caplog.records if record.name == "some_library"]
    assert [record.getMessage() for record in records] == ["seen text", "with traceback"]
    assert records[0].process in processes.pids()
    assert "ValueError: logged" in records[1].exc_text


def test_log_levels_are_those_of_the_parent(processes, caplog):
    with caplog.at_level(logging.DEBUG):
        processes.submit(tasks.log_something, "other_library", "text").result(WAIT)
    texts = [record.getMessage() for record in caplog.records if record.name == "other_library"]
    assert texts == ["hidden text", "seen text", "with traceback"]


def test_a_filter_that_fails_is_counted_and_hurts_nobody(processes):
    def refuse(record):
        raise ZeroDivisionError

    logger = logging.getLogger("filtered_library")
    logger.addFilter(refuse)
    before = processes.stats().lost_logs
    try:
        processes.submit(tasks.log_something, "filtered_library", "text").result(WAIT)
    finally:
        logger.removeFilter(refuse)
    assert processes.stats().lost_logs - before == 2
    assert processes.submit(tasks.add, 1).result(WAIT) == 1


def test_modules_are_imported_before_the_first_task(processes):
    names = ("colorsys", "sndhdr_that_is_not", "theus.parallel.backends.inline")
    assert processes.submit(tasks.modules_loaded, *names).result(WAIT) == [False, False, False]
    with ProcessPool(1, spare=0, modules=["colorsys"]) as pool:
        assert pool.submit(tasks.modules_loaded, *names).result(WAIT)[0] is True


def test_a_module_that_fails_is_reported_and_the_pool_works(caplog):
    with (
        caplog.at_level(logging.WARNING),
        ProcessPool(1, spare=0, modules=["no_such_module_here"]) as pool,
    ):
        assert pool.submit(tasks.add, 1).result(WAIT) == 1
    assert "could not import no_such_module_here" in caplog.text
    assert "ModuleNotFoundError" in caplog.text


def test_workers_load_only_what_tasks_need():
    names = ("numpy", "asyncio", "theus.parallel.dispatcher", "theus.engine")
    with ProcessPool(1, spare=0) as pool:
        assert pool.submit(plain_tasks.loaded, *names).result(WAIT) == [False] * 4


# --- limits


def test_a_task_over_its_limit_is_stopped_even_in_c(processes):
    before = set(processes.pids())
    with pytest.raises(TaskTimeoutError, match="was stopped"):
        processes.submit(tasks.spin_holding_the_interpreter, timeout=0.2).result(WAIT)
    assert processes.submit(tasks.add, 1).result(WAIT) == 1
    assert processes.stats().timeouts == 1
    processes.start(wait=True)
    assert set(processes.pids()) != before


def test_a_limit_does_not_count_the_time_in_the_queue(tmp_path):
    gate = tmp_path / "gate"
    with ProcessPool(1, spare=0) as pool:
        first = pool.submit(tasks.wait_for_file, gate)
        second = pool.submit(tasks.add, 5, timeout=30.0)
        third = pool.submit(tasks.sleep, 0.0, timeout=30.0)
        time.sleep(0.2)
        gate.touch()
        assert [future.result(WAIT) for future in (first, second, third)] == [None, 5, 0.0]


def test_a_task_that_had_to_wait_starts_its_limit_when_it_starts(tmp_path):
    gate = tmp_path / "gate"
    with ProcessPool(1, spare=0) as pool:
        first = pool.submit(tasks.wait_for_file, gate)
        second = pool.submit(tasks.sleep, 60, timeout=0.1)
        assert not second.done()
        gate.touch()
        assert first.result(WAIT) is None
        assert isinstance(second.exception(WAIT), TaskTimeoutError)


# --- life


def test_workers_start_with_the_pool_and_the_spare_stands_by():
    pool = ProcessPool(2, spare=1)
    assert pool.pids() == ()
    with pool:
        pool.start(wait=True, timeout=WAIT)
        assert pool.stats().ready >= 2
        deadline = time.monotonic() + WAIT
        while pool.stats().ready < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(pool.pids()) == 3
        assert pool.stats().busy == 0
    assert pool.pids() == ()


def test_the_spare_does_not_run_tasks_beyond_the_size(tmp_path):
    gate = tmp_path / "gate"
    with ProcessPool(1, spare=2) as pool:
        pool.start(wait=True)
        while len(pool.pids()) < 3:
            time.sleep(0.005)
        first = pool.submit(tasks.wait_for_file, gate)
        second = pool.submit(tasks.add, 2)
        assert pool.stats().busy == 1
        assert not second.running()
        gate.touch()
        assert (first.result(WAIT), second.result(WAIT)) == (None, 2)


def test_waiting_for_the_start_has_a_limit(tmp_path):
    with ProcessPool(1, spare=0) as pool, pytest.raises(TaskTimeoutError, match="not ready within"):
        pool.start(wait=True, timeout=0.0001)


def test_nothing_is_left_after_shutdown():
    with make_pool("processes", size=1) as first:  # what multiprocessing keeps is there now
        first.submit(tasks.nothing).result(WAIT)
    before = descriptors(), leftovers.threads(), leftovers.children()
    with ProcessPool(3) as pool:
        assert [pool.submit(tasks.double, one).result(WAIT) for one in range(5)] == [0, 2, 4, 6, 8]
        assert leftovers.children() != before[2]
    assert (descriptors(), leftovers.threads(), leftovers.children()) == before


def test_a_pool_nobody_holds_ends_after_its_tasks():
    before = leftovers.children(), leftovers.threads()
    pool = ProcessPool(1, spare=0)
    futures = [pool.submit(tasks.double, number) for number in range(5)]
    watched = weakref.ref(pool)
    del pool
    gc.collect()
    assert watched() is None
    assert [future.result(WAIT) for future in futures] == [0, 2, 4, 6, 8]
    assert leftovers.settle(leftovers.children, before[0], WAIT) == set()
    assert leftovers.settle(leftovers.threads, before[1], WAIT) == set()


def test_results_are_not_held():
    with ProcessPool(1, spare=0) as pool:
        gone = pool.submit(tasks.return_watched)
        result = gone.result(WAIT)
        watched = weakref.ref(result)
        del gone, result
        gc.collect()
        assert watched() is None


def test_workers_may_have_workers(processes):
    assert processes.submit(tasks.nested_pool, 4).result(WAIT) == 8


def test_whoever_submits_many_tasks_waits_for_room():
    with ProcessPool(2, spare=0, max_pending=64) as pool:
        futures, most = [], 0
        for number in range(10_000):
            futures.append(pool.submit(tasks.double, number))
            most = max(most, pool.stats().pending)
        assert most <= 64
        assert [future.result(WAIT) for future in futures] == [2 * one for one in range(10_000)]


def test_the_start_method_forkserver():
    with ProcessPool(2, spare=0, method="forkserver", modules=[tasks.__name__]) as pool:
        futures = [pool.submit(tasks.double, number) for number in range(20)]
        assert [future.result(WAIT) for future in futures] == [2 * number for number in range(20)]
        assert isinstance(pool.submit(tasks.fail, "x").exception(WAIT), ValueError)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("method", "fork"),
        ("spare", -1),
        ("spare", True),
        ("grace", 0),
        ("start_timeout", "1"),
        ("modules", "one_name"),
        ("modules", [1]),
        ("carry", "one:NAME"),
    ],
)
def test_options_are_checked(option, value):
    with pytest.raises(SettingsError) as caught:
        ProcessPool(1, **{option: value})
    assert caught.value.option == option


def test_a_pool_cannot_be_copied(processes):
    with pytest.raises(NotTransferableError, match="a pool cannot be copied"):
        pickle.dumps(processes)
