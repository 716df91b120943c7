"""InterpreterPool: tasks in sub-interpreters of this process, each with a lock of its own."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait as wait_for
from dataclasses import replace
from functools import partial
from pickletools import genops
from typing import Any, NoReturn, final

from theus.errors import NotTransferableError, ParallelError, TaskTimeoutError
from theus.parallel.backend import BackendEntry, Capabilities, PoolStats
from theus.parallel.carried import Carried
from theus.parallel.interpreter import SubInterpreter
from theus.parallel.parcel import Outcome, Parcel, pack, unpack_outcome
from theus.parallel.probe import interpreters_problem, loading_problem
from theus.parallel.reference import task_name
from theus.parallel.relay import levels
from theus.parallel.threaded import ThreadedPool

__all__ = ["BACKEND", "InterpreterPool"]

_ARRAYS = ("numpy.", "theus.heavy.")
"""Packages of what the pickle of an array is made of."""


@final
class InterpreterPool(ThreadedPool):
    """A pool of sub-interpreters: pure-Python tasks beside each other, in one process.

    Each interpreter has its own modules and its own interpreter lock, and keeps its modules
    and what they hold from task to task. Functions are imported there by module and name,
    arguments and results are copied. Modules written in C have to support interpreters: numpy
    does not, nor does the core of Theus. What a task needs is tried out in an interpreter
    before the first task of its module is taken, and refused with the reason.

    A task over its limit cannot be stopped: its caller gets the error at the limit, its
    interpreter goes on, and what it returns is dropped. A crash ends the program.

    Parameters
    ----------
    size:
        How many interpreters; by default as many as this program has processors.
    max_pending:
        How many tasks may be unfinished before `submit` waits.
    carry:
        Context variables whose values go along with each task, as ``"module:NAME"``.

    Raises
    ------
    ParallelError
        There are no sub-interpreters here; the message says why.

    Any method may be called from any thread. An interpreter has one thread at a time.
    """

    _capabilities = Capabilities(
        "interpreters", concurrent=True, isolated=True, stops_tasks=False, survives_crashes=False
    )

    def __init__(
        self, size: int | None = None, *, max_pending: int = 1024, carry: Iterable[str] = ()
    ) -> None:
        super().__init__(size, max_pending=max_pending)
        problem = interpreters_problem()
        if problem is not None:
            raise ParallelError(f"Cannot use sub-interpreters: {problem}", backend="interpreters")
        self._carried = Carried(carry)
        self._levels = levels()
        self._free: list[SubInterpreter] = []
        self._made = self._lost_logs = 0
        self._over = False

    def start(self, wait: bool = False, timeout: float | None = None) -> None:
        """Make the interpreters; see `PoolBackend.start`."""
        super().start()
        with self._lock:
            missing = self._size - self._made
        try:
            begun = [self._threads.submit(self._warm) for _ in range(missing)]
        except RuntimeError:  # shut down in the meantime
            self._check_open()
            raise
        if not wait:
            return
        done = wait_for(begun, timeout)
        if done.not_done:
            raise TaskTimeoutError(
                f"the interpreters were not ready within {timeout} s", task="", limit_s=timeout
            )
        for one in done.done:
            one.result()

    def map(
        self,
        function: Callable[..., Any],
        /,
        *iterables: Iterable[Any],
        chunk: int | None = None,
        timeout: float | None = None,
        retry: bool = True,
    ) -> Iterator[Any]:
        """Call a function for every item; see `Maps.map`."""
        _check_function(function, task_name(function))
        return super().map(function, *iterables, chunk=chunk, timeout=timeout, retry=retry)

    def _call_of(self, parcel: Parcel, limit: float | None) -> Callable[[], Outcome]:
        _check(parcel)
        data, _ = pack(parcel, limit, logging.root.level, self._carried.values())
        if _holds_arrays(data):
            _refuse(parcel.title, "arguments", "together", "numpy", _problem_of("numpy"))
        return partial(self._run_inside, data, parcel.title)

    def stats(self) -> PoolStats:
        """Counts of this pool."""
        with self._lock:
            made, lost = self._made, self._lost_logs
        return replace(super().stats(), ready=made, lost_logs=lost)

    def _run_inside(self, data: bytes, title: str) -> Outcome:
        try:
            one = self._take()
            try:
                packed = one.call(data)
            finally:
                self._give(one)
        except ParallelError as error:
            made = ParallelError(f"Task {title} could not be finished: {error}", task=title)
            made.__cause__ = error
            return Outcome(error=made, worker=os.getpid())
        return unpack_outcome(packed, title, os.getpid())

    def _warm(self) -> None:
        """Make an interpreter, unless there are enough."""
        with self._lock:
            if self._made >= self._size or self._over:
                return
            self._made += 1
        self._give(self._make())

    def _take(self) -> SubInterpreter:
        """An interpreter that has nothing to do; threads are never more than interpreters."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self._made += 1
        return self._make()

    def _make(self) -> SubInterpreter:
        try:
            return SubInterpreter(self._levels)
        except BaseException:
            with self._lock:
                self._made -= 1
            raise

    def _give(self, one: SubInterpreter) -> None:
        with self._lock:
            self._lost_logs += one.lost_logs
            one.lost_logs = 0
            if not self._over:
                self._free.append(one)
                return
        one.close()

    def _ended(self) -> None:
        with self._lock:
            self._over = True
            free, self._free = self._free, []
        for one in free:
            one.close()


