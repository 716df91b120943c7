"""Functions over arrays that tests run in workers."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np

KEPT: list[Any] = []


def total(array: Any) -> float:
    return float(np.asarray(array, dtype="f8").sum())


def double(array: Any) -> Any:
    return array * 2


def same(array: Any) -> Any:
    return array


def part(array: Any) -> Any:
    return array[1:3]


def facts(array: Any) -> tuple[str, str, tuple[int, ...], bytes, bool]:
    plain = np.asarray(array)
    kind = type(array).__name__
    return (kind, plain.dtype.str, plain.shape, plain.tobytes(), array.flags.writeable)


def write(array: Any) -> None:
    array[0] = 1


def keep(array: Any) -> int:
    KEPT.append(array)
    return len(KEPT)


def kept() -> float:
    return sum(total(array) for array in KEPT)


def drop() -> None:
    KEPT.clear()


def die(array: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_result(size: int) -> Any:
    class Last:
        def __reduce__(self) -> Any:
            os.kill(os.getpid(), signal.SIGKILL)

    return [np.ones(size), Last()]


def own_memory_after(array: Any) -> tuple[int, float]:
    """Bytes of private memory that reading an array takes, and its sum."""
    before = private()
    found = float(array.sum())
    return private() - before, found


def private() -> int:
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no Private_Dirty")
