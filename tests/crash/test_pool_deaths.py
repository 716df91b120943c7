"""Workers that die, in every way and at every moment: only their own task is touched."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from tests.support import leftovers
from tests.unit.parallel import pool_tasks as tasks
from theus.errors import ParallelError, TaskTimeoutError, WorkerDiedError
from theus.parallel import ProcessPool

WAIT = 120

DEATHS = [
    ("SIGKILL", -signal.SIGKILL, "killed by signal 9 (SIGKILL)"),
    ("SIGTERM", -signal.SIGTERM, "killed by signal 15 (SIGTERM)"),
    ("segfault", -signal.SIGSEGV, "(SIGSEGV)"),
    ("abort", -signal.SIGABRT, "(SIGABRT)"),
    ("exit", 3, "ended with exit code 3"),
    ("zero", 0, "ended with exit code 0"),
]


@pytest.fixture(scope="module", autouse=True)
def light_workers():
    """Workers need not import the test runner."""
    import sys

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["__main__"], "__spec__", None)
        patch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
        yield


@pytest.fixture(scope="module")
def pool():
    with ProcessPool(2, spare=1) as made:
        yield made


@pytest.mark.parametrize(("how", "code", "text"), DEATHS, ids=[one[0] for one in DEATHS])
def test_a_death_is_the_error_of_its_task(pool, how, code, text):
    with pytest.raises(WorkerDiedError) as caught:
        pool.submit(tasks.die, how, retry=False).result(WAIT)
    error = caught.value
    assert (error.exit_code, error.attempts) == (code, 1)
    assert error.task.endswith("pool_tasks.die")
    assert text in str(error)
    assert pool.submit(tasks.add, 1).result(WAIT) == 1


def test_a_task_that_always_kills_is_given_up_after_two_attempts(pool):
    before = pool.stats()
    others = [pool.submit(tasks.double, number) for number in range(20)]
    error = pool.submit(tasks.die, "SIGKILL").exception(WAIT)
    assert isinstance(error, WorkerDiedError)
    assert error.attempts == 2
    assert "attempt 2" in str(error)
    assert [future.result(WAIT) for future in others] == [2 * number for number in range(20)]
    assert pool.stats().retried == before.retried + 1
    assert pool.stats().deaths == before.deaths + 2


def test_a_task_whose_worker_died_once_is_answered_by_the_second(pool, tmp_path):
    assert pool.submit(tasks.die_once, tmp_path / "mark", "answer").result(WAIT) == "answer"


def test_a_task_that_must_not_run_twice_does_not(pool, tmp_path):
    mark = tmp_path / "mark"
    future = pool.submit(tasks.die_once, mark, "answer", retry=False)
    assert isinstance(future.exception(WAIT), WorkerDiedError)
    assert mark.exists()


def test_the_error_has_the_end_of_standard_error(pool, capfd):
    text = "first line\n" + "filler\n" * 5000 + "the last words\n"
    error = pool.submit(tasks.complain_and_die, text, retry=False).exception(WAIT)
    assert error.stderr.endswith("the last words")
    assert "first line" not in error.stderr
    assert len(error.stderr) <= 8192
    assert "the last words" in str(error)
    assert capfd.readouterr().err.count("filler") == 5000


def test_a_segfault_leaves_a_traceback(pool):
    error = pool.submit(tasks.die, "segfault", retry=False).exception(WAIT)
    assert "Fatal Python error: Segmentation fault" in error.stderr
    assert "pool_tasks.py" in error.stderr


def test_an_idle_worker_that_is_killed_takes_nothing_with_it(pool):
    pool.start(wait=True)
    for pid in pool.pids():
        os.kill(pid, signal.SIGKILL)
    futures = [pool.submit(tasks.double, number) for number in range(50)]
    assert [future.result(WAIT) for future in futures] == [2 * number for number in range(50)]


def test_an_answer_that_was_sent_before_the_death_counts(pool):
    before = pool.stats()
    assert pool.submit(tasks.answer_and_die_after, 5, retry=False).result(WAIT) == 5
    deadline = time.monotonic() + WAIT
    while pool.stats().deaths == before.deaths and time.monotonic() < deadline:
        time.sleep(0.005)
    assert pool.stats().deaths == before.deaths + 1
    assert pool.stats().failed == before.failed


def test_a_worker_killed_while_it_sends_a_large_result(pool):
    size = 200 << 20
    future = pool.submit(tasks.big_result_killed_while_sending, size, retry=False)
    error = future.exception(WAIT)
    assert isinstance(error, WorkerDiedError) or len(future.result()) == size
    assert pool.submit(tasks.add, 1).result(WAIT) == 1


def test_a_worker_killed_while_it_is_sent_a_large_argument(pool):
    pool.start(wait=True)
    value = b"x" * (100 << 20)
    victims = pool.pids()
    futures = [pool.submit(tasks.take, value) for _ in range(3)]
    os.kill(victims[0], signal.SIGKILL)
    assert [future.result(WAIT) for future in futures] == ["taken"] * 3


@pytest.mark.parametrize("task", [tasks.write_into_channel, tasks.close_everything])
def test_a_task_that_spoils_its_channel_loses_its_worker(pool, task):
    error = pool.submit(task, retry=False).exception(WAIT)
    assert isinstance(error, WorkerDiedError)
    assert pool.submit(tasks.add, 1).result(WAIT) == 1


def test_a_death_is_seen_though_a_grandchild_holds_the_descriptors(pool, tmp_path):
    mark = tmp_path / "mark"
    try:
        future = pool.submit(tasks.fork_a_child_that_outlives, mark, retry=False)
        assert isinstance(future.exception(WAIT), WorkerDiedError)
    finally:
        mark.touch()


def test_an_interrupt_from_the_terminal_does_not_reach_workers(tmp_path):
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    with ProcessPool(2, spare=0) as pool:
        pool.start(wait=True)
        busy = pool.submit(tasks.mark_and_wait, mark, gate)
        while not mark.exists():
            time.sleep(0.002)
        for pid in pool.pids():
            os.kill(pid, signal.SIGINT)
        futures = [pool.submit(tasks.double, number) for number in range(20)]
        assert [future.result(WAIT) for future in futures] == [2 * number for number in range(20)]
        gate.touch()
        assert busy.result(WAIT) in pool.pids()
        assert pool.stats().deaths == 0


def test_all_workers_killed_at_once_with_tasks_waiting():
    with ProcessPool(3, spare=1) as pool:
        pool.start(wait=True)
        futures = [pool.submit(tasks.sleep, 0.002) for _ in range(300)]
        pids = pool.pids()
        with pool._dispatcher._lock:  # no task goes from one that was killed to one that will be
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        assert [future.result(WAIT) for future in futures] == [0.002] * 300


def test_two_hundred_tasks_with_random_kills_are_all_accounted_for(tmp_path):
    chance = random.Random(20130101)
    with ProcessPool(2, spare=1) as pool:
        pool.start(wait=True)
        futures = [pool.submit(tasks.sleep, 0.005, retry=number % 4 > 0) for number in range(200)]
        poison = pool.submit(tasks.die, "SIGKILL")
        kills = 0
        while not all(future.done() for future in futures):
            pids = pool.pids()
            if pids and kills < 25:
                with contextlib.suppress(ProcessLookupError):  # it has ended since
                    os.kill(chance.choice(pids), signal.SIGKILL)
                kills += 1
            time.sleep(chance.uniform(0.0, 0.08))
        assert isinstance(poison.exception(WAIT), WorkerDiedError)
        errors = [(number, future.exception()) for number, future in enumerate(futures)]
        lost = [(number, error) for number, error in errors if error is not None]
        assert all(isinstance(error, WorkerDiedError) for _, error in lost)
        assert all(error.attempts == (2 if number % 4 else 1) for number, error in lost)
        assert len(lost) <= kills
        stats = pool.stats()
        assert stats.finished == 201
        assert stats.failed == len(lost) + 1
        assert stats.pending == stats.busy == 0
        assert pool.submit(tasks.add, 1).result(WAIT) == 1


def test_a_stopped_worker_holds_up_nobody_but_its_task():
    with ProcessPool(2, spare=0) as pool:
        pool.start(wait=True)
        stopped = pool.submit(tasks.die, "SIGSTOP", timeout=1.0, retry=False)
        futures = [pool.submit(tasks.take, b"x" * (1 << 20)) for _ in range(20)]
        assert [future.result(WAIT) for future in futures] == ["taken"] * 20
        assert isinstance(stopped.exception(WAIT), TaskTimeoutError)


def test_a_stopped_worker_does_not_hold_up_the_shutdown():
    pool = ProcessPool(1, spare=0, grace=0.1)
    before = leftovers.children()
    future = pool.submit(tasks.die, "SIGSTOP")
    while not pool.stats().busy:
        time.sleep(0.005)
    pool.shutdown(wait=False)
    assert isinstance(future.exception(0), ParallelError)
    assert leftovers.children() <= before


def test_workers_that_cannot_start_break_the_pool_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / "deadly_module.py").write_text(
        "import os\nos.write(2, b'dying at import')\nos._exit(7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with ProcessPool(1, spare=0, modules=["deadly_module"]) as pool:
        error = pool.submit(tasks.add, 1).exception(WAIT)
        assert type(error) is ParallelError
        assert "ended with exit code 7 before it was ready" in str(error)
        assert "dying at import" in str(error)
        with pytest.raises(ParallelError, match="exit code 7"):
            pool.submit(tasks.add, 1)
        with pytest.raises(ParallelError, match="exit code 7"):
            pool.start(wait=True)


def test_workers_that_do_not_get_ready_break_the_pool(tmp_path, monkeypatch):
    (tmp_path / "endless_module.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.syspath_prepend(tmp_path)
    options = {"modules": ["endless_module"], "start_timeout": 0.3}
    with ProcessPool(1, spare=0, **options) as pool:
        error = pool.submit(tasks.add, 1).exception(WAIT)
        assert "not ready within 0.3 s" in str(error)
