"""Reads Markdown documents: their fenced blocks, links and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

_FENCE = re.compile(r"^(?P<ticks>```+)(?P<language>[\w-]*)\s*$")
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line of its first line of text, the text."""

    language: str
    line: int
    text: str


def documents() -> list[Path]:
    """Every document of the project that people read."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/README.md")])


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    opened: tuple[str, str, int] | None = None
    for number, line in enumerate(lines, start=1):
        match = _FENCE.match(line)
        if opened is None and match:
            opened = match["ticks"], match["language"], number + 1
        elif opened is not None and line.rstrip() == opened[0]:
            _, language, first = opened
            yield Block(language, first, "\n".join(lines[first - 1 : number - 1]) + "\n")
            opened = None
    if opened is not None:
        raise ValueError(f"{path.name}:{opened[2] - 1}: this block has no end")


def program(path: Path) -> str:
    """The Python blocks of a document as one program whose lines have the same numbers."""
    lines: list[str] = []
    for block in blocks(path):
        if block.language == "python":
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.text.splitlines()
    return "\n".join(lines) + "\n" if lines else ""


def expected_output(path: Path) -> str:
    """What a document says its Python blocks print: its ``output`` blocks, joined."""
    return "".join(block.text for block in blocks(path) if block.language == "output")


def local_links(path: Path) -> Iterator[tuple[str, Path]]:
    """(target as written, file it leads to) of every link into the project."""
    for match in _LINK.finditer(path.read_text(encoding="utf-8")):
        target = match["target"].partition("#")[0]
        if target and "://" not in target:
            yield match["target"], (path.parent / target).resolve()


def rows(path: Path) -> Iterator[list[str]]:
    """The cells of every table row of a document, without heads and rulers."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        is_row = line.startswith("|") and not set(line) <= set("|-: ")
        if is_row and before.startswith("|"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]
