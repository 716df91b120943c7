"""What runs in a sub-interpreter: one task at a time, when it is told to.

Nothing here may import numpy or the compiled core, neither of which loads there.
"""

from __future__ import annotations

from importlib import import_module
from typing import final

from theus.parallel.answer import answer
from theus.parallel.exchange import Exchange
from theus.parallel.relay import relay_logs

__all__ = ["Inside", "problem_of"]


@final
class Inside:
    """The end of an exchange in a sub-interpreter.

    Log records of tasks, and of threads that they leave behind, go with the next answer.
    """

    def __init__(self, fd: int, levels: dict[str, int]) -> None:
        self._exchange = Exchange(fd)
        self._records: list[bytes] = []
        relay_logs(levels, self._records.append)

    def step(self) -> None:
        """Run the task that was put into the exchange, and put its outcome there."""
        (data,) = self._exchange.take()
        packed, _ = answer(data)
        count = len(self._records)
        self._exchange.put([packed, *self._records[:count]])
        del self._records[:count]


def problem_of(module: str) -> str | None:
    """Why a module cannot be imported here; None where it can. The innermost reason is given."""
    try:
        import_module(module)
    except Exception as error:  # noqa: BLE001 - whatever a module raises is the reason
        reason: BaseException = error
        while (inner := reason.__cause__ or reason.__context__) is not None:
            reason = inner
        return f"{type(reason).__name__}: {reason}"
    return None
