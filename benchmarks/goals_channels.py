"""Goals 22 to 24: the log's append, publishing, and burst delivery to receivers.

Every figure is a ratio of minima over interleaved rounds in one run.

    python -m benchmarks.goals_channels [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from time import perf_counter, time
from timeit import Timer

from theus._core.ring import Ring
from theus.signals import SignalHub, SignalReceiver

CALLS = 20
"""Calls in one statement, so that the loop around them does not count."""
MESSAGES = 10_000
BURST = 100


@dataclass(frozen=True)
class Result:
    """One goal and what was measured; `at_most` says which side of the bounds is good."""

    number: int
    goal: str
    floor: float
    target: float
    gate: float
    measured: float
    at_most: bool

    def within(self, bound: float) -> bool:
        """Whether the measured ratio keeps to a bound."""
        return self.measured <= bound if self.at_most else self.measured >= bound


def race(cases: dict[str, tuple[str, dict[str, object]]], rounds: int) -> dict[str, float]:
    """Nanoseconds per call: the minimum over `rounds` interleaved rounds of each statement."""
    count = 5_000
    timers = {
        name: Timer("\n".join([statement] * CALLS), globals=names)
        for name, (statement, names) in cases.items()
    }
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(rounds):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(count) / (count * CALLS) * 1e9)
    return best


def append(rounds: int) -> Result:
    """Goal 22: an entry with its time against a tuple with its time in a deque."""
    ring, rival = Ring(4096), deque[object](maxlen=4096)
    best = race(
        {
            "ring": ("append('k', 'm')", {"append": ring.append}),
            "deque": ("append((now(), 'k', 'm'))", {"append": rival.append, "now": time}),
        },
        rounds,
    )
    goal = "append with time / deque.append((time(), k, m))"
    return Result(22, goal, 0.47, 0.7, 1.0, best["ring"] / best["deque"], at_most=True)


def publish(rounds: int) -> Result:
    """Goal 23: a message to a subscriber that does not wait against a bounded deque."""
    hub, rival = SignalHub(1024), deque[object](maxlen=1024)
    receiver = hub.subscribe()
    best = race(
        {
            "publish": ("publish(1)", {"publish": hub.publish}),
            "deque": ("append(1)", {"append": rival.append}),
        },
        rounds,
    )
    assert receiver.missed or receiver.pending
    goal = "publish, nobody waits / deque.append"
    return Result(23, goal, 1.1, 2.0, 3.0, best["publish"] / best["deque"], at_most=True)


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


async def burst(receivers: int, rounds: int) -> dict[str, float]:
    """Seconds for all messages of each way, the minimum over interleaved rounds."""
    ways: dict[str, Callable[[], Awaitable[None]]] = {
        "queues": lambda: by_queues(receivers),
        "batches": lambda: by_hub(receivers, listen_in_batches),
        "one by one": lambda: by_hub(receivers, listen_one_by_one),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = perf_counter()
            await way()
            best[name] = min(best[name], perf_counter() - start)
    return best


def delivery(rounds: int) -> list[Result]:
    """Goal 24, and what is left of it for those who receive one message at a time."""
    results = []
    for receivers, floor, target, gate in ((1, 3.9, 2.5, 1.5), (10, 6.5, 4.0, 2.0)):
        best = asyncio.run(burst(receivers, max(3, rounds // 3)))
        goal = f"burst delivery, {receivers} receiver(s): queues / hub"
        measured = best["queues"] / best["batches"]
        results.append(Result(24, goal, floor, target, gate, measured, at_most=False))
        alone = best["queues"] / best["one by one"]
        print(f"    {goal}, recv_async one by one: {alone:.2f}", file=sys.stderr)
    return results


def measure(rounds: int = 15) -> list[Result]:
    """All goals of this file."""
    return [append(rounds), publish(rounds), *delivery(rounds)]


def main() -> int:
    """Measure and print; 1 if something is outside its gate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    results = measure(options.rounds)
    if options.json:
        print(json.dumps([asdict(result) for result in results]))
    else:
        print(f"{'':4}{'goal':<52}{'floor':>7}{'target':>8}{'gate':>7}{'measured':>10}")
        for result in results:
            mark = "ok" if result.within(result.target) else "outside the target"
            print(
                f"{result.number:<4}{result.goal:<52}{result.floor:>7.2f}{result.target:>8.2f}"
                f"{result.gate:>7.2f}{result.measured:>10.2f}  {mark}"
            )
    return 0 if all(result.within(result.gate) for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
