"""How long tasks take, and how many of them a worker is given at a time.

A worker that has to wait for the next task after each answer loses a round trip per task, which
is most of the time of a task of microseconds. So tasks of a function that is known to be short
are sent ahead, as many as last about `AHEAD` seconds; they wait in the worker's pipe, and what
it answers comes back in one piece. A task that is not known to be short, has a time limit, or
must not be begun twice, is given to a worker that has nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from theus.parallel.task import Task

__all__ = ["AHEAD", "Pace"]

AHEAD = 0.002
_MOST = 64
_NAMES = 4096


@final
class Pace:
    """What is known of the run times of a pool's tasks, by the name of their function.

    Takes no lock: one thread notes, and who asks may see the state before.
    """

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """A task took so long. Longer ones count at once, shorter ones little by little."""
        known = self._seconds.get(name)
        if known is None and len(self._seconds) >= _NAMES:
            self._seconds.clear()
        fading = seconds if known is None else 0.9 * known + 0.1 * seconds
        self._seconds[name] = max(seconds, fading)

    def ahead(self, task: Task) -> int:
        """How many tasks a worker may have when it gets this one, itself included."""
        seconds = self._seconds.get(task.name)
        if seconds is None or task.alone:
            return 1
        return min(_MOST, 1 + int(AHEAD / max(seconds, 1e-6)))
