"""Goals 22 to 24: the log's append, publishing, and burst delivery to receivers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import perf_counter, time

from benchmarks.harness import AsyncTurn, race_async, ratio, repeated
from benchmarks.table import Bound, goal
from theus._core.ring import Ring
from theus.signals import SignalHub, SignalReceiver

MESSAGES = 10_000
BURST = 100
ROUNDS = 60
BURSTS = 20


@goal(22, "log append with its time / deque.append((time(), k, m))", Bound("0.47", 0.7, 1.0))
def append() -> float:
    """An entry with its time against a tuple with its time in a deque."""
    ring, rival = Ring(4096), deque[object](maxlen=4096)
    return ratio(
        repeated("append('k', 'm')", {"append": ring.append}),
        repeated("append((now(), 'k', 'm'))", {"append": rival.append, "now": time}),
        ROUNDS,
    )


@goal(23, "publish, nobody waits / deque.append", Bound("1.1", 2.0, 3.0))
def publish() -> float:
    """A message to a subscriber that does not wait against a bounded deque."""
    hub, rival = SignalHub(1024), deque[object](maxlen=1024)
    receiver = hub.subscribe()
    measured = ratio(
        repeated("publish(1)", {"publish": hub.publish}, copies=20, loops=5_000),
        repeated("append(1)", {"append": rival.append}, copies=20, loops=5_000),
        ROUNDS,
    )
    assert receiver.pending
    return measured


async def by_queues(receivers: int) -> None:
    """The rival: one queue per receiver, every message put into each."""
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(receivers)]

    async def listen(queue: asyncio.Queue[int]) -> None:
        for _ in range(MESSAGES):
            await queue.get()

    tasks = [asyncio.create_task(listen(queue)) for queue in queues]
    for number in range(1, MESSAGES + 1):
        for queue in queues:
            queue.put_nowait(number)
        if number % BURST == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def by_hub(receivers: int, listen: Callable[[SignalReceiver], Awaitable[None]]) -> None:
    """Ours: every message published once."""
    hub = SignalHub(MESSAGES)
    tasks = [asyncio.ensure_future(listen(hub.subscribe())) for _ in range(receivers)]
    for number in range(1, MESSAGES + 1):
        hub.publish(number)
        if number % BURST == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def listen_in_batches(receiver: SignalReceiver) -> None:
    """What a receiver of bursts does."""
    count = 0
    while count < MESSAGES:
        for _ in await receiver.recv_batch_async():
            count += 1


async def listen_one_by_one(receiver: SignalReceiver) -> None:
    """What a receiver does that wants each message by itself."""
    for _ in range(MESSAGES):
        await receiver.recv_async()


def timed(way: Callable[[], Awaitable[None]]) -> AsyncTurn:
    """One turn: all messages to all receivers."""

    async def turn() -> float:
        start = perf_counter()
        await way()
        return perf_counter() - start

    return turn


def burst(receivers: int) -> tuple[float, float]:
    """How many times as long queues take as the hub, received in batches and one by one."""
    turns = {
        "queues": timed(lambda: by_queues(receivers)),
        "batches": timed(lambda: by_hub(receivers, listen_in_batches)),
        "one by one": timed(lambda: by_hub(receivers, listen_one_by_one)),
    }
    best = asyncio.run(race_async(turns, BURSTS))
    return best["queues"] / best["batches"], best["queues"] / best["one by one"]


@goal(
    24,
    "burst delivery: an asyncio.Queue per receiver / hub",
    Bound("3.9", 2.5, 1.5, "1 receiver", at_most=False),
    Bound("", None, None, "1 receiver, one by one", at_most=False),
    Bound("6.5", 4.0, 2.0, "10 receivers", at_most=False),
    Bound("", None, None, "10 receivers, one by one", at_most=False),
)
def delivery() -> tuple[float, ...]:
    """What is put into each queue is published once."""
    return (*burst(1), *burst(10))
