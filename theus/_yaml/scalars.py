"""Plain scalars by the YAML 1.2 core schema, with nothing guessed."""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["resolve"]

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]+\Z")
_BASED: Final = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL: Final = {
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
    ".inf": math.inf, ".Inf": math.inf, ".INF": math.inf,
    "+.inf": math.inf, "+.Inf": math.inf, "+.INF": math.inf,
    "-.inf": -math.inf, "-.Inf": -math.inf, "-.INF": -math.inf,
}  # fmt: skip


def resolve(text: str, digits: int) -> str | int | float | bool | None:
    """The value of a plain scalar.

    Raises ValueError, with a message for the author, for a number of more than `digits`
    characters, one that no float can hold, and a decimal number with a leading zero, which
    YAML 1.1 reads as octal and YAML 1.2 as decimal.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INTEGER.match(text):
        return _integer(text, digits)
    if _BASED.match(text):
        _check_length(text, digits)
        return int(text, 0)
    if _FLOAT.match(text):
        return _float(text, digits)
    return text


def _integer(text: str, digits: int) -> int:
    bare = text.lstrip("+-")
    if bare[0] == "0" and bare != "0":
        raise ValueError(
            f"{text[:20]} starts with a zero: write it without, or in quotes if it is a text; "
            "octal is 0o17."
        )
    _check_length(text, digits)
    return int(text)


def _float(text: str, digits: int) -> float:
    _check_length(text, digits)
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large for a float.")
    return value


def _check_length(text: str, digits: int) -> None:
    if len(text) > digits:
        raise ValueError(f"A number of more than {digits} digits.")
