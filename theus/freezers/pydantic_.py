"""Pydantic v2 models.

Held are the fields, extra fields and private attributes; what a cached property has kept is
left out. A copy that is built counts all its fields as set. Methods of pydantic itself
(``model_dump`` ...) reach into the instance from compiled code, so they get a real one.
Assignment to a field runs no validators; the schema check before the commit does.
"""

from __future__ import annotations

from typing import Any

from theus._core.freeze import register_record
from theus.freezers._freezer import Freezer

__all__ = ["FREEZER"]

SET = object.__setattr__


def _resolve(cls: Any) -> None:
    if not hasattr(cls, "__pydantic_validator__") or hasattr(cls, "__del__"):
        return
    if hasattr(cls, "model_fields"):
        frozen = bool(cls.model_config.get("frozen"))
        register_record(cls, _fields, _build, frozen=frozen, foreign=_is_pydantic)


def _fields(value: Any) -> dict[str, Any]:
    declared = type(value).model_fields
    kept = value.__dict__
    found = {name: kept[name] for name in declared if name in kept}
    return found | (value.__pydantic_private__ or {}) | (value.__pydantic_extra__ or {})


def _build(cls: Any, fields: dict[str, Any]) -> Any:
    declared = cls.model_fields
    private = cls.__private_attributes__
    model = cls.__new__(cls)
    kept = {name: item for name, item in fields.items() if name in declared}
    extra = {
        name: item for name, item in fields.items() if name not in declared and name not in private
    }
    allows_extra = cls.model_config.get("extra") == "allow"
    SET(model, "__dict__", kept)
    SET(model, "__pydantic_fields_set__", set(kept))
    SET(model, "__pydantic_extra__", extra if allows_extra else None)
    held = {name: fields[name] for name in private if name in fields}
    SET(model, "__pydantic_private__", held if private else None)
    return model


def _is_pydantic(owner: type) -> bool:
    return owner.__module__.partition(".")[0] == "pydantic"


FREEZER = Freezer(_resolve)
