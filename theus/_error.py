"""The base of all errors. Its public place is `theus.errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

__all__ = ["TheusError"]


def _rebuild(cls: type[TheusError], message: str, fields: dict[str, Any]) -> TheusError:
    return cls(message, **fields)


class TheusError(Exception):
    """Base of all errors of Theus.

    Parameters
    ----------
    message:
        What happened, where, why and what to do, in one text.
    fields:
        Structured facts (``path``, ``process``, ``version`` ...). Each is also an attribute.
    """

    __module__ = "theus.errors"

    code: ClassVar[str] = "T000"
    remedy: ClassVar[str] = "See the message; every subclass says what to do."

    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)

    if TYPE_CHECKING:  # the fields, which differ per class

        def __getattr__(self, name: str) -> Any: ...

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.fields)
