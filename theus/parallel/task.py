"""A task in a pool, from its submission to its answer."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, final

from theus.errors import SettingsError
from theus.parallel.parcel import Outcome, Parcel

__all__ = ["Task", "as_parcel", "check_limit", "check_size", "settle"]


@final
class Task:
    """One submitted task. Belongs to the queue, then to the thread that has it run."""

    __slots__ = (
        "__weakref__",
        "attempts",
        "begun",
        "data",
        "future",
        "held",
        "limit",
        "name",
        "number",
        "retry",
        "whole",
    )

    def __init__(
        self,
        number: int,
        name: str,
        data: bytes,
        limit: float | None,
        retry: bool,
        whole: bool,
        held: Sequence[Any] = (),
    ) -> None:
        self.number = number
        self.name = name
        self.data = data
        self.held = held  # the arrays that `data` has passports of
        self.limit = limit
        self.retry = retry
        self.whole = whole
        self.begun = False
        self.attempts = 0
        self.future: Future[Any] = Future()

    @property
    def alone(self) -> bool:
        """Whether no other task may be behind or before it with a worker.

        One that has a limit, whose time must be its own; one that must not be begun twice, as a
        worker that dies may have answered what did not arrive; one whose worker died.
        """
        return self.limit is not None or not self.retry or self.attempts > 0


def as_parcel(
    task: Parcel | Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Parcel:
    """The parcel of what `submit` was given.

    Raises TypeError for a parcel with arguments beside it, or for what cannot be called.
    """
    if isinstance(task, Parcel):
        if args or kwargs:
            raise TypeError("a Parcel brings its own arguments; give none beside it")
        return task
    if not callable(task):
        raise TypeError(f"a task is a function or a Parcel, not {type(task).__name__} {task!r}")
    return Parcel(task, args, kwargs)


def check_limit(seconds: float | None) -> float | None:
    """A time limit as it was given; raises SettingsError for one that is no positive number."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise SettingsError(
            f"`timeout` is a number of seconds above 0 (or None), not {seconds!r}",
            option="timeout",
            value=seconds,
        )
    return None if math.isinf(seconds) else float(seconds)


def check_size(size: int | None) -> int:
    """How many workers; by default as many as there are processors for this program."""
    if size is None:
        spread = getattr(os, "sched_getaffinity", None)
        return len(spread(0)) if spread is not None else os.cpu_count() or 1
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise SettingsError(
            f"`size` is a positive whole number (or None), not {size!r}", option="size", value=size
        )
    return size


def settle(future: Future[Any], outcome: Outcome, whole: bool) -> bool:
    """Complete a future from an outcome; False when it had been completed before."""
    try:
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome if whole else outcome.value)
    except InvalidStateError:
        return False
    return True
