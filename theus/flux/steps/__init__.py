"""The shelf of step kinds: one module each, with a `KIND`, found by its file's name.

``for_each.py`` is ``flux: for-each``; a trailing underscore only avoids a Python word.
"""

from __future__ import annotations

from typing import Final

from theus._shelf import Shelf
from theus.flux.syntax import StepKind

__all__ = ["STEPS"]

STEPS: Final[Shelf[StepKind]] = Shelf(
    "theus.flux.steps",
    "KIND",
    kind=StepKind,
    key=lambda stem: stem.rstrip("_").replace("_", "-"),
)
"""``flux:`` key -> kind."""
