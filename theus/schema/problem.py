"""One thing that does not fit a schema, and how the state is asked for its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from theus._core.path import SPELLINGS

__all__ = ["MISSING", "GetPlain", "Problem", "fetch", "zone_of"]

GetPlain = Callable[[tuple[Any, ...]], Any]
MISSING: Any = object()


class Problem(NamedTuple):
    """Where (keys), what is wrong, a stable word for the kind, and the value found."""

    where: tuple[Any, ...]
    text: str
    kind: str
    value: Any = MISSING


def zone_of(name: str) -> str:
    """The top-level key of the state that a field of a schema describes."""
    return SPELLINGS.get(name, name)


def fetch(get_plain: GetPlain, key: str) -> Any:
    """The plain value of a top-level key, or MISSING."""
    try:
        return get_plain((key,))
    except LookupError:
        return MISSING
