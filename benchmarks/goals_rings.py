"""Goals 22 to 24 in the table, and the price of a workflow condition.

They are measured by `goals_channels` and `ratio_expressions`, which also run by themselves.
"""

from __future__ import annotations

from benchmarks import goals_channels, ratio_expressions
from benchmarks.table import EXTRA, Bound, goal

ROUNDS = 60


@goal(22, "log append with its time / deque.append((time(), k, m))", Bound("0.47", 0.7, 1.0))
def append() -> float:
    """See `goals_channels.append`."""
    return goals_channels.append(ROUNDS).measured


@goal(23, "publish, nobody waits / deque.append", Bound("1.1", 2.0, 3.0))
def publish() -> float:
    """See `goals_channels.publish`."""
    return goals_channels.publish(ROUNDS).measured


@goal(
    24,
    "burst delivery: an asyncio.Queue per receiver / hub",
    Bound("3.9", 2.5, 1.5, "1 receiver", at_most=False),
    Bound("6.5", 4.0, 2.0, "10 receivers", at_most=False),
)
def delivery() -> tuple[float, ...]:
    """See `goals_channels.delivery`."""
    return tuple(result.measured for result in goals_channels.delivery(ROUNDS))


@goal(
    EXTRA,
    "workflow condition: eval of its text / ours",
    Bound("", ratio_expressions.GOAL, ratio_expressions.GOAL, at_most=False),
)
def condition() -> float:
    """See `ratio_expressions`."""
    best = ratio_expressions.measure(25)
    return best["eval"] / best["ours"]
