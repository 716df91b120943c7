"""The compiled core: state, guards, transactions, conflicts, commit.

Rooms above import the compiled modules directly (``from theus._core.state import State``).
The names below are for programs that look for them here; each is looked up in its module
on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theus._core.conflict import ConflictManager, RetryDecision
    from theus._core.guard import ContextGuard
    from theus._core.state import State
    from theus._core.transaction import Transaction
    from theus._core.view import FrozenDict, FrozenList
else:
    try:
        import_module("theus._core.node")
    except ModuleNotFoundError as error:
        if error.name != "theus._core.node":
            raise
        import sys

        raise ImportError(
            "Cannot import theus: its compiled core is not built for this Python "
            f"({sys.implementation.cache_tag}). In the source tree run `make build`, or "
            "`python setup.py build_ext --inplace` with Cython and a C compiler installed; "
            "elsewhere install it again from its source with `pip install PATH_TO_SOURCE`.",
            name=__name__,
        ) from error

__all__ = [
    "ConflictManager",
    "ContextGuard",
    "FrozenDict",
    "FrozenList",
    "RetryDecision",
    "State",
    "Transaction",
]

_HOMES = {
    "ConflictManager": "theus._core.conflict",
    "ContextGuard": "theus._core.guard",
    "FrozenDict": "theus._core.view",
    "FrozenList": "theus._core.view",
    "RetryDecision": "theus._core.conflict",
    "State": "theus._core.state",
    "Transaction": "theus._core.transaction",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
