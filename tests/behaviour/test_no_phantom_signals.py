"""100,000 aborted and repeated attempts: no receiver sees a signal of one, or one too early.

Every successful commit counts `domain.n` up by one and signals the number, so the signals that may
be seen are exactly 1, 2, 3 ... in this order: a signal of an attempt that failed would show as a
number that comes twice, a lost or late one as a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
from typing import Any

from theus import TheusEngine, process
from theus.errors import ConflictError, SystemBusyError
from theus.signals import Signal, SignalReceiver

THREADS, TASKS = 3, 3
CALLS = 21_500
"""Of each thread; a task makes a third of them."""
JOIN = 300


class Abort(Exception):
    """Raised in a body that has queued a signal."""


class Load:
    """Calls that abort, are made to lose, or go through; counts what was injected."""

    def __init__(self, engine: TheusEngine) -> None:
        self.engine = engine
        self.injected = itertools.count()
        contract = process(inputs=["domain.n"], outputs=["domain.n"], errors=["Abort"])

        @contract
        def in_one_go(ctx: Any, plan: list[str]) -> None:
            self.body(ctx, ctx.domain.n, plan)

        @contract
        async def with_a_pause(ctx: Any, plan: list[str]) -> None:
            seen = ctx.domain.n
            await asyncio.sleep(0)  # the other tasks read the same number: all but one lose
            self.body(ctx, seen, plan)

        self.in_one_go, self.with_a_pause = in_one_go, with_a_pause

    def overtake(self) -> None:
        """Commit what makes the running attempt lose, unless another one does it anyway."""
        next(self.injected)
        rival = self.engine.begin()
        try:
            rival.domain.n += 1
            rival.queue_signal("n", rival.domain.n)
            rival.commit()
        except (ConflictError, SystemBusyError):
            rival.rollback()

    def body(self, ctx: Any, seen: int, plan: list[str]) -> None:
        ctx.signal.n = seen + 1
        ctx.domain.n = seen + 1
        fate = plan.pop() if plan else "commit"
        if fate == "lose":
            self.overtake()
        elif fate == "abort":
            next(self.injected)
            raise Abort

    @staticmethod
    def plans(seed: int, count: int) -> list[list[str]]:
        choose = random.Random(seed)
        kinds = (["abort"], ["abort"], ["abort", "lose"], ["lose"], ["lose", "lose"])
        return [list(choose.choice(kinds)) for _ in range(count)]

    def in_thread(self, seed: int) -> None:
        for plan in self.plans(seed, CALLS):
            with contextlib.suppress(Abort):
                self.engine.run(self.in_one_go, plan)

    async def in_task(self, seed: int) -> None:
        for plan in self.plans(seed, CALLS // 3):
            aborting = ["abort" for fate in plan if fate == "abort"]
            with contextlib.suppress(Abort):
                await self.engine.execute(self.with_a_pause, aborting)


class Witness:
    """Receives everything and looks at once whether the state says the same."""

    def __init__(self, engine: TheusEngine, receiver: SignalReceiver) -> None:
        self.engine = engine
        self.receiver = receiver
        self.numbers: list[int] = []
        self.too_early: list[Any] = []

    def look(self, message: Any) -> None:
        state = self.engine.state
        number = message.payload if type(message) is Signal else int(message.partition(":")[2])
        readable = state.domain.n >= number
        if type(message) is Signal:
            readable = readable and state.version >= message.version
        if not readable:
            self.too_early.append(message)
        self.numbers.append(number)

    def in_thread(self) -> None:
        for message in self.receiver:
            self.look(message)

    async def in_task(self) -> None:
        async for message in self.receiver:
            self.look(message)


def test_no_receiver_sees_a_signal_whose_state_it_cannot_read() -> None:
    engine = TheusEngine({"domain": {"n": 0}}, base_backoff_ms=0)
    load, many = Load(engine), 4 * THREADS * CALLS
    subscribe = engine.signal.subscribe
    witnesses = [
        Witness(engine, subscribe(capacity=many, typed=True)),
        Witness(engine, subscribe(capacity=many)),
        Witness(engine, subscribe("n", capacity=many, typed=True)),
        Witness(engine, subscribe(policy="block", capacity=500, timeout=None, typed=True)),
    ]
    on_loop = Witness(engine, subscribe("*", capacity=many, typed=True))

    async def loop() -> None:
        listening = asyncio.create_task(on_loop.in_task())
        await asyncio.gather(*(load.in_task(100 + number) for number in range(TASKS)))
        await asyncio.to_thread(done.wait, JOIN)
        engine.shutdown()
        await listening

    done = threading.Event()
    listening = [threading.Thread(target=each.in_thread) for each in witnesses]
    sending = [threading.Thread(target=load.in_thread, args=(seed,)) for seed in range(THREADS)]
    looping = threading.Thread(target=lambda: asyncio.run(loop()))
    for thread in [*listening, *sending, looping]:
        thread.start()
    for thread in sending:
        thread.join(JOIN)
    done.set()
    for thread in [looping, *listening]:
        thread.join(JOIN)

    assert next(load.injected) >= 100_000
    expected = list(range(1, engine.state.domain.n + 1))
    for witness in [*witnesses, on_loop]:
        assert witness.numbers == expected
        assert witness.too_early == []
