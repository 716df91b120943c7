"""Context variables whose values go along with tasks."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from importlib import import_module
from typing import Any, final

from theus.parallel.options import texts, wrong

__all__ = ["Carried", "find_variable"]

_ABSENT = object()


def find_variable(place: str) -> contextvars.ContextVar[Any]:
    """The context variable at ``module:name``.

    Raises ImportError, AttributeError or TypeError where there is none.
    """
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, contextvars.ContextVar):
        raise TypeError(f"{place} is {type(found).__name__}, not a ContextVar")
    return found


@final
class Carried:
    """The option ``carry`` of a pool: places of context variables, ``"module:NAME"``.

    Raises SettingsError for a place where there is none.
    """

    __slots__ = ("_variables",)

    def __init__(self, places: Iterable[str]) -> None:
        self._variables = {place: _variable(place) for place in texts("carry", places)}

    def values(self) -> dict[str, Any]:
        """What the variables are set to here and now; those that are not are left out."""
        values = {place: variable.get(_ABSENT) for place, variable in self._variables.items()}
        return {place: value for place, value in values.items() if value is not _ABSENT}


def _variable(place: str) -> contextvars.ContextVar[Any]:
    try:
        return find_variable(place)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise wrong("carry", place, 'a place of a ContextVar, "module:NAME"') from error
