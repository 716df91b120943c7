"""What may be done with what a proxy shows."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, Self, final

from theus._core.path import format_path
from theus.errors import ContractViolationError

__all__ = ["ALL", "Act", "Fixed", "Free", "Rights"]

Act = Literal["assign", "append", "update", "delete"]
ALL: Final = object()
"""As a key: all that is there."""


class Rights(Protocol):
    """The rights at one place; every refusal is a ContractViolationError."""

    @property
    def read_only(self) -> bool:
        """Whether nothing at all may be changed here and below."""

    def read(self, parts: tuple[Any, ...], key: Any, container: bool) -> None:
        """Check a look at what `key` has; `container`: a proxy will show it."""

    def write(self, parts: tuple[Any, ...], key: Any, act: Act, present: bool) -> None:
        """Check a change of what `key` has; `present`: there is something."""

    def below(self, key: Any) -> Rights:
        """The rights of a part."""


@final
class Free:
    """Everything may be done."""

    __slots__ = ()
    read_only = False

    def read(self, parts: tuple[Any, ...], key: Any, container: bool) -> None:
        """Allowed."""

    def write(self, parts: tuple[Any, ...], key: Any, act: Act, present: bool) -> None:
        """Allowed."""

    def below(self, key: Any) -> Self:
        """The same."""
        return self


@final
class Fixed:
    """Everything may be read."""

    __slots__ = ()
    read_only = True

    def read(self, parts: tuple[Any, ...], key: Any, container: bool) -> None:
        """Allowed."""

    def write(self, parts: tuple[Any, ...], key: Any, act: Act, present: bool) -> None:
        """Refused."""
        path = format_path((*parts, *(() if key is ALL else (key,)))) or "this proxy"
        raise ContractViolationError(
            f"Illegal Write: no permission to change {path}: the proxy is read-only. Make one "
            f"with read_only=False, or write to a copy (`to_dict()`).",
            path=path,
            action="write",
            allowed=(),
        )

    def below(self, key: Any) -> Self:
        """The same."""
        return self
