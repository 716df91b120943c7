"""Scope: what a process in a worker may read and write, and what it has written."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NoReturn

from theus.errors import ContractViolationError, ImmutableError
from theus.parallel.plain import Table, flags_at, plain_table

__all__ = ["Path", "Scope", "text_of"]

Path = tuple[Any, ...]
_FIXED = frozenset(
    {bool, bytes, complex, float, frozenset, int, range, str, tuple, type(None), type(Ellipsis)}
)


def text_of(path: Path) -> str:
    """A path as messages have it."""
    head, *rest = path
    return str(head) + "".join(
        f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]" for key in rest
    )


class Scope:
    """The rights of one call, and its changes.

    Parameters
    ----------
    process:
        Whose call it is, for messages.
    declared:
        Patterns of what may be read; None: everything that was sent.
    outputs:
        Patterns of what may be written; with ``declared`` None everything may.
    writes:
        Whether anything may be written at all.

    For one call, on one thread.
    """

    __slots__ = ("_position", "declared", "leaves", "outputs", "process", "saved", "writes")

    def __init__(
        self,
        process: str = "",
        declared: tuple[str, ...] | None = None,
        outputs: tuple[str, ...] = (),
        *,
        writes: bool = False,
    ) -> None:
        self.process = process
        self.declared = declared
        self.outputs = outputs
        self.writes = writes
        self._position: Any = None
        self.saved: dict[int, tuple[Any, Path, Any]] = {}  # a container, its path, what it was
        self.leaves: dict[int, tuple[Any, Path, bytes]] = {}

    def fresh(self) -> Scope:
        """The same rights, and no changes."""
        return Scope(self.process, self.declared, self.outputs, writes=self.writes)

    def _flags(self, path: Path) -> int:
        if self._position is None:
            self._position = self.table
        if self._position is None:
            from theus._core.pattern import compile_patterns  # compiled: only if needed

            self._position = compile_patterns(self.declared or (), self.outputs, strict=False)
        if type(self._position) is tuple:
            return flags_at(self._position, path)
        from theus._core.pattern import find

        return find(self._position, path).flags

    @property
    def table(self) -> Table | None:
        """Its patterns, where they can be understood without the core."""
        return plain_table(self.declared or (), self.outputs)

    def check_read(self, path: Path) -> None:
        """Return when the path, or something below it, is declared.

        Raises ContractViolationError otherwise.
        """
        if self.declared is not None and not self._flags(path):
            self._deny("read", path, self.declared)

    def check_whole(self, path: Path) -> None:
        """Return when all of a container is declared; raises as `check_read`."""
        if self.declared is not None and len(path) > 0 and not self._flags(path) & 3:
            self._deny("read", path, self.declared)

    def check_write(self, path: Path) -> None:
        """Return when the path may be written.

        Raises ImmutableError where nothing may, ContractViolationError for an undeclared path.
        """
        if not self.writes:
            text = text_of(path)
            raise ImmutableError(
                f"Cannot change {text!r} in a worker: it sees a read-only copy of its inputs. "
                f"Return the new value; it is written to the declared outputs when the result "
                f"is committed.",
                path=text,
            )
        if self.declared is not None and not self._flags(path) & 2:
            self._deny("write", path, self.outputs)

    def _deny(self, action: str, path: Path, allowed: tuple[str, ...]) -> NoReturn:
        text = text_of(path)
        where = "inputs" if action == "read" else "outputs"
        raise ContractViolationError(
            f"Illegal {action.capitalize()}: process {self.process!r} has no permission to "
            f"{action} {text!r}; its {where} are {', '.join(allowed) or 'none'}. Declare the "
            f"path in `{where}`.",
            process=self.process,
            path=text,
            action=action,
            allowed=allowed,
        )

    def note(self, container: Any, path: Path) -> None:
        """A container is about to be changed; what it was is kept, once."""
        if id(container) not in self.saved:
            self.saved[id(container)] = (container, path, copy.copy(container))

    def hand_out(self, value: Any, path: Path) -> None:
        """A value that is no container is given to the process, which may change it in place."""
        if self.writes and type(value) not in _FIXED and id(value) not in self.leaves:
            try:
                self.leaves[id(value)] = (value, path, pickle.dumps(value))
            except Exception:  # noqa: BLE001 - it came by pickle; whatever it is now, it is not ours
                return
