"""The text being read: places, problems, excerpts and the errors made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from theus.errors import FluxError, TheusError

__all__ = ["FORBIDDEN", "LINE_ENDS", "Position", "Problem", "Text", "failure", "suggestion"]

LINE_ENDS: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WIDTH: Final = 96
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place, with a few lines that show it."""

    position: Position
    message: str
    excerpt: str = ""

    def __str__(self) -> str:
        text = f"{self.position}: {self.message}"
        return f"{text}\n{self.excerpt}" if self.excerpt else text


def failure(
    problems: Sequence[Problem], error: type[TheusError] = FluxError, **fields: Any
) -> TheusError:
    """One exception for all `problems` (at least one), in the order of their places.

    Its fields are ``file``, ``line``, ``column`` of the first problem and ``problems``.
    """
    ordered = sorted(problems, key=lambda each: (each.position.line, each.position.column))
    first = ordered[0].position
    text = "\n".join(map(str, ordered))
    if len(ordered) > 1:
        text = f"{first.file} has {len(ordered)} problems:\n{text}"
    place = {"file": first.file, "line": first.line, "column": first.column}
    return error(text, **{**place, "problems": tuple(ordered), **fields})


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of `known`, or an empty text."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f" Did you mean {near[0]!r}?" if near else ""


class Text:
    """The text being read: lines for excerpts, places, and the class of errors."""

    __slots__ = ("error", "lines", "name", "raw")

    def __init__(self, raw: str, name: str, error: type[TheusError]) -> None:
        self.raw = raw
        self.name = name
        self.error = error
        self.lines = LINE_ENDS.split(raw)

    def place(self, line: int, column: int) -> Position:
        """The position of a zero-based line and column."""
        return Position(self.name, line + 1, column + 1)

    def place_of(self, index: int) -> Position:
        line = start = 0
        for match in LINE_ENDS.finditer(self.raw, 0, index):
            line, start = line + 1, match.end()
        return self.place(line, index - start)

    def excerpt(self, position: Position, length: int = 1) -> str:
        """The line of `position` and a caret under it; long lines are cut to a window."""
        if position.line > len(self.lines) or not self.lines[position.line - 1].strip():
            return ""
        line = FORBIDDEN.sub("\ufffd", self.lines[position.line - 1]).replace("\t", " ")
        column = min(position.column - 1, len(line))
        start = max(0, column - _WIDTH // 2) if len(line) > _WIDTH else 0
        shown = line[start : start + _WIDTH]
        carets = "^" * max(1, min(length, len(shown) - (column - start)))
        margin = f"{position.line:>5} | "
        return f"{margin}{shown}\n{' ' * 6}| {' ' * (column - start)}{carets}"

    def problem(self, position: Position, message: str, length: int = 1) -> Problem:
        if len(message) > _LONGEST:
            message = f"{message[:_LONGEST]}..."
        return Problem(position, message, self.excerpt(position, length))

    def fail(self, position: Position, message: str) -> NoReturn:
        raise failure([self.problem(position, message)], self.error) from None
