"""The audit system: log, counters, isolation between systems, threads."""

from __future__ import annotations

import gc
import threading
import time
import warnings

import pytest

from theus.audit import AuditLevel, AuditLogEntry, AuditRecipe, AuditSystem
from theus.audit.log import LONGEST_MESSAGE
from theus.errors import AuditBlockError, AuditStopError, AuditWarning, SettingsError

COUNT = AuditRecipe(AuditLevel.Count)


def said(system, since=0):
    return [(entry.key, entry.message) for entry in system.get_logs(since)]


def test_everything_is_logged_oldest_first():
    system = AuditSystem(COUNT)
    system.log_fail("load", "no file")
    system.log_fail("load")
    system.log("load", "trying another")
    system.log_success("load")
    system.log_success("load", "after all")
    assert said(system) == [
        ("load", "failure 1: no file"),
        ("load", "failure 2"),
        ("load", "trying another"),
        ("load", "success"),
        ("load", "success: after all"),
    ]
    assert said(system, since=4) == [("load", "success: after all")]


def test_entries_have_time_and_number_and_cannot_be_changed():
    system = AuditSystem()
    before = time.time()
    system.log("key", "message")
    [entry] = system.get_logs()
    assert entry == AuditLogEntry(entry.timestamp, "key", "message", 1)
    assert before - 1e-6 <= entry.timestamp <= time.time() + 1e-6
    with pytest.raises(AttributeError):
        entry.message = "another"


def test_the_log_keeps_the_newest_and_cannot_be_cleared():
    system = AuditSystem(capacity=3)
    for number in range(5):
        system.log("key", f"{number}")
    assert [entry.message for entry in system.get_logs()] == ["2", "3", "4"]
    assert (system.ring_buffer_len, system.capacity, system.dropped) == (3, 3, 2)
    system.get_logs().clear()
    assert system.ring_buffer_len == 3
    assert not [name for name in dir(system) if "clear" in name]


def test_a_capacity_that_makes_no_sense_is_refused():
    with pytest.raises(SettingsError, match="capacity"):
        AuditSystem(capacity=0)


def test_systems_share_nothing():
    first, second = AuditSystem(COUNT, 10), AuditSystem(COUNT, 20)
    first.log_fail("key")
    assert (second.get_count("key"), second.ring_buffer_len) == (0, 0)
    assert (first.capacity, second.capacity) == (10, 20)


def test_counts_are_per_key_and_go_with_a_success():
    system = AuditSystem(COUNT)
    for key in ("a", "b", "a"):
        system.log_fail(key)
    counts = system.get_count_all()
    assert counts == {"a": 2, "b": 1}
    counts.clear()
    system.log_success("a")
    assert system.get_count_all() == {"b": 1}
    assert (system.get_count("a"), system.get_count("never")) == (0, 0)


def test_without_reset_a_success_changes_no_count():
    system = AuditSystem(AuditRecipe("C", reset_on_success=False))
    system.log_fail("a")
    system.log_success("a")
    assert system.get_count("a") == 1


def test_what_raises_is_counted_and_logged():
    system = AuditSystem(AuditRecipe("S"))
    with pytest.raises(AuditStopError, match="load failed once: bad") as caught:
        system.log_fail("load", "bad")
    assert (caught.value.key, caught.value.count, caught.value.rule) == ("load", 1, None)
    assert (system.get_count("load"), said(system)) == (1, [("load", "failure 1: bad")])


def test_a_warning_points_at_the_caller():
    system = AuditSystem(AuditRecipe("B", 3, 1))
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        system.log_fail("load", "bad")
    [warning] = given
    assert warning.category is AuditWarning
    assert warning.filename == __file__
    assert "load failed once: bad" in str(warning.message)


def test_a_failure_may_have_a_recipe_of_its_own():
    system = AuditSystem(COUNT)
    with pytest.raises(AuditBlockError):
        system.log_fail("key", recipe=AuditRecipe("B", 0))
    assert system.get_count("key") == 1


def test_ignored_failures_are_logged_and_not_counted():
    system = AuditSystem(AuditRecipe("I"))
    assert system.log_fail("key", "whatever") == 0
    assert system.get_count_all() == {}
    assert said(system) == [("key", "failure, ignored: whatever")]


def test_long_messages_are_cut():
    system = AuditSystem(COUNT)
    system.log("key", "x" * 100_000)
    system.log_fail("key", "y" * 100_000)
    system.log_success("key", "z" * 100_000)
    assert [len(entry.message) for entry in system.get_logs()] == [LONGEST_MESSAGE] * 3


def test_a_failure_can_be_taken_back():
    system = AuditSystem(COUNT)
    system.log_fail("key")
    counted = system.count_failure("key")
    assert (counted.number, system.get_count("key")) == (2, 2)
    system.uncount(counted)
    assert (system.get_count("key"), system.ring_buffer_len) == (1, 1)


def test_taking_back_the_only_failure_forgets_the_key():
    system = AuditSystem(COUNT)
    system.uncount(system.count_failure("key"))
    assert system.get_count_all() == {}
    system.uncount(system.count_failure("key", AuditRecipe("I")))
    assert system.get_count_all() == {}


def test_a_reset_between_a_failure_and_its_taking_back_stands():
    system = AuditSystem(COUNT)
    old = system.count_failure("key")
    system.log_success("key")
    system.log_fail("key")
    system.uncount(old)
    assert system.get_count("key") == 1


def test_keys_that_come_and_go_leave_nothing():
    system = AuditSystem(COUNT, capacity=5)
    for number in range(2000):
        system.log_fail(f"key {number}")
        system.log_success(f"key {number}")
    gc.collect()
    assert system.get_count_all() == {}
    assert system.ring_buffer_len == 5


def test_threads_lose_no_failure_and_no_entry():
    system = AuditSystem(COUNT, capacity=100_000)
    start = threading.Barrier(8)

    def work(who):
        start.wait(30)
        for number in range(500):
            system.log_fail("shared", f"{who}")
            system.log_fail(f"own {who}", f"{number}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert system.get_count("shared") == 4000
    assert all(system.get_count(f"own {who}") == 500 for who in range(8))
    entries = system.get_logs()
    assert [entry.sequence for entry in entries] == list(range(1, 8001))
    for who in range(8):
        mine = [entry.message for entry in entries if entry.key == f"own {who}"]
        assert mine == [f"failure {n + 1}: {n}" for n in range(500)]
        assert (
            sum(entry.message.endswith(f": {who}") for entry in entries if entry.key == "shared")
            == 500
        )


def test_exactly_the_allowed_failures_pass_under_threads():
    system = AuditSystem(AuditRecipe("B", 50))
    start = threading.Barrier(8)
    outcomes = []

    def work():
        start.wait(30)
        for _ in range(20):
            try:
                system.log_fail("key")
                outcomes.append("passed")
            except AuditBlockError:
                outcomes.append("refused")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("passed") == 50
    assert outcomes.count("refused") == 110


def test_repr_says_how_much_there_is():
    system = AuditSystem(COUNT, 10)
    system.log_fail("a")
    assert repr(system) == "<AuditSystem 1 keys with failures, 1 of 10 entries>"
