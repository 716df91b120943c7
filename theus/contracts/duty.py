"""Outputs that a process declares and does not write."""

from __future__ import annotations

from typing import Any, final

from theus._core.path import parse_path
from theus._core.pattern import is_exact
from theus._core.refusal import at_place, raise_or_report
from theus._core.transaction import Transaction
from theus.contracts.model import ProcessContract
from theus.errors import ContractViolationError, TheusError

__all__ = ["OutputDuty"]

Parts = tuple[Any, ...]


@final
class OutputDuty:
    """Looks after a run for outputs that it did not write.

    An output counts as written when the run returned a value for it, or wrote to it, above it or
    below it, whether or not that changed anything. Outputs with wildcards are permissions only.

    Where the contract says `require_outputs`, a run that leaves one out is refused. Otherwise an
    output that no run has written yet is reported, run by run; it is looked for only until it
    was written once, so that later runs pay nothing.

    Thread-safe: what is left is replaced as a whole.
    """

    def __init__(
        self, name: str, contract: ProcessContract, place: tuple[str, int], flags: int, report: Any
    ) -> None:
        self._process = name
        self._place = place
        self._flags = flags
        self._report = report
        self._required = contract.require_outputs
        self._outputs = {text: parse_path(text) for text in contract.outputs if is_exact(text)}
        self._left = dict(self._outputs)

    @property
    def exists(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._outputs)

    def __call__(self, tx: Transaction, returned: bool) -> bool:
        """Look at a run before its commit; True where no later run needs to be looked at.

        `returned`: it returned a value for its outputs.
        """
        if returned and len(self._outputs) == 1:
            return not self._required
        touched = tx.touched()
        if self._required:
            for text, parts in self._outputs.items():
                if not _is_written(parts, touched):
                    raise_or_report(tx.store.report, self._flags, self._error(text))
            return False
        left = {
            text: parts for text, parts in self._left.items() if not _is_written(parts, touched)
        }
        self._left = left
        for text in left:
            self._report(self._error(text))
        return not left

    def _error(self, text: str) -> TheusError:
        file, line = self._place
        return ContractViolationError(
            f"process {self._process!r}{at_place(file, line)} declares the output {text!r} and "
            f"did not write it. Return a value for it, write it in place, or take it out of its "
            f"outputs.",
            process=self._process,
            path=text,
            action="missing",
            allowed=tuple(self._outputs),
            file=file,
            line=line,
            change=None,
        )


def _is_written(parts: Parts, touched: list[Parts]) -> bool:
    """Whether one of the paths is this one, above it or below it."""
    return any(path[: len(parts)] == parts[: len(path)] for path in touched)
