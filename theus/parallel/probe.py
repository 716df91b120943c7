"""Whether tasks can run in sub-interpreters: asked of an interpreter, not guessed.

The probe makes one, loads in it what a worker or a task needs, and closes it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from theus._logs import logger
from theus.errors import ParallelError
from theus.parallel.interpreter import SubInterpreter
from theus.parallel.parcel import Parcel, pack, unpack_outcome

__all__ = [
    "INTERPRETERS_SUPPORTED",
    "interpreters_problem",
    "interpreters_supported",
    "loading_problem",
]

if TYPE_CHECKING:
    INTERPRETERS_SUPPORTED: bool

_log = logger("parallel")


@cache
def interpreters_problem() -> str | None:
    """Why tasks cannot run in sub-interpreters here; None where they can. Found out once."""
    try:
        problem = _probe("pickle")
    except ImportError as missing:
        return f"this Python has no concurrent.interpreters ({missing})"
    except ParallelError as refused:
        return str(refused)
    return problem


@cache
def loading_problem(module: str) -> str | None:
    """Why a module cannot be imported in a sub-interpreter; None where it can. Found out once.

    Raises ParallelError where the module brings the interpreter down, or there is none.
    """
    return _probe(module)


def interpreters_supported() -> bool:
    """Whether tasks can run in sub-interpreters; the reason is logged where they cannot."""
    problem = interpreters_problem()
    if problem is not None:
        _log.info("sub-interpreters are not used: %s", problem)
    return problem is None


def _probe(module: str) -> str | None:
    from theus.parallel.inside import problem_of

    made = SubInterpreter({})
    try:
        data, _ = pack(Parcel(problem_of, (module,)), None, 0, {})
        outcome = unpack_outcome(made.call(data), "probe", 0)
    finally:
        made.close()
    if outcome.error is not None:
        return str(outcome.error)
    return outcome.value  # type: ignore[no-any-return]


def __getattr__(name: str) -> bool:
    """``INTERPRETERS_SUPPORTED`` is found out when it is first asked for."""
    if name != "INTERPRETERS_SUPPORTED":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = interpreters_supported()
    return found
