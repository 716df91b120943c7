"""Drivers of a walk that need no event loop: one that runs, one that only looks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from theus.errors import ParallelError, ReentryError
from theus.flux.walker import Action, Call, Group, Walk

__all__ = ["Driver", "Executor", "invoke", "look", "thrown"]

Executor = Callable[..., Any]


def invoke(executor: Executor, call: Call) -> Any:
    """Call the executor: with the name alone unless the step has arguments."""
    if call.arguments is None:
        return executor(call.name)
    return executor(call.name, **call.arguments)


def thrown(walk: Walk, error: BaseException) -> Action | None:
    """Throw `error` into a walk: its next action, None at its end, or the error again."""
    try:
        return walk.throw(error)
    except StopIteration:
        return None


def look(walk: Walk) -> None:
    """Drive a walk to its end without running anything."""
    for action in walk:
        if isinstance(action, Group):
            for branch in action.walks:
                look(branch)


class Driver:
    """Runs calls with an executor, on the caller's thread.

    Groups go through the executor's ``map``, if it has one: it takes a list of
    (name, arguments) and returns a list of their results when all have ended. A result that
    is an exception fails its branch; an exception raised by ``map`` fails the group. A
    ``map`` with a parameter ``limit`` is given the calls of all branches and the number that
    may go on at a time; another one gets no more calls than that. Without ``map`` the
    branches of a group run one after the other.
    """

    __slots__ = ("_executor", "_map", "_map_limits")

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._map: Callable[..., Any] | None = getattr(executor, "map", None)
        self._map_limits = self._map is not None and _takes_limit(self._map)

    def drive(self, walk: Walk) -> None:
        """Drive a walk to its end; what fails is thrown into it, and comes out of it."""
        action = next(walk, None)
        while action is not None:
            action = self._after(walk, action)

    def _after(self, walk: Walk, action: Action) -> Action | None:
        """Perform an action: the walk's next one."""
        try:
            if isinstance(action, Call):
                _refuse_awaitable(action, invoke(self._executor, action))
            elif self._map is None:
                for branch in action.walks:
                    self.drive(branch)
            else:
                self._in_rounds(action)
        except BaseException as error:  # noqa: BLE001 - the walk decides, and raises it again
            return thrown(walk, error)
        return next(walk, None)

    # --- groups, with a map ---------------------------------------------------------------

    def _in_rounds(self, group: Group) -> None:
        """Map the next call of each branch, again and again."""
        waiting = iter(group.walks)
        room = None if self._map_limits else group.limit
        ready: list[tuple[Walk, Call]] = []
        while self._filled(ready, waiting, room):
            results = self._mapped([call for _, call in ready], group.limit)
            resumed = [
                (walk, self._resumed(walk, call, result))
                for (walk, call), result in zip(ready, results, strict=True)
            ]
            ready = [(walk, call) for walk, call in resumed if call is not None]

    def _filled(
        self, ready: list[tuple[Walk, Call]], waiting: Iterator[Walk], room: int | None
    ) -> bool:
        """Start branches while there is room; whether any has a call to make."""
        while room is None or len(ready) < room:
            walk = next(waiting, None)
            if walk is None:
                break
            call = self._up_to_call(walk, next(walk, None))
            if call is not None:
                ready.append((walk, call))
        return bool(ready)

    def _mapped(self, calls: list[Call], limit: int | None) -> list[Any]:
        assert self._map is not None
        pairs = [(call.name, call.arguments or {}) for call in calls]
        results = list(self._map(pairs, limit=limit) if self._map_limits else self._map(pairs))
        if len(results) != len(calls):
            raise ParallelError(
                f"The executor's map returned {len(results)} results for {len(calls)} calls."
            )
        return results

    def _resumed(self, walk: Walk, call: Call, result: Any) -> Call | None:
        if isinstance(result, BaseException):
            return self._up_to_call(walk, thrown(walk, result))
        _refuse_awaitable(call, result)
        return self._up_to_call(walk, next(walk, None))

    def _up_to_call(self, walk: Walk, action: Action | None) -> Call | None:
        """The next call of a branch, if any; groups inside it are performed on the way."""
        while isinstance(action, Group):
            action = self._after(walk, action)
        return action


def _takes_limit(function: Callable[..., Any]) -> bool:
    try:
        return "limit" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some compiled callables cannot say
        return False


def _refuse_awaitable(call: Call, result: Any) -> None:
    if not inspect.isawaitable(result):
        return
    if inspect.iscoroutine(result):
        result.close()
    raise ReentryError(
        f"The process {call.name!r} at {call.position} returned something to await, which "
        "`execute` cannot do; use `await execute_async(...)`.",
        process=call.name,
    )
