"""Where a part of an expression stands, and the errors that point there."""

from __future__ import annotations

from typing import Final, NoReturn

from theus._yaml import Node, failure
from theus._yaml.text import Text
from theus.errors import FluxError

__all__ = ["KINDS", "Site", "Source"]

KINDS: Final = (
    "syntax", "not-allowed", "unknown-name", "unknown-path", "type", "limit", "zero-division",
)  # fmt: skip
"""What can be wrong; the field ``kind`` of an error."""


class Source:
    """The text of one expression, and the YAML value that holds it, if any.

    Parameters
    ----------
    text:
        The expression, without white space around it.
    node:
        The YAML text value in which it stands.
    offset:
        Where in that value the expression begins.
    """

    __slots__ = ("node", "offset", "text")

    def __init__(self, text: str, node: Node | None = None, offset: int = 0) -> None:
        self.text = text
        self.node = node
        self.offset = offset

    def fail(self, kind: str, message: str, start: int, end: int) -> NoReturn:
        """Raise FluxError for the part from `start` to `end`."""
        length = max(1, end - start)
        message = f"{message} [{kind}]"
        if self.node is None:
            alone = Text(self.text, "<expression>", FluxError)
            problem = alone.problem(alone.place_of(start), message, length)
        else:
            problem = self.node.problem(message, self.offset + start, length)
        raise failure(
            [problem],
            FluxError,
            kind=kind,
            source=self.text,
            offset=start,
            end_offset=end,
        ) from None


class Site:
    """One part of an expression: what fails there says so by `fail`."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    def fail(self, kind: str, message: str) -> NoReturn:
        """Raise FluxError with the field ``kind`` and the place of this part."""
        self.source.fail(kind, message, self.start, self.end)
