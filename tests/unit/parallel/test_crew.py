"""The crew without its dispatcher: real workers, events in an order of the test's choice."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.unit.parallel import pool_tasks as tasks
from theus.parallel.crew import Crew, Plan
from theus.parallel.handle import Phase
from theus.parallel.hands import Handed
from theus.parallel.pace import Pace
from theus.parallel.parcel import Parcel, pack, unpack_outcome
from theus.parallel.task import Task
from theus.parallel.worker import Setup

WAIT = 60


class Owner:
    """Writes down what it is told."""

    def __init__(self):
        self.told = []

    def answered(self, task, data, pid):
        self.told.append(("answered", task.number, unpack_outcome(data, task.name, pid).value))

    def overdue(self, task):
        self.told.append(("overdue", task.number))

    def lost(self, task, code, how, stderr):
        self.told.append(("lost", task.number, code))

    def untouched(self, tasks):
        self.told += [("untouched", task.number, task.attempts) for task in tasks]

    def unstartable(self, reason):
        self.told.append(("unstartable", reason))

    def ready(self):
        self.told.append(("ready",))


class Stage:
    """A crew of one worker, ready; `turn` lets it see what happened."""

    def __init__(self):
        self.owner = Owner()
        self.poll = select.poll()
        self.lock = threading.Lock()
        context = multiprocessing.get_context("spawn")
        plan = Plan(context, Setup((), {}), 1, 0, WAIT, 2.0)
        self.crew = Crew(plan, self.owner, self.lock, self.poll)
        self.crew.fill(spare=False)
        while not self.crew.hands.free:
            self.turn()
        (self.worker,) = self.crew.workers

    def turn(self, seconds=WAIT):
        for fd, event in self.poll.poll(seconds * 1000):
            if (handler := self.crew.watch.get(fd)) is not None:
                handler(event)

    def hand_out(self, function, *args, number=1, limit=None):
        task = Task(
            number, "task", pack(Parcel(function, args), None, 30, {})[0], limit, True, False
        )
        with self.lock:
            worker = self.crew.hands.place(task)
            handed = self.crew.hand_out(worker, task)
        return task, handed

    def close(self):
        self.crew.dismiss()
        for task in self.crew.abort():
            task.future.cancel()
        while self.crew.workers:
            self.turn()


@pytest.fixture
def stage():
    made = Stage()
    yield made
    made.close()


def test_starting_a_worker_leaves_the_signals_of_the_thread_alone(stage):
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert stage.worker.warm


def test_an_answer_counts_though_the_exit_is_seen_first(stage):
    stage.hand_out(tasks.answer_and_die_after, 5)
    stage.worker.process.join(WAIT)
    stage.crew.watch[stage.worker.exit_fd](select.POLLIN)
    assert stage.owner.told == [("ready",), ("answered", 1, 5)]
    assert stage.crew.workers == set()
    assert stage.crew.hands.idle == []
    assert (stage.crew.hands.busy, stage.crew.deaths) == (0, 1)


def test_a_task_for_a_worker_that_is_gone_is_given_back(stage):
    stage.worker.process.kill()
    stage.worker.process.join(WAIT)
    task, handed = stage.hand_out(tasks.nothing)
    assert handed is Handed.NOT
    assert task.attempts == 0
    assert not stage.worker.tasks
    assert not stage.crew.hands.free
    while stage.crew.workers:
        stage.turn()
    assert stage.owner.told == [("ready",)]
    assert (stage.crew.hands.busy, stage.crew.deaths) == (0, 1)


def test_a_limit_that_is_over_does_not_hit_the_next_task(stage):
    """The clock is looked at late: the first task has been answered, the second is running."""
    stage.hand_out(tasks.add, 1, number=1, limit=0.001)
    while stage.worker.phase is Phase.BUSY:
        stage.turn()
    assert stage.worker.due == float("inf")
    stage.hand_out(tasks.sleep, 0.1, number=2, limit=1000.0)
    soon = stage.worker.due - 500
    stage.crew.look_at_clocks(soon)
    assert stage.worker.phase is Phase.BUSY
    while len(stage.owner.told) < 3:
        stage.turn()
    assert stage.owner.told == [("ready",), ("answered", 1, 1), ("answered", 2, 0.1)]


def test_a_task_over_its_limit_is_told_once_and_its_worker_ends(stage):
    stage.hand_out(tasks.sleep, 600, limit=5.0)
    stage.crew.look_at_clocks(stage.worker.due + 1)
    assert stage.owner.told == [("ready",), ("overdue", 1)]
    while stage.crew.workers:
        stage.turn()
    assert stage.owner.told == [("ready",), ("overdue", 1)]
    assert (stage.crew.hands.busy, stage.crew.deaths) == (0, 0)


def test_an_answer_that_came_just_in_time_counts(stage):
    stage.hand_out(tasks.add, 4, limit=1000.0)
    poll = select.poll()
    poll.register(stage.worker.fd, select.POLLIN)
    assert poll.poll(WAIT * 1000)
    stage.crew.look_at_clocks(stage.worker.due + 1)
    assert stage.owner.told == [("ready",), ("answered", 1, 4)]
    assert stage.crew.hands.free


def test_short_tasks_are_sent_ahead_and_go_back_untouched(stage):
    for _ in range(50):
        stage.crew.hands.pace.note("task", 1e-6)
    stage.hand_out(tasks.sleep, 0.2, number=1)
    for number in range(2, 10):
        stage.hand_out(tasks.add, number, number=number)
    assert len(stage.worker.tasks) == 9
    assert stage.crew.hands.place(Task(10, "task", b"", 5.0, True, False)) is None
    while len(stage.owner.told) < 2:
        stage.turn()
    stage.worker.process.kill()
    while stage.crew.workers:
        stage.turn()
    told = stage.owner.told
    answered = [one[1] for one in told if one[0] == "answered"]
    assert answered == list(range(1, len(answered) + 1))
    lost = [one for one in told if one[0] == "lost"]
    untouched = [one[1:] for one in told if one[0] == "untouched"]
    if lost:
        assert lost == [("lost", len(answered) + 1, -9)]
        assert untouched == [(number, 0) for number in range(len(answered) + 2, 10)]
    assert (stage.crew.hands.busy, stage.crew.deaths) == (0, 1)


def test_nothing_is_sent_behind_a_task_that_must_be_alone(stage):
    for _ in range(50):
        stage.crew.hands.pace.note("task", 1e-6)
    stage.hand_out(tasks.sleep, 0.1, number=1, limit=100.0)
    assert stage.crew.hands.place(Task(2, "task", b"", None, True, False)) is None


def test_a_long_task_is_known_at_once_and_forgotten_slowly():
    pace = Pace()
    short = Task(1, "f", b"", None, True, False)
    assert pace.ahead(short) == 1
    pace.note("f", 1e-6)
    assert pace.ahead(short) == 64
    pace.note("f", 1.0)
    assert pace.ahead(short) == 1
    for _ in range(200):
        pace.note("f", 1e-6)
    assert pace.ahead(short) == 64
    for alone in (
        Task(1, "f", b"", 1.0, True, False),
        Task(1, "f", b"", None, False, False),
    ):
        assert pace.ahead(alone) == 1
    short.attempts = 1
    assert pace.ahead(short) == 1
    for number in range(10_000):
        pace.note(str(number), 1e-6)
    assert len(pace._seconds) <= 4096


def test_a_worker_is_told_to_end_with_growing_firmness(stage):
    stage.hand_out(tasks.die, "SIGSTOP")
    state = Path(f"/proc/{stage.worker.pid}/stat")
    while state.read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.002)
    assert [task.number for task in stage.crew.abort()] == [1]
    assert stage.worker.pressure == 2
    stage.crew.look_at_clocks(stage.worker.due)
    assert stage.worker.pressure == 3
    while stage.crew.workers:
        stage.turn()
    assert stage.crew.deaths == 0


def test_a_start_that_fails_is_tried_again_later(stage):
    context = multiprocessing.get_context("spawn")
    owner, poll = Owner(), select.poll()
    crew = Crew(Plan(context, Setup((lambda: 1,), {}), 2, 0, WAIT, 2.0), owner, stage.lock, poll)
    before = os.listdir("/proc/self/fd")
    crew.fill(spare=False)
    assert os.listdir("/proc/self/fd") == before
    assert len(owner.told) == 1
    assert owner.told[0][0] == "unstartable"
    assert "lambda" in owner.told[0][1]
    crew.fill(spare=False)
    assert len(owner.told) == 1
    crew.look_at_clocks(crew.next_due())
    crew.fill(spare=False)
    assert len(owner.told) == 2
    assert crew.workers == set()
    assert crew.watch == {}
