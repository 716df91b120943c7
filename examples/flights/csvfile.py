"""Columns of a csv file as numpy arrays, read with the standard library.

A file is streamed in blocks of rows. Each wanted column has a *parser*: a dict from the
text of a cell to its value, which parses a text the first time it meets it. Columns of
tables repeat few texts very often, so nearly every cell costs one dict lookup.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TextIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["MISSING", "Label", "Parser", "Real", "TableError", "Whole", "read_columns"]

MISSING = -32768
"""What a whole number is when the table says ``NA``: the lowest value of ``int16``."""

BLOCK = 8192
"""Rows converted at a time; it bounds the memory that the text takes."""

Column = NDArray[Any]


class TableError(ValueError):
    """A csv file that cannot be read as the table it should be. Names file, row and column."""


class Parser(dict[str, Any]):
    """Text of a cell -> value. Subclasses parse a new text in `__missing__`."""

    dtype: ClassVar[Any]
    kind: ClassVar[str]


class Whole(Parser):
    """Whole numbers; ``NA`` becomes `MISSING`."""

    dtype = np.int64
    kind = "a whole number"

    def __missing__(self, text: str) -> int:
        value = MISSING if text == "NA" else int(text)
        self[text] = value
        return value


class Real(Parser):
    """Real numbers; ``NA`` becomes NaN."""

    dtype = np.float64
    kind = "a number"

    def __missing__(self, text: str) -> float:
        value = float("nan") if text == "NA" else float(text)
        self[text] = value
        return value


class Label(Parser):
    """Names, numbered in the order they appear; `names` lists them in that order."""

    dtype = np.int64
    kind = "a name"

    def __missing__(self, text: str) -> int:
        if not text or text == "NA":
            raise ValueError("a name is missing")
        value = len(self)
        self[text] = value
        return value

    @property
    def names(self) -> list[str]:
        return list(self)


def read_columns(path: Path, wanted: Mapping[str, Parser]) -> dict[str, Column]:
    """The `wanted` columns of the csv file at `path` (or of the only file in a zip archive).

    Time is linear in the rows; memory is that of the arrays and one block of rows.

    Raises
    ------
    TableError
        The file has no header, lacks a column, has a row of another length, or a cell that
        its parser refuses. The message names the file, the row (the header is row 1) and
        the column.
    """
    parts: dict[str, list[Column]] = {name: [] for name in wanted}
    with _open_text(path) as handle:
        reader = csv.reader(handle)
        header = next(reader, None)
        if header is None:
            raise TableError(f"{path.name}: the file is empty, not even a header is there")
        absent = [name for name in wanted if name not in header]
        if absent:
            raise TableError(f"{path.name}: no column {', '.join(absent)} in the header {header}")
        places = {name: header.index(name) for name in wanted}
        row = 2
        while block := list(islice(reader, BLOCK)):
            cells = _transpose(path, block, row, len(header))
            for name, parser in wanted.items():
                parts[name].append(_convert(path, name, parser, cells[places[name]], row))
            row += len(block)
    return {name: _joined(blocks, wanted[name]) for name, blocks in parts.items()}


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".zip":
        with path.open(encoding="utf-8", newline="") as handle:
            yield handle
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise TableError(f"{path.name}: one file is expected in the archive, found {names}")
        with archive.open(names[0]) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as handle:
            yield handle


def _transpose(path: Path, block: list[list[str]], row: int, width: int) -> list[tuple[str, ...]]:
    for number, cells in enumerate(block, row):
        if len(cells) != width:
            raise TableError(
                f"{path.name}: row {number} has {len(cells)} cells, the header has {width}"
            )
    return list(zip(*block, strict=True))


def _convert(path: Path, name: str, parser: Parser, cells: tuple[str, ...], row: int) -> Column:
    try:
        return np.fromiter(map(parser.__getitem__, cells), parser.dtype, len(cells))
    except ValueError as error:
        number, text = _first_refused(parser, cells, row)
        raise TableError(
            f"{path.name}: row {number}, column {name}: {text!r} is not {parser.kind}"
        ) from error


def _first_refused(parser: Parser, cells: tuple[str, ...], row: int) -> tuple[int, str]:
    for number, text in enumerate(cells, row):
        if text not in parser:
            return number, text
    raise AssertionError("every cell was parsed, so the conversion cannot have failed")


def _joined(blocks: list[Column], parser: Parser) -> Column:
    return np.concatenate(blocks) if blocks else np.empty(0, parser.dtype)
