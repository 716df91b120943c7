"""The public conflict policy: counting, back-off, the VIP and its lease."""

from __future__ import annotations

import threading
import time

import pytest

from theus._core.conflict import ConflictManager, RetryDecision, backoff_ms


@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_the_wait_doubles_with_jitter(failures):
    base = 2.0 * 2 ** (failures - 1)
    waits = [backoff_ms(2.0, failures) for _ in range(500)]
    assert base * 0.8 <= min(waits) <= max(waits) < base * 1.2
    assert len(set(waits)) > 100


def test_the_wait_is_bounded():
    assert backoff_ms(2.0, 1000) <= 1200.0


def test_failures_are_counted_per_key_and_forgotten_on_success():
    manager = ConflictManager()
    for _ in range(3):
        assert manager.report_conflict("a").should_retry
    manager.report_conflict("b")
    assert (manager.get_failure_count("a"), manager.get_failure_count("b")) == (3, 1)
    manager.report_success("a")
    assert (manager.get_failure_count("a"), manager.get_failure_count("b")) == (0, 1)


def test_after_max_retries_a_key_becomes_the_vip():
    manager = ConflictManager(max_retries=5, base_backoff_ms=2)
    decisions = [manager.report_conflict("a") for _ in range(5)]
    assert decisions[-1] == RetryDecision(True, 1.0)
    assert manager.vip_holder == "a"
    assert manager.is_blocked("b")
    assert not manager.is_blocked("a")
    assert manager.report_conflict("b") == RetryDecision(True, 50.0)


@pytest.mark.parametrize("end", ["report_success", "release"])
def test_the_vip_place_ends_with_its_holder(end):
    manager = ConflictManager(max_retries=1)
    manager.report_conflict("a")
    getattr(manager, end)("a")
    assert manager.vip_holder is None
    assert not manager.is_blocked("b")
    assert manager.get_failure_count("a") == 0


def test_success_of_another_key_does_not_free_the_vip():
    manager = ConflictManager(max_retries=1)
    manager.report_conflict("a")
    manager.report_success("b")
    assert manager.is_blocked("b")


def test_a_vip_that_is_silent_loses_its_lease():
    manager = ConflictManager(max_retries=1, lease_ms=30)
    manager.report_conflict("a")
    assert manager.is_blocked("b")
    time.sleep(0.06)
    assert not manager.is_blocked("b")
    assert manager.report_conflict("b").wait_ms == 1.0
    assert manager.vip_holder == "b"


@pytest.mark.parametrize(
    "wrong", [{"max_retries": 0}, {"base_backoff_ms": -1}, {"lease_ms": 0}], ids=str
)
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        ConflictManager(**wrong)


def test_reports_from_many_threads_are_all_counted():
    manager = ConflictManager(max_retries=10**6)
    threads = [
        threading.Thread(target=lambda: [manager.report_conflict("a") for _ in range(1000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert manager.get_failure_count("a") == 4000
