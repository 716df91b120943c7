"""Checking against pydantic models. Imported only when one is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Hashable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from pydantic import AliasChoices, BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from theus.schema.problem import MISSING, GetPlain, Problem, fetch, zone_of

__all__ = ["PydanticChecker"]


class _Area(NamedTuple):
    """One field of the model: what it is called there, in the state, and alone."""

    name: str
    given: str
    key: str
    validate: Callable[[Any], Any] | None


class PydanticChecker:
    """Validates the areas that changed, each alone where the model allows it."""

    def __init__(self, model: Any) -> None:
        self._validate: Callable[[Any], Any] = (
            model.model_validate if _is_model(model) else TypeAdapter(model).validate_python
        )
        self._areas = _areas(model)
        self._keys = {area.key: area for area in self._areas}
        self._alone = _is_model(model) and not _looks_across(model)
        config = getattr(model, "model_config", {})
        self._closed = config.get("extra") == "forbid"

    def check(self, changed: Collection[str] | None, get_plain: GetPlain) -> list[Problem]:
        """Problems of the areas that changed; of all with None."""
        if changed is None or not self._alone:
            return self._check_all(changed or (), get_plain)
        problems: list[Problem] = []
        for key in changed:
            area = self._keys.get(key)
            if area is None:
                if self._closed:
                    problems.append(Problem((key,), "Extra inputs are not permitted", "extra"))
                continue
            value = fetch(get_plain, key)
            if area.validate is None or value is MISSING:
                return self._check_all(changed, get_plain)
            problems += _run(area.validate, value, (key,))
        return problems

    def _check_all(self, changed: Collection[str], get_plain: GetPlain) -> list[Problem]:
        whole: dict[str, Any] = {}
        for area in self._areas:
            value = fetch(get_plain, area.key)
            if value is not MISSING:
                whole[area.given] = value
        for key in changed:
            if key not in self._keys:
                value = fetch(get_plain, key)
                if value is not MISSING:
                    whole[key] = value
        return _run(self._validate, whole, ())


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, BaseModel)


def _fields(cls: Any) -> Mapping[str, Any]:
    found = cls.model_fields if _is_model(cls) else cls.__pydantic_fields__
    return dict(found)


def _areas(model: Any) -> list[_Area]:
    decorators = model.__pydantic_decorators__
    guarded: set[str] = set()
    for validator in decorators.field_validators.values():
        guarded.update(validator.info.fields)
    areas = []
    for name, field in _fields(model).items():
        alone = None
        if "*" not in guarded and name not in guarded and not field.metadata:
            alone = field.annotation.model_validate if _is_model(field.annotation) else None
        given = _given_name(name, field)
        areas.append(_Area(name, given, zone_of(given), alone))
    return areas


def _looks_across(model: Any) -> bool:
    """Whether the model itself has code that sees several areas at once."""
    found = model.__pydantic_decorators__
    hook = model.model_post_init is not BaseModel.model_post_init
    custom = getattr(model, "__pydantic_custom_init__", False)
    return bool(found.model_validators or found.root_validators or hook or custom)


def _given_name(name: str, field: Any) -> str:
    """The key under which a field is given to the model."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else name


def _run(validate: Callable[[Any], Any], value: Any, above: tuple[Any, ...]) -> list[Problem]:
    problems: list[Problem] = []
    given = _rebuilt(value, above, problems)
    _try(validate, given, above, problems)
    return problems


def _try(
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
    missing = item["type"] == "missing" or not item["loc"]
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
        made = _try(type(value).model_validate, given, where, problems)
        return value if made is MISSING else made
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _rebuilt_dataclass(value, where, problems)
    return value


def _model_input(
    value: BaseModel, where: tuple[Any, ...], problems: list[Problem]
) -> dict[str, Any]:
    fields = _fields(type(value))
    given = {
        _given_name(name, fields[name]): _rebuilt(item, (*where, name), problems)
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
    made = _try(validate, given, where, problems)
    return value if made is MISSING else made


@lru_cache(maxsize=1024)
def _dataclass_validator(cls: Any) -> Callable[[Any], Any] | None:
    """A validator for a dataclass; None where its annotations say nothing to pydantic."""
    try:
        return TypeAdapter(cls).validate_python
    except (PydanticUserError, NameError):
        return None
