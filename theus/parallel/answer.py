"""One message of a worker: a packed parcel in, a packed outcome out. The same for all workers."""

from __future__ import annotations

import contextvars
import logging
import sys
from typing import Any

from theus.parallel.arrays import Lend
from theus.parallel.carried import find_variable
from theus.parallel.parcel import Job, Outcome, pack_outcome, unpack
from theus.parallel.run import run
from theus.parallel.trace_context import restore

__all__ = ["answer"]


def answer(data: bytes | bytearray, lend: Lend | None = None) -> tuple[bytes, list[Any]]:
    """Run the task in a message; the bytes of its outcome, and the arrays it has passports of.

    Never raises for what the task is or does.
    """
    name = ""
    try:
        job = unpack(data)
        name = job.name
        if logging.root.level != job.log_level:
            logging.root.setLevel(job.log_level)
        outcome = contextvars.Context().run(_run, job)
    except Exception as error:  # noqa: BLE001 - told to whoever waits for the task
        outcome = Outcome(error=error)
    _flush()
    return pack_outcome(outcome, name, lend)


def _run(job: Job) -> Outcome:
    for place, value in job.carried.items():
        find_variable(place).set(value)
    if job.trace is not None:
        restore(job.trace)
    return run(job.function, job.context, job.args, job.kwargs, job.limit)


def _flush() -> None:
    """Send on what the task wrote; a worker that is killed later must not keep it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):  # closed by the task, or nobody reads it
                continue
