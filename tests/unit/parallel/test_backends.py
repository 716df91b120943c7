"""The behaviour every backend has: the same calls give the same results and the same errors."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import Future, as_completed

import pytest

from tests.unit.parallel import pool_tasks as tasks
from tests.unit.parallel.conftest import BACKENDS, PROBLEM, QUEUED
from theus._shelf import Shelf
from theus.errors import (
    ContractViolationError,
    ParallelError,
    PoolClosedError,
    PoolFullError,
    SettingsError,
    TaskTimeoutError,
    UnknownEntryError,
)
from theus.parallel import Outcome, ParallelContext, Parcel, PoolBackend, backend, make_pool

WAIT = 60


def context(**more):
    return ParallelContext(
        {"rows": [1, 2, 3], "user": {"name": "An"}},
        {"rate": 0.5},
        version=7,
        process="use",
        **more,
    )


def test_it_is_a_pool_backend(any_pool):
    assert isinstance(any_pool, PoolBackend)
    assert any_pool.capabilities.name in backend.available_backends()


def test_values_come_back(any_pool):
    assert any_pool.submit(tasks.add, 1, right=2).result(WAIT) == 3
    assert any_pool.submit(tasks.nothing).result(WAIT) is None
    assert any_pool.submit(len, [1, 2]).result(WAIT) == 2


def test_a_task_may_have_keywords_of_any_name_in_a_parcel(any_pool):
    parcel = Parcel(tasks.keywords, kwargs={"timeout": 1, "retry": 2, "wait": 3, "task": 4})
    outcome = any_pool.submit(parcel).result(WAIT)
    assert outcome.value == {"timeout": 1, "retry": 2, "wait": 3, "task": 4}


def test_many_tasks_each_get_their_own_answer(any_pool):
    futures = [any_pool.submit(tasks.double, number) for number in range(300)]
    assert [future.result(WAIT) for future in futures] == [2 * number for number in range(300)]


def test_many_threads_may_submit(any_pool):
    found = {}

    def work(start):
        futures = [any_pool.submit(tasks.double, start + step) for step in range(40)]
        found[start] = [future.result(WAIT) for future in futures]

    threads = [threading.Thread(target=work, args=(start * 1000,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {
        start * 1000: [2 * (start * 1000 + step) for step in range(40)] for start in range(6)
    }


def test_a_coroutine_is_run_to_its_end(any_pool):
    assert any_pool.submit(tasks.later, 5).result(WAIT) == 5


def test_an_error_is_the_error_of_the_task(any_pool):
    with pytest.raises(ValueError, match=r"^wrong$"):
        any_pool.submit(tasks.fail, "wrong").result(WAIT)
    with pytest.raises(KeyError, match="outer"):
        any_pool.submit(tasks.fail_with_cause).result(WAIT)
    with pytest.raises(ContractViolationError) as caught:
        any_pool.submit(tasks.fail_ours).result(WAIT)
    assert caught.value.path == "domain.a"
    with pytest.raises(RecursionError):
        any_pool.submit(tasks.too_deep).result(WAIT)
    assert any_pool.submit(tasks.add, 1).result(WAIT) == 1


def test_leaving_the_program_is_an_error_of_the_task_only(any_pool):
    with pytest.raises(ParallelError, match="ended by SystemExit: 3") as caught:
        any_pool.submit(tasks.leave, 3).result(WAIT)
    assert caught.value.ended_by == "SystemExit"
    assert any_pool.submit(tasks.add, 1).result(WAIT) == 1


def test_a_parcel_gives_an_outcome_with_what_the_process_queued(any_pool):
    parcel = Parcel(tasks.use_context, (10,), context=context())
    outcome = any_pool.submit(parcel).result(WAIT)
    assert isinstance(outcome, Outcome)
    assert outcome.value == ([10, 20, 30], "An", 0.5)
    assert outcome.outbox == ({"topic": "done", "process": "use"},)
    assert outcome.signals == (("finished", 7), ("again", [1]))
    assert outcome.error is None
    assert outcome.seconds >= 0


def test_a_parcel_may_be_sent_twice_and_starts_afresh(any_pool):
    parcel = Parcel(tasks.use_context, (1,), context=context())
    first = any_pool.submit(parcel).result(WAIT)
    second = any_pool.submit(parcel).result(WAIT)
    assert first.outbox == second.outbox
    assert first.signals == second.signals
    assert parcel.context.messages() == ((), ())
    assert parcel.context.local == {}


def test_what_a_failed_process_queued_is_dropped(any_pool):
    future = any_pool.submit(Parcel(tasks.queue_and_fail, context=context()))
    assert isinstance(future.exception(WAIT), ValueError)


def test_inputs_cannot_be_written(any_pool):
    with pytest.raises(AttributeError, match=r"Cannot change 'domain\.user\.name' in a worker"):
        any_pool.submit(Parcel(tasks.write_input, context=context())).result(WAIT)


def test_the_context_knows_the_deadline(any_pool):
    parcel = Parcel(tasks.deadline_left, context=context())
    assert any_pool.submit(parcel).result(WAIT).value is None
    assert 0 < any_pool.submit(parcel, timeout=500).result(WAIT).value <= 500


def test_over_its_limit_a_task_fails_and_the_pool_goes_on(any_pool):
    future = any_pool.submit(tasks.sleep, 0.4, timeout=0.05)
    with pytest.raises(TaskTimeoutError, match=r"longer than 0\.05 s") as caught:
        future.result(WAIT)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.limit_s == 0.05
    assert caught.value.task.endswith("pool_tasks.sleep")
    assert any_pool.submit(tasks.add, 1, timeout=WAIT).result(WAIT) == 1


@pytest.mark.parametrize("timeout", [0, -1, "1", True])
def test_a_limit_is_a_positive_number(any_pool, timeout):
    with pytest.raises(SettingsError, match="`timeout`"):
        any_pool.submit(tasks.nothing, timeout=timeout)


def test_only_callables_are_tasks(any_pool):
    with pytest.raises(TypeError, match="function or a Parcel, not int"):
        any_pool.submit(3)
    with pytest.raises(TypeError, match="brings its own arguments"):
        any_pool.submit(Parcel(tasks.add, (1,)), 2)


def test_a_callback_may_submit_the_next_task(any_pool):
    last = Future()

    def go_on(future):
        value = future.result()
        if value == 5:
            last.set_result(value)
        else:
            any_pool.submit(tasks.add, value, 1).add_done_callback(go_on)

    any_pool.submit(tasks.add, 0).add_done_callback(go_on)
    assert last.result(WAIT) == 5


def test_as_completed_works(any_pool):
    futures = {any_pool.submit(tasks.double, number): number for number in range(20)}
    assert {futures[done]: done.result() for done in as_completed(futures, WAIT)} == {
        number: 2 * number for number in range(20)
    }


def test_counts_add_up(any_pool):
    any_pool.submit(tasks.add, 1).result(WAIT)
    assert any_pool.submit(tasks.fail, "wrong").exception(WAIT) is not None
    deadline = time.monotonic() + WAIT
    while any_pool.stats().pending and time.monotonic() < deadline:
        time.sleep(0.001)
    stats = any_pool.stats()
    assert stats.pending == 0
    assert stats.finished == stats.submitted
    assert 0 < stats.failed < stats.finished
    assert stats.size == 2


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("option", ["size", "max_pending"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_sizes_are_positive_numbers(name, option, value):
    with pytest.raises(SettingsError):
        make_pool(name, **{option: value})


@pytest.mark.parametrize("name", BACKENDS)
def test_a_closed_pool_takes_nothing(name):
    pool = make_pool(name, size=1)
    assert pool.submit(tasks.add, 2).result(WAIT) == 2
    pool.shutdown()
    pool.shutdown()
    with pytest.raises(PoolClosedError):
        pool.submit(tasks.add, 2)
    with pytest.raises(PoolClosedError):
        pool.start()
    assert pool.when_free().result(WAIT) is None


@pytest.mark.parametrize("name", BACKENDS)
def test_a_pool_that_never_started_can_be_closed(name):
    pool = make_pool(name, size=1)
    pool.shutdown()
    with pytest.raises(PoolClosedError):
        pool.submit(tasks.nothing)


@pytest.mark.parametrize("name", QUEUED)
def test_the_number_of_unfinished_tasks_is_bounded(name, tmp_path):
    gate = tmp_path / "gate"
    with make_pool(name, size=1, max_pending=2) as pool:
        futures = [pool.submit(tasks.wait_for_file, gate, number) for number in range(2)]
        assert pool.stats().pending == 2
        with pytest.raises(PoolFullError, match="2 unfinished tasks") as caught:
            pool.submit(tasks.nothing, wait=False)
        assert caught.value.limit == 2
        room = pool.when_free()
        assert not room.done()
        entered = threading.Event()

        def wait_for_a_place():
            futures.append(pool.submit(tasks.add, 2))
            entered.set()

        waiter = threading.Thread(target=wait_for_a_place)
        waiter.start()
        assert not entered.wait(0.1)
        gate.touch()
        assert entered.wait(WAIT)
        waiter.join()
        assert room.result(WAIT) is None
        assert [future.result(WAIT) for future in futures] == [0, 1, 2]


@pytest.mark.parametrize("name", QUEUED)
def test_a_cancelled_task_frees_its_place_and_never_runs(name, tmp_path):
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    with make_pool(name, size=1, max_pending=2) as pool:
        first = pool.submit(tasks.wait_for_file, gate)
        second = pool.submit(tasks.mark_and_wait, ran, gate)
        assert second.cancel()
        third = pool.submit(tasks.add, 3, wait=False)
        gate.touch()
        assert first.result(WAIT) is None
        assert third.result(WAIT) == 3
    assert not ran.exists()


@pytest.mark.parametrize("name", QUEUED)
def test_cancelled_tasks_do_not_pile_up(name, tmp_path):
    gate = tmp_path / "gate"
    with make_pool(name, size=1, max_pending=2) as pool:
        first = pool.submit(tasks.wait_for_file, gate)
        watched = []
        for _ in range(20):
            future = pool.submit(tasks.take, b"x")
            assert future.cancel()
            watched.append(weakref.ref(future))
        del future
        gc.collect()
        assert [one() for one in watched] == [None] * 20
        last = pool.submit(tasks.add, 3)
        gate.touch()
        assert (first.result(WAIT), last.result(WAIT)) == (None, 3)


@pytest.mark.parametrize("name", QUEUED)
def test_a_callback_may_submit_more_than_there_is_room_for(name):
    with make_pool(name, size=1, max_pending=1) as pool:
        made = Future()
        gate = threading.Event()

        def submit_two(_):
            gate.wait(WAIT)
            made.set_result([pool.submit(tasks.double, number) for number in (1, 2)])

        pool.submit(tasks.sleep, 0.05).add_done_callback(submit_two)
        gate.set()
        assert [future.result(WAIT) for future in made.result(WAIT)] == [2, 4]


def test_a_task_in_a_thread_may_submit_to_its_own_pool():
    with make_pool("threads", size=1, max_pending=1) as pool:

        def outer(depth):
            return depth if depth == 0 else pool.submit(outer, depth - 1).result(WAIT) + 1

        assert pool.submit(outer, 5).result(WAIT) == 5


def test_a_thread_over_its_limit_goes_on_and_its_result_is_dropped(tmp_path):
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    with make_pool("threads", size=1) as pool:
        future = pool.submit(tasks.mark_and_wait, mark, gate, timeout=0.05)
        assert isinstance(future.exception(WAIT), TaskTimeoutError)
        assert pool.stats().busy == 1
        gate.touch()
        assert pool.submit(tasks.add, 1).result(WAIT) == 1
        assert isinstance(future.exception(0), TaskTimeoutError)
        assert pool.stats().timeouts == pool.stats().failed == 1
        assert pool.stats().finished == 2


@pytest.mark.parametrize("name", QUEUED)
def test_shutdown_finishes_what_was_submitted(name):
    pool = make_pool(name, size=2)
    futures = [pool.submit(tasks.double, number) for number in range(50)]
    pool.shutdown()
    assert [future.result(0) for future in futures] == [2 * number for number in range(50)]


@pytest.mark.parametrize("name", QUEUED)
@pytest.mark.parametrize("how", [{"wait": False}, {"timeout": 0.05}])
def test_shutdown_without_patience_cancels_and_stops(name, how, tmp_path):
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    pool = make_pool(name, size=1)
    running = pool.submit(tasks.mark_and_wait, mark, gate)
    waiting = pool.submit(tasks.nothing)
    while not mark.exists():
        time.sleep(0.002)
    try:
        pool.shutdown(**how)
        assert waiting.cancelled()
        with pytest.raises(PoolClosedError, match="shut down while"):
            running.result(0)
    finally:
        gate.touch()


@pytest.mark.parametrize("name", QUEUED)
def test_who_waits_for_a_place_is_told_of_the_shutdown(name, tmp_path):
    gate = tmp_path / "gate"
    pool = make_pool(name, size=1, max_pending=1)
    pool.submit(tasks.wait_for_file, gate)
    told = []

    def wait_for_a_place():
        try:
            pool.submit(tasks.nothing)
        except PoolClosedError as error:
            told.append(error)

    waiter = threading.Thread(target=wait_for_a_place)
    waiter.start()
    threading.Timer(0.1, gate.touch).start()
    closer = threading.Thread(target=pool.shutdown)
    closer.start()
    waiter.join(WAIT)
    closer.join(WAIT)
    assert len(told) == 1


@pytest.mark.parametrize("name", BACKENDS)
def test_a_callback_may_shut_the_pool_down(name):
    pool = make_pool(name, size=1)
    done = threading.Event()

    def close(_):
        pool.shutdown(wait=False)
        done.set()

    pool.submit(tasks.nothing).add_done_callback(close)
    assert done.wait(WAIT)
    pool.shutdown()
    with pytest.raises(PoolClosedError):
        pool.submit(tasks.nothing)


def test_an_error_in_the_block_does_not_wait_for_the_tasks(tmp_path):
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    with pytest.raises(ZeroDivisionError), make_pool("processes", size=1) as pool:
        future = pool.submit(tasks.mark_and_wait, mark, gate)
        while not mark.exists():
            time.sleep(0.002)
        raise ZeroDivisionError
    assert isinstance(future.exception(0), PoolClosedError)


def test_one_file_is_one_backend(tmp_path, monkeypatch):
    package = tmp_path / "some_backends"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "here.py").write_text(
        "from theus.parallel.backend import BackendEntry\n"
        "from theus.parallel.backends.inline import InlinePool\n"
        "BACKEND = BackendEntry(InlinePool)\n"
    )
    (package / "nowhere.py").write_text(
        "from theus.parallel.backend import BackendEntry\n"
        "BACKEND = BackendEntry(dict, lambda: 'it needs a moon')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    shelf = Shelf("some_backends", "BACKEND", kind=backend.BackendEntry)
    monkeypatch.setattr(backend, "_shelf", shelf)
    assert backend.available_backends() == {"here": None, "nowhere": "it needs a moon"}
    assert make_pool("here", size=1).submit(tasks.double, 2).result() == 4
    with pytest.raises(ParallelError, match="'nowhere': it needs a moon"):
        make_pool("nowhere")
    with pytest.raises(UnknownEntryError):
        make_pool("elsewhere")


def test_the_backends_there_are():
    assert backend.available_backends() == {
        "auto": None,
        "inline": None,
        "interpreters": PROBLEM,
        "processes": None,
        "threads": None,
    }
