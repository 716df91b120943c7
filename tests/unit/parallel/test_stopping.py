"""Tasks that are stopped, and workers that are replaced between tasks."""

from __future__ import annotations

import os
import re
import signal
import time
from concurrent.futures import CancelledError

import pytest

from tests.unit.parallel import pool_tasks as tasks
from theus.errors import SettingsError, WorkerDiedError
from theus.parallel import ProcessPool

WAIT = 60


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("any_pool", ["processes", "threads"], indirect=True)
def test_a_task_that_has_not_begun_is_cancelled(any_pool, tmp_path):
    gate = tmp_path / "gate"
    running = [any_pool.submit(tasks.wait_for_file, gate, one) for one in range(2)]
    waiting = any_pool.submit(tasks.double, 1)
    assert any_pool.stop(waiting)
    assert waiting.cancelled()
    gate.touch()
    assert [future.result(WAIT) for future in running] == [0, 1]


def test_a_task_that_is_done_cannot_be_stopped(any_pool):
    future = any_pool.submit(tasks.double, 1)
    assert future.result(WAIT) == 2
    assert not any_pool.stop(future)
    assert future.result() == 2


def test_a_task_that_runs_is_stopped_with_its_worker(processes, tmp_path):
    mark = tmp_path / "mark"
    before = processes.stats()
    future = processes.submit(tasks.mark_and_wait, mark, tmp_path / "never")
    until(lambda: mark.exists() and mark.read_text())
    pid = int(mark.read_text())
    assert processes.stop(future)
    with pytest.raises(CancelledError, match="mark_and_wait was stopped"):
        future.result(WAIT)
    assert [processes.submit(tasks.double, one).result(WAIT) for one in (1, 2)] == [2, 4]
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    after = processes.stats()
    assert (after.deaths, after.retried) == (before.deaths, before.retried)


def test_tasks_that_wait_behind_a_stopped_one_are_done_by_others(tmp_path):
    with ProcessPool(1, spare=1) as pool:
        mark = tmp_path / "mark"
        assert [pool.submit(tasks.double, one).result(WAIT) for one in range(20)][-1] == 38
        first = pool.submit(tasks.mark_and_wait, mark, tmp_path / "never")
        rest = [pool.submit(tasks.double, one) for one in range(50)]
        unwanted = rest.pop(25)
        until(mark.exists)
        assert pool.stop(unwanted)
        assert pool.stop(first)
        assert [future.result(WAIT) for future in rest] == [
            2 * one for one in range(50) if one != 25
        ]
        for future in (first, unwanted):
            with pytest.raises(CancelledError):
                future.result(WAIT)
        until(lambda: pool.stats().pending == 0)


def test_one_that_was_sent_ahead_is_dropped_without_its_worker(tmp_path):
    """Known to be short, so the second waits in the pipe behind the first."""
    with ProcessPool(1, spare=0) as pool:
        gate, mark = tmp_path / "gate", tmp_path / "mark"
        gate.touch()
        pool.submit(tasks.mark_and_wait, mark, gate).result(WAIT)
        gate.unlink()
        mark.unlink()
        (pid,) = pool.pids()
        futures = [pool.submit(tasks.mark_and_wait, mark, gate) for _ in range(3)]
        until(mark.exists)
        assert pool.stop(futures[1])
        gate.touch()
        assert futures[0].result(WAIT) == futures[2].result(WAIT) == pid
        with pytest.raises(CancelledError):
            futures[1].result(WAIT)
        assert pool.pids() == (pid,)


def test_workers_are_replaced_after_so_many_tasks():
    with ProcessPool(2, spare=0, max_tasks=5) as pool:
        pool.start(wait=True)
        first = set(pool.pids())
        futures = [pool.submit(tasks.sleep, 0.002) for _ in range(100)]
        least = 2
        while not all(future.done() for future in futures):
            least = min(least, pool.stats().ready)
        assert least == 2  # the new one is ready before the old one goes
        until(lambda: pool.stats().recycled >= 2)
        pids = {pool.submit(tasks.thread_and_process).result(WAIT)[1] for _ in range(4)}
        assert not pids & first
        stats = pool.stats()
        assert (stats.deaths, stats.failed, stats.retried) == (0, 0, 0)


def test_a_worker_that_keeps_too_much_memory_is_replaced():
    with ProcessPool(1, spare=1, max_memory=400 << 20) as pool:
        small = pool.submit(tasks.keep_memory, 1 << 20).result(WAIT)
        assert pool.submit(tasks.keep_memory, 1 << 20).result(WAIT) in pool.pids()
        assert pool.stats().recycled == 0
        large = pool.submit(tasks.keep_memory, 500 << 20).result(WAIT)
        until(lambda: pool.stats().recycled == 1)
        until(lambda: large not in pool.pids())
        assert pool.submit(tasks.double, 1).result(WAIT) == 2
        assert small
        assert pool.stats().deaths == 0


def test_a_killed_worker_says_how_much_memory_it_had(tmp_path):
    with ProcessPool(1, spare=0) as pool:
        mark = tmp_path / "mark"
        future = pool.submit(tasks.keep_memory_and_be_killed, 100 << 20, mark, retry=False)
        until(lambda: mark.exists() and mark.read_text())
        (worker,) = pool._dispatcher.crew.workers
        until(lambda: worker.memory.size > 100 << 20)
        os.kill(int(mark.read_text()), signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match="for want of memory; it had") as caught:
            future.result(WAIT)
        assert int(re.search(r"it had (\d+) MB", str(caught.value))[1]) >= 100


@pytest.mark.parametrize("option", ["max_tasks", "max_memory"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True])
def test_limits_are_positive_numbers(option, value):
    with pytest.raises(SettingsError, match=option):
        ProcessPool(1, **{option: value})
