"""A sub-interpreter with a lock of its own, as this program sees it."""

from __future__ import annotations

import os
import sys
import weakref
from importlib import import_module
from typing import Any, final

from theus.errors import ParallelError
from theus.parallel.exchange import Exchange, make_file
from theus.parallel.relay import deliver

__all__ = ["SubInterpreter", "interpreters_module"]


def interpreters_module() -> Any:
    """The module that makes interpreters: `concurrent.interpreters`, or its backport.

    Raises ImportError with the reason where neither is to be had.
    """
    try:
        return import_module("concurrent.interpreters")
    except ImportError as missing:
        try:
            import_module("_interpreters")  # without it the backport polls, and is no gain
        except ImportError:
            raise missing from None
    try:
        return import_module("backports.interpreters")
    except ImportError as missing:
        raise ImportError(
            f"{missing}; the backport of concurrent.interpreters is in the extra `interpreters`"
        ) from None


@final
class SubInterpreter:
    """One interpreter that runs packed parcels. For one thread at a time.

    It has modules of its own, imported along this program's `sys.path` of the moment, and keeps
    them from task to task. It is closed by `close`, or with the last reference to it.

    Raises
    ------
    ImportError, ParallelError
        There are no interpreters here; this one could not be made ready.
    """

    def __init__(self, levels: dict[str, int]) -> None:
        self.lost_logs = 0
        self._module = interpreters_module()
        fd = make_file()
        self._exchange = Exchange(fd)
        try:
            self._made = self._module.create()
        except (self._module.InterpreterError, RuntimeError, OSError) as error:
            os.close(fd)
            raise ParallelError(f"no sub-interpreter can be made: {error}") from error
        self.close = weakref.finalize(self, _close, self._module, self._made, fd)
        path = [place for place in sys.path if isinstance(place, str)]
        try:
            self._exec(
                f"import sys\n"
                f"sys.path[:] = {path!r}\n"
                f"from theus.parallel.inside import Inside\n"
                f"inside = Inside({fd}, {levels!r})"
            )
        except BaseException:
            self.close()
            raise

    def call(self, data: bytes) -> bytes | bytearray:
        """Run a packed parcel to its end; gives the packed outcome. Its log records come first.

        Raises ParallelError when the interpreter could not finish it.
        """
        self._exchange.put([data])
        self._exec("inside.step()")
        packed, *records = self._exchange.take()
        for record in records:
            try:
                deliver(record)
            except Exception:  # noqa: BLE001 - a filter or handler of the program
                self.lost_logs += 1
        return packed

    def _exec(self, code: str) -> None:
        try:
            self._made.exec(code)
        except self._module.ExecutionFailed as failed:
            info = failed.excinfo
            raise ParallelError(
                f"a sub-interpreter failed with {info.type.__name__}: {info.msg}"
            ) from failed


def _close(module: Any, made: Any, fd: int) -> None:
    """Also called at the end of the program."""
    try:
        made.close()
    except module.InterpreterError:  # a task still runs in it, while the program ends
        return
    os.close(fd)
