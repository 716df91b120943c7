"""Functions that tests map over items."""

from __future__ import annotations

import os
import signal
import time


def double(number: int) -> int:
    return 2 * number


def not_five(number: int) -> int:
    if number == 5:
        raise ValueError("five")
    return number


def die_at_five(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleeps(seconds: float) -> float:
    time.sleep(seconds)
    return seconds
