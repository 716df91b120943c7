"""Validating a value with pydantic, the records in it included."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic import AliasChoices, BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from theus.schema.problem import MISSING, Problem, zone_of

__all__ = ["fields_of", "given_name", "is_model", "run"]


def is_model(cls: Any) -> bool:
    """Whether it is a class of models."""
    return isinstance(cls, type) and issubclass(cls, BaseModel)


def fields_of(cls: Any) -> Mapping[str, Any]:
    """The fields of a model or of a pydantic dataclass."""
    found = cls.model_fields if is_model(cls) else cls.__pydantic_fields__
    return dict(found)


def given_name(name: str, field: Any) -> str:
    """The key under which a field is given to the model."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else name


def run(validate: Callable[[Any], Any], value: Any, above: tuple[Any, ...]) -> list[Problem]:
    """What does not fit of a value at a place."""
    problems: list[Problem] = []
    given = _rebuilt(value, above, problems)
    _tried(validate, given, above, problems)
    return problems


def _tried(
    validate: Callable[[Any], Any], value: Any, above: tuple[Any, ...], problems: list[Problem]
) -> Any:
    """What `validate` makes of the value; MISSING, and problems noted, where it refuses."""
    try:
        return validate(value)
    except ValidationError as error:
        problems += [_problem(above, item) for item in error.errors(include_url=False)]
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
        text = f"a validator failed with {type(error).__name__}: {error}"
        problems.append(Problem(above, text, "validator_error"))
    return MISSING


def _problem(above: tuple[Any, ...], item: Any) -> Problem:
    where = (*above, *item["loc"])
    if where and isinstance(where[0], str):
        where = (zone_of(where[0]), *where[1:])
    missing = item["type"] == "missing" or not where
    return Problem(where, item["msg"], item["type"], MISSING if missing else item["input"])


def _rebuilt(value: Any, where: tuple[Any, ...], problems: list[Problem]) -> Any:
    """The value with every record in it built anew, with validation.

    Pydantic takes an instance of the right class as it is; the fields of one that lives in
    the state may have changed since it was made. A record that does not fit stays as it is,
    so that the rest can be checked too.
    """
    if isinstance(value, dict):
        return {key: _rebuilt(item, (*where, key), problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_rebuilt(item, (*where, index), problems) for index, item in enumerate(value)]
    if type(value) is tuple:
        items = enumerate(value)
        return tuple(_rebuilt(item, (*where, index), problems) for index, item in items)
    if isinstance(value, BaseModel):
        given = _model_input(value, where, problems)
        made = _tried(type(value).model_validate, given, where, problems)
        return value if made is MISSING else made
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _rebuilt_dataclass(value, where, problems)
    return value


def _model_input(
    value: BaseModel, where: tuple[Any, ...], problems: list[Problem]
) -> dict[str, Any]:
    fields = fields_of(type(value))
    given = {
        given_name(name, fields[name]): _rebuilt(item, (*where, name), problems)
        for name, item in value.__dict__.items()
        if name in fields
    }
    return given | (value.model_extra or {})


def _rebuilt_dataclass(value: Any, where: tuple[Any, ...], problems: list[Problem]) -> Any:
    validate = _dataclass_validator(cast("Hashable", type(value)))
    if validate is None:
        return value
    given = {
        item.name: _rebuilt(getattr(value, item.name), (*where, item.name), problems)
        for item in dataclasses.fields(value)
        if item.init
    }
    made = _tried(validate, given, where, problems)
    return value if made is MISSING else made


@lru_cache(maxsize=1024)
def _dataclass_validator(cls: Any) -> Callable[[Any], Any] | None:
    """A validator for a dataclass; None where its annotations say nothing to pydantic."""
    try:
        return TypeAdapter(cls).validate_python
    except (PydanticUserError, NameError):
        return None
