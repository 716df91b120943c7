"""What the tests of workflows share: a state that processes change, and three ways to run."""

from __future__ import annotations

import asyncio
import copy

from theus.flux.workflow import WorkflowEngine


class Program:
    """Processes over a plain state; each call is noted.

    ``bodies`` maps names to ``function(state, **arguments)``; other names do nothing.
    """

    def __init__(self, state=None, **bodies):
        self.state = {"domain": {}, "global": {}, "signal": {}, **copy.deepcopy(state or {})}
        self.calls = []
        self.bodies = bodies

    def now(self):
        return self.state

    def __call__(self, name, **arguments):
        self.calls.append((name, arguments))
        if name in self.bodies:
            return self.bodies[name](self.state["domain"], **arguments)
        return None


class Mapping(Program):
    """A program that takes groups whole."""

    def __init__(self, state=None, **bodies):
        super().__init__(state, **bodies)
        self.batches = []

    def map(self, calls):
        self.batches.append([name for name, _ in calls])
        return [self(name, **arguments) for name, arguments in calls]


class Limited(Mapping):
    """A program that limits groups itself."""

    def map(self, calls, limit=None):
        self.limit = limit
        return super().map(calls)


def run_sync(text, program, **options):
    return WorkflowEngine(text, **options).execute(program.now, program)


def run_async_with_sync_processes(text, program, **options):
    return asyncio.run(WorkflowEngine(text, **options).execute_async(program.now, program))


def run_async(text, program, **options):
    async def execute(name, **arguments):
        await asyncio.sleep(0)
        return program(name, **arguments)

    return asyncio.run(WorkflowEngine(text, **options).execute_async(program.now, execute))


RUNNERS = [run_sync, run_async_with_sync_processes, run_async]