def _check(parcel: Parcel) -> None:
    """Refuse what cannot be in an interpreter, before anything runs."""
    title = parcel.title
    _check_function(parcel.function, title)
    named = [*((str(place), one) for place, one in enumerate(parcel.args)), *parcel.kwargs.items()]
    for name, value in named:
        home = type(value).__module__
        problem = None if home == "builtins" else _problem_of(home)
        if problem is not None:
            _refuse(title, "argument", name, f"the module {home!r} of its class", problem)
    if parcel.context is None:
        return
    scope = parcel.context._scope
    if scope.declared is not None and scope.table is None:
        _refuse(title, "contract", "with wildcards", "the core", _problem_of("theus._core"))
    for name in parcel.context._state()[1]:
        problem = _problem_of("theus.heavy.wrapper")
        if problem is not None:
            _refuse(title, "input", f"heavy.{name}", "numpy", problem)


def _check_function(function: Callable[..., Any], title: str) -> None:
    home = getattr(getattr(function, "func", function), "__module__", None)
    if isinstance(home, str) and home != "builtins":
        problem = _problem_of(home)
        if problem is not None:
            _refuse(title, "function", task_name(function), f"its module {home!r}", problem)


def _holds_arrays(data: bytes) -> bool:
    """Whether there are arrays in a pickle. What has no such text in it is not looked through."""
    if not any(mark[:-1].encode() in data for mark in _ARRAYS):
        return False
    memo: list[Any] = []
    pushed: deque[Any] = deque((None, None), maxlen=2)  # onto the stack, last: module and name
    for opcode, value, _ in genops(data):
        match opcode.name:
            case "STACK_GLOBAL" if f"{pushed[0]}.".startswith(_ARRAYS):
                return True
            case "MEMOIZE":
                memo.append(pushed[-1])
            case "BINGET" | "LONG_BINGET" if isinstance(value, int):
                pushed.append(memo[value])
            case "FRAME":
                continue
            case _:
                pushed.append(value)
    return False


def _problem_of(module: str) -> str | None:
    if module == "__main__":
        return "interpreters do not run the main program; define it in a module of its own"
    return loading_problem(module)


def _refuse(title: str, what: str, name: str, module: str, problem: str | None) -> NoReturn:
    raise NotTransferableError(
        f"Cannot send {what} {name} of task {title} to a sub-interpreter: {module} cannot be "
        f"loaded there ({problem}). Use pool='processes', or pool='auto' to have such tasks go "
        f"there.",
        what=what,
        name=name,
        task=title,
    )


BACKEND = BackendEntry(InterpreterPool, interpreters_problem)
