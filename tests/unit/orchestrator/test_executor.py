"""ThreadExecutor: a scheduler on threads."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

from theus.errors import PoolClosedError, SettingsError
from theus.orchestrator import ThreadExecutor


def test_functions_run_on_other_threads_with_all_their_arguments() -> None:
    thing = object()
    with ThreadExecutor(2) as executor:

        def work(value: Any, *, timeout: int, wait: str) -> tuple[Any, int, str, int]:
            return value, timeout, wait, threading.get_ident()

        value, timeout, wait, thread = executor.submit(work, thing, timeout=3, wait="w").result()
    assert value is thing
    assert (timeout, wait) == (3, "w")
    assert thread != threading.get_ident()


def test_workers_run_side_by_side_and_no_more_of_them() -> None:
    barrier = threading.Barrier(3)
    lock, inside, most = threading.Lock(), 0, 0

    def meet(number: int) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        barrier.wait(30)
        with lock:
            inside -= 1
        return number

    with ThreadExecutor(3) as executor:
        assert executor.map(meet, range(9)) == list(range(9))
    assert most == 3


def test_errors_are_those_of_the_function() -> None:
    class Odd(Exception):
        pass

    def work(number: int) -> int:
        if number % 2:
            raise Odd(number)
        return number

    with ThreadExecutor(2) as executor:
        with pytest.raises(Odd, match="3"):
            executor.submit(work, 3).result()
        with pytest.raises(Odd, match="1"):
            executor.map(work, range(4))


def test_context_variables_go_along() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(5)
    with ThreadExecutor(1) as executor:
        assert executor.submit(variable.get).result() == 5


def test_a_function_that_submits_does_not_wait_for_itself() -> None:
    with ThreadExecutor(1) as executor:
        assert executor.submit(lambda: executor.submit(lambda: 5).result()).result() == 5


def test_shutdown_waits_and_then_refuses() -> None:
    gate = threading.Event()
    executor = ThreadExecutor(1)
    futures = [executor.submit(gate.wait, 30) for _ in range(3)]
    threading.Timer(0.01, gate.set).start()
    executor.shutdown()
    assert [future.result(0) for future in futures] == [True] * 3
    with pytest.raises(PoolClosedError):
        executor.submit(len, "")
    executor.shutdown()


def test_the_number_of_workers_is_checked() -> None:
    with pytest.raises(SettingsError):
        ThreadExecutor(0)
