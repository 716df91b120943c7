"""What becomes of tasks that are not answered: their errors, in words."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from theus.errors import ParallelError, PoolClosedError, TaskTimeoutError, WorkerDiedError

if TYPE_CHECKING:
    from theus.parallel.task import Task

__all__ = ["closed", "died", "overdue", "stopped"]


def overdue(task: Task) -> TaskTimeoutError:
    """The task went over its limit."""
    return TaskTimeoutError(
        f"Task {task.name} ran longer than {task.limit} s and was stopped; its worker is replaced.",
        task=task.name,
        limit_s=task.limit,
    )


def died(task: Task, code: int | None, how: str, stderr: str) -> WorkerDiedError:
    """Its worker ended while it ran."""
    times = "" if task.attempts == 1 else f" (attempt {task.attempts})"
    end = f" Its standard error ended with:\n{stderr}" if stderr else ""
    return WorkerDiedError(
        f"The worker of task {task.name} {how}{times}. Other tasks are not affected.{end}",
        task=task.name,
        exit_code=code,
        attempts=task.attempts,
        stderr=stderr,
    )


def closed(task: Task, reason: str | None, reasons: list[str]) -> ParallelError:
    """The pool was shut down while it ran, or broke for a reason."""
    if reason is not None:
        return ParallelError(reason, task=task.name, reasons=tuple(reasons))
    return PoolClosedError(f"The pool was shut down while task {task.name} ran.")


def stopped(task: Task) -> CancelledError:
    """It was stopped by `stop` of its pool."""
    return CancelledError(f"Task {task.name} was stopped while it ran.")
