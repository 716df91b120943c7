"""What the tests of the heavy zone share: names in the system, and a process on the other side."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

SHM = Path("/dev/shm")


def names_of(session: str) -> set[str]:
    """Segments of a session that exist, in the readable and in the short spelling."""
    short = "th" + hashlib.blake2s(session.encode(), digest_size=4).hexdigest() + "_"
    names = {entry.name for entry in os.scandir(SHM)}
    return {one for one in names if one.startswith((f"theus:{session}:", short))}


def facts_of(array: Any) -> dict[str, Any]:
    """What can be compared of an array, bytes included."""
    plain = np.asarray(array)
    return {
        "type": type(array).__name__,
        "dtype": plain.dtype,
        "shape": plain.shape,
        "bytes": plain.tobytes(),
        "writeable": plain.flags.writeable,
    }


def answer(connection: Connection) -> None:
    """Child: apply each received function to its arguments and send the result back."""
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a message raises goes to the test
            connection.send((False, error))
            continue
        if message is None:
            return
        function, arguments = message
        try:
            connection.send((True, function(*arguments)))
        except Exception as error:  # noqa: BLE001 - the test decides what is right
            connection.send((False, error))


class Echo:
    """A spawned process that runs module-level functions for a test."""

    def __enter__(self) -> Echo:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=answer, args=(there,), daemon=True)
        self._process.start()
        there.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._here.send(None)
        self._process.join(30)
        exit_code = self._process.exitcode
        self._process.close()
        self._here.close()
        assert exit_code == 0

    def call(self, function: Any, *arguments: Any) -> Any:
        """Return what `function` returned there; raise what it raised."""
        self._here.send((function, arguments))
        fine, result = self._here.recv()
        if fine:
            return result
        raise result
