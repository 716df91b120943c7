"""Histories of real processes: `await engine.execute` with suspensions inside the bodies.

The engine repeats a process that lost; each attempt is a transaction of its own in the history,
and only the last one of a call that succeeded counts as committed.
"""

from __future__ import annotations

import random
from typing import Any

from tests.histories.history import History, Txn
from tests.histories.layouts import Layout
from tests.histories.seedloop import Stepper, run
from tests.histories.workload import Program, programs, serial_read, take_step
from tests.model.subject import log_of
from theus import process


class Recorder:
    """Runs programs as processes of one engine and writes down what they did."""

    def __init__(self, engine: Any, layout: Layout, stepper: Stepper) -> None:
        self.engine = engine
        self.layout = layout
        self.stepper = stepper
        self.history: History = []
        self.clock = iter(range(1, 10**9))

    async def attempt(self, ctx: Any, name: int, program: Program) -> None:
        """The body: one attempt of one program."""
        record = Txn((name, len(self.history)), ok=False, began=next(self.clock))
        self.history.append(record)
        for step in program.steps:
            await self.stepper.pause()
            record.ops.append(take_step(self.layout, ctx, step))
        await self.stepper.pause()
        if program.gives_up:
            raise LookupError("this one gives up")

    async def call(self, name: int, program: Program) -> None:
        """One logical call; marks its last attempt when it succeeded."""
        await self.stepper.pause()
        try:
            await self.engine.execute(f"attempt_{name}", self, name, program)
        except LookupError:
            return
        finally:
            end = next(self.clock)
            mine = [txn for txn in self.history if txn.name[0] == name]
            for txn in mine:
                txn.ended = txn.ended or end
        mine[-1].ok = True


def caller(number: int) -> Any:
    """The process of one call; its name in the log of changes tells which version it made."""

    async def body(ctx: Any, recorder: Recorder, name: int, program: Program) -> None:
        await recorder.attempt(ctx, name, program)

    name = f"attempt_{number}"
    return process(inputs=["domain"], outputs=["domain"], errors=["LookupError"], name=name)(body)


CALLERS = [caller(number) for number in range(8)]


def add_versions(engine: Any, history: History) -> None:
    """Write down which version each committed transaction made; each call commits at most once."""
    made = {record.process: record.version for record in log_of(engine).records()}
    for txn in history:
        if txn.ok:
            txn.version = made.get(f"attempt_{txn.name[0]}")
            assert txn.version or all(op.kind == "read" for op in txn.ops)


def process_history(engine: Any, layout: Layout, seed: int, count: int, keys: int) -> History:
    """The history of `count` (at most 8) concurrent calls on an engine, by a seed."""
    rng = random.Random(f"{layout.name}/{seed}")
    work = programs(rng, count, keys, 3)
    for item in CALLERS[:count]:
        engine.register(item)

    async def main(stepper: Stepper) -> History:
        recorder = Recorder(engine, layout, stepper)
        results = await stepper.drive([recorder.call(i, item) for i, item in enumerate(work)])
        for error in results:
            if error is not None:
                raise error
        add_versions(engine, recorder.history)
        recorder.history.append(serial_read(engine, layout, work, recorder.clock))
        return recorder.history

    history: History = run(main, seed)
    return history
