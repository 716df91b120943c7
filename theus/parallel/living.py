"""The pools of this process that run, so that a forked copy of it can let go of them."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["Forgets", "remember"]


class Forgets(Protocol):
    """What has to be let go of in a forked child."""

    def forget(self) -> None:
        """Close what is not ours. No lock can be trusted."""
        ...


_living: weakref.WeakSet[Forgets] = weakref.WeakSet()
_hooked = threading.Event()


def remember(pool: Forgets) -> None:
    """Have `pool` forget everything in children that are forked from now on."""
    _living.add(pool)
    if not _hooked.is_set():
        _hooked.set()
        os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for pool in tuple(_living):
        pool.forget()
    _living.clear()
