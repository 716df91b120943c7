"""Places in a pydantic model that can be validated alone."""

from __future__ import annotations

import collections.abc as abc
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter
from pydantic.errors import PydanticUserError

from theus.schema.point import FREE, Forbidden, Point, required
from theus.schema.problem import Problem
from theus.schema.pydantic_values import fields_of, given_name, is_model, run

__all__ = ["model_point", "unknown_point"]

Where = tuple[Any, ...]
HARMLESS = frozenset(
    (
        "arbitrary_types_allowed",
        "extra",
        "frozen",
        "from_attributes",
        "json_schema_extra",
        "populate_by_name",
        "protected_namespaces",
        "title",
        "use_attribute_docstrings",
        "validate_assignment",
        "validate_by_alias",
        "validate_by_name",
    )
)
"""Settings of a model that do not change what its fields accept."""


class _Typed:
    """A place with an annotation.

    `notes` are the constraints beside it; `owner`: the annotation of the mapping that it is a
    value of, whose keys are checked too; `needed`: whether it is a field that has to be there.
    """

    def __init__(
        self, hint: Any, notes: Iterable[Any] = (), owner: Any = None, needed: bool = False
    ) -> None:
        self._hint, self._notes = hint, tuple(notes)
        self._owner, self._needed = owner, needed
        self._adapter: TypeAdapter[Any] | None = None
        self._below: dict[Any, Point | None] = {}

    @property
    def free(self) -> bool:
        return False  # anything may hold records, which are checked as what they are

    def is_for(self, record: type) -> bool:
        return _bare(self._hint) is record

    def step(self, key: Any) -> Point | None:
        hint = _bare(self._hint)
        if self._notes:
            return None
        name = key if is_model(hint) else None
        found = self._below.get(name)
        if found is None:
            found = self._made(hint, key)
            if found is not None:
                self._below[name] = found
        return found

    def _made(self, hint: Any, key: Any) -> Point | None:
        if is_model(hint):
            return _field_point(hint, key)
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint in (Any, object, dict, list):
            return _Typed(Any)
        if not isinstance(origin, type) or not issubclass(origin, abc.Collection):
            return None
        if issubclass(origin, abc.Mapping):
            return _Typed(args[1], owner=hint) if len(args) == 2 else None
        return None if issubclass(origin, tuple) or len(args) != 1 else _Typed(args[0])

    def check(self, value: Any, where: Where) -> list[Problem]:
        if self._adapter is None:
            hint = self._owner or self._hint
            self._adapter = _adapter(Annotated[hint, *self._notes] if self._notes else hint)
        if self._owner is not None:
            return run(self._adapter.validate_python, {where[-1]: value}, where[:-1])
        return run(self._adapter.validate_python, value, where)

    def gone(self, where: Where) -> list[Problem]:
        return required(where) if self._needed else []


def model_point(model: Any) -> Point:
    """The place that holds a whole model."""
    return _Typed(model)


def unknown_point(model: Any) -> Point | None:
    """What a model says of an area that is none of its fields."""
    extra = getattr(model, "model_config", {}).get("extra")
    if extra == "forbid":
        return Forbidden("Extra inputs are not permitted")
    return None if extra == "allow" else FREE


def _bare(hint: Any) -> Any:
    """An annotation without the alternative None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [one for one in typing.get_args(hint) if one is not type(None)]
        return _bare(others[0]) if len(others) == 1 else hint
    return hint


def _adapter(hint: Any) -> TypeAdapter[Any]:
    """What validates an annotation; classes that pydantic has no rule for are compared."""
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # models have settings of their own
        return TypeAdapter(hint)


def _field_point(model: Any, key: Any) -> Point | None:
    """What a model says of one of its fields; None where it says that only as a whole."""
    if not _is_separable(model):
        return None
    guarded: set[str] = set()
    for validator in model.__pydantic_decorators__.field_validators.values():
        guarded.update(validator.info.fields)
    for name, field in fields_of(model).items():
        given = given_name(name, field)
        if key == name != given:
            return None  # right in a record, wrong in a mapping: the whole of it tells
        if key == given:
            if guarded & {"*", name} or field.discriminator is not None:
                return None
            return _Typed(field.annotation, field.metadata, needed=field.is_required())
    return None


def _is_separable(model: Any) -> bool:
    """Whether every field of a model means the same without the others."""
    found = model.__pydantic_decorators__
    changed_core = any(
        "__get_pydantic_core_schema__" in vars(cls) for cls in model.__mro__ if cls is not BaseModel
    )
    return not (
        issubclass(model, RootModel)
        or found.model_validators
        or found.root_validators
        or model.model_post_init is not BaseModel.model_post_init
        or getattr(model, "__pydantic_custom_init__", False)
        or changed_core
        or not HARMLESS.issuperset(model.model_config)
    )
