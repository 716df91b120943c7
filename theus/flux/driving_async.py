"""The driver of a walk on an event loop. Loaded by the first `execute_async`."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from theus.flux.driving import Executor, invoke, thrown
from theus.flux.machine import StateMachine
from theus.flux.walker import Action, Group, Walk

__all__ = ["AsyncDriver"]


class AsyncDriver:
    """Runs calls with an executor that may return awaitables.

    The machine is in `WaitingIO` while anything is awaited. Branches of a group are tasks;
    if one fails, the others are cancelled and waited for, so that nothing outlives the run.
    """

    __slots__ = ("_executor", "_machine")

    def __init__(self, executor: Executor, machine: StateMachine) -> None:
        self._executor = executor
        self._machine = machine

    async def drive(self, walk: Walk) -> None:
        """Drive a walk to its end."""
        action = next(walk, None)
        while action is not None:
            try:
                await self._perform(action)
            except BaseException as error:  # noqa: BLE001 - the walk decides, and raises it
                action = thrown(walk, error)
            else:
                action = next(walk, None)

    async def _perform(self, action: Action) -> None:
        if isinstance(action, Group):
            with self._machine.waiting():
                await self._side_by_side(action)
            return
        result: Any = invoke(self._executor, action)
        if inspect.isawaitable(result):
            with self._machine.waiting():
                await result

    async def _side_by_side(self, group: Group) -> None:
        gate: AbstractAsyncContextManager[Any]
        gate = nullcontext() if group.limit is None else asyncio.Semaphore(group.limit)

        async def branch(walk: Walk) -> None:
            async with gate:
                await self.drive(walk)

        tasks = [asyncio.ensure_future(branch(walk)) for walk in group.walks]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
