"""Passports that somebody vouches for: what a message between parent and worker refers to.

A passport of a block is good as long as the block is held. Whoever pickles a message for a
worker holds what it refers to until the answer is there, and says so with `carrying`; anywhere
else such arrays are pickled as what they are, data.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["carry", "carrying"]

_thread = threading.local()


@contextmanager
def carrying() -> Iterator[list[Any]]:
    """Within it, this thread pickles passports; gives the list of the arrays they stand for."""
    before = getattr(_thread, "held", None)
    held: list[Any] = []
    _thread.held = held
    try:
        yield held
    finally:
        _thread.held = before


def carry(array: Any) -> bool:
    """Add an array to what the message being pickled refers to; False when there is none."""
    held = getattr(_thread, "held", None)
    if held is None:
        return False
    held.append(array)
    return True
