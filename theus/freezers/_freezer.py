"""What one file of this room is: the rules of one library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Freezer"]


@dataclass(frozen=True)
class Freezer:
    """The rules of one library or of one kind of class.

    Parameters
    ----------
    resolve:
        ``resolve(cls)`` registers the rule for values of exactly this class, if they can be
        held; if it registers nothing, they are refused.
    """

    resolve: Callable[[type], None]
