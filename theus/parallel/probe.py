"""Whether this Python can run tasks in sub-interpreters: asked of the interpreter, not guessed.

The probe makes one, loads in it what a worker needs, and closes it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["INTERPRETERS_SUPPORTED", "interpreters_problem", "interpreters_supported"]

if TYPE_CHECKING:
    INTERPRETERS_SUPPORTED: bool

from theus._logs import logger

_log = logger("parallel")
_NEEDED = ("pickle", "theus.parallel.run")


def interpreters_problem() -> str | None:
    """Why tasks cannot run in sub-interpreters here; None where they can."""
    try:
        interpreters = import_module("concurrent.interpreters")
    except ImportError as missing:
        return f"this Python has no concurrent.interpreters ({missing})"
    try:
        made = interpreters.create()
    except (RuntimeError, OSError) as refused:
        return f"no sub-interpreter can be made: {refused}"
    try:
        for name in _NEEDED:
            try:
                made.exec(f"import {name}")
            except interpreters.ExecutionFailed as failed:
                return f"{name} cannot be loaded in a sub-interpreter: {failed}"
    finally:
        made.close()
    return None


def interpreters_supported() -> bool:
    """Whether tasks can run in sub-interpreters; the reason is logged where they cannot."""
    problem = interpreters_problem()
    if problem is not None:
        _log.info("sub-interpreters are not used: %s", problem)
    return problem is None


def __getattr__(name: str) -> bool:
    """``INTERPRETERS_SUPPORTED`` is found out when it is first asked for."""
    if name != "INTERPRETERS_SUPPORTED":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = interpreters_supported()
    return found
