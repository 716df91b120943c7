"""What a context says about its fields beside their names: annotations and policies."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from theus._core.zone import limits_of
from theus.context.base import areas_of
from theus.context.namespaces import NamespaceRegistry
from theus.context.plain import hints_of
from theus.errors import ContextError
from theus.zones import MARKS

__all__ = ["marks_of"]


def marks_of(context: Any) -> dict[str, dict[str | None, int]] | None:
    """Area -> field -> limits, from ``Annotated[T, Mutable]`` and its like on the fields of the
    context's classes; under None the policy of a namespace. None where nothing is said.

    Raises ContextError for an annotation with a mark that cannot be resolved, or with two.
    """
    found: dict[str, dict[str | None, int]] = {}
    namespaces = NamespaceRegistry(context)
    for area, value in areas_of(context).items():
        fields: dict[str | None, int] = {}
        if value is not None and not isinstance(value, Mapping):
            fields.update(_marked(type(value)))
        if area in namespaces:
            fields[None] = limits_of(namespaces[area].policy.rule, decides=False)
        if fields:
            found[area] = fields
    return found or None


def _marked(cls: type) -> dict[str, int]:
    if cls.__module__ == "builtins" or not _mentions(cls):
        return {}
    limits: dict[str, int] = {}
    for name, hint in hints_of(cls).items():
        marks = _marks_in(hint)
        if len(set(marks)) > 1:
            raise ContextError(
                f"{cls.__qualname__}.{name} is annotated as "
                f"{' and '.join(mark.__name__ for mark in marks)}; keep one",
                paths=(name,),
            )
        if marks:
            limits[name] = limits_of(MARKS[marks[0]])
    return limits


def _marks_in(hint: Any) -> list[type]:
    if typing.get_origin(hint) is not typing.Annotated:
        return []
    found = [one if isinstance(one, type) else type(one) for one in hint.__metadata__]
    return [one for one in found if one in MARKS]


def _mentions(cls: type) -> bool:
    """Whether an annotation may hold a mark, so that a class without one is not looked at."""
    hint: Any
    for owner in cls.__mro__:
        for hint in inspect.get_annotations(owner).values():
            if typing.get_origin(hint) is typing.Annotated:
                return True
            if isinstance(hint, str) and "Annotated" in hint:
                return True
    return False
