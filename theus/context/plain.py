"""Records to plain data and back, by their type annotations."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from theus._core.freeze import rule_for
from theus.errors import ContextError, CycleError, SchemaViolationError, UnsupportedValueError

__all__ = ["build", "fields_of", "hints_of", "plain"]


def _record_rule(value: Any) -> Any:
    """The rule by which the state holds `value` as a record; None for everything else."""
    rule = rule_for(value.__class__)  # that of a view or guard is the class it shows
    return rule if rule is not None and rule.kind == "record" else None


def _is_model(cls: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def fields_of(value: Any) -> dict[str, Any]:
    """Fields of an object by name, one level deep, values by reference.

    Understands mappings, objects with ``to_dict()``, records (dataclasses, pydantic, attrs,
    plain classes) and other objects with attributes. Attributes that were added to an
    instance count, private ones do not. Raises UnsupportedValueError for anything else.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    custom = getattr(value, "to_dict", None)
    if callable(custom) and not getattr(custom, "_theus_default", False):
        return _from_to_dict(value, custom())
    rule = _record_rule(value)
    if rule is not None:
        return _public(rule.fields(value))
    if hasattr(value, "__dict__") and not callable(value):
        return _public(vars(value))
    raise UnsupportedValueError(
        f"cannot take a context or zone from {type(value).__qualname__}: give a dataclass, a "
        f"pydantic model, a mapping, or an object with `to_dict()`",
        type_name=type(value).__qualname__,
    )


def _public(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in found.items() if not name.startswith("_")}


def _from_to_dict(value: Any, found: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise UnsupportedValueError(
            f"{type(value).__qualname__}.to_dict() returned {type(found).__qualname__}, not a "
            f"mapping",
            type_name=type(found).__qualname__,
        )
    return dict(found)


def plain(value: Any, _above: tuple[int, ...] = ()) -> Any:
    """A detached copy in plain containers; records become dicts, other objects are shared.

    Raises CycleError for a value that contains itself. O(size).
    """
    if value is None or isinstance(value, (str, bytes, int, float)):
        return value
    containers = (Mapping, Sequence, Set)
    if (isinstance(value, containers) and type(value) is not bytearray) or _record_rule(value):
        if id(value) in _above:
            raise CycleError(f"a {type(value).__qualname__} contains itself; the state is a tree")
        return _plain_container(value, (*_above, id(value)))
    numpy = sys.modules.get("numpy")
    if isinstance(value, bytearray) or (numpy is not None and isinstance(value, numpy.ndarray)):
        return value.copy()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value


def _plain_container(value: Any, above: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        return {key: plain(item, above) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [plain(item, above) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, Set):
        return frozenset(value) if isinstance(value, frozenset) else set(value)
    if isinstance(value, (range, memoryview)):
        return value
    if isinstance(value, Sequence):
        return [plain(item, above) for item in value]
    return {name: plain(item, above) for name, item in fields_of(value).items()}


def build(hint: Any, value: Any, where: str = "") -> Any:
    """Turn plain data into what a type annotation asks for.

    Builds dataclasses, attrs classes and pydantic models, also inside lists, sets, tuples,
    dicts and optional types; everything else is taken as it is (validation is the schema's work).
    Raises SchemaViolationError with the place for a field that is unknown or missing.
    """
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return build(typing.get_args(hint)[0], value, where)
    if origin in (typing.Union, types.UnionType):
        return _build_union(typing.get_args(hint), value, where)
    if origin is not None:
        return _build_container(origin, typing.get_args(hint), value, where)
    if isinstance(value, Mapping) and isinstance(hint, type):
        if _is_model(hint):
            return hint.model_validate(dict(value))  # type: ignore[attr-defined]
        if _declared(hint) is not None:
            return _build_record(hint, value, where)
    return value


def _build_union(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    for hint in hints:
        bare = typing.get_origin(hint) or hint
        if isinstance(bare, type) and (isinstance(value, bare) or _fits(bare, value)):
            return build(hint, value, where)
    records: list[Any] = [hint for hint in hints if _declared(hint) is not None]
    if not isinstance(value, Mapping) or not records:
        return value
    if len(records) == 1:
        return build(records[0], value, where)
    names = ", ".join(hint.__qualname__ for hint in records)
    raise _violation(records[0], where, f"its fields {[*value]} fit none of {names}")


def _fits(cls: type, value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    fields = _declared(cls)
    if fields is None:
        return _is_model(cls)
    return all(key in fields for key in value) and not _missing(fields, value)


def _build_container(origin: Any, hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(origin, type) or not hints:
        return value
    if issubclass(origin, Mapping) and isinstance(value, Mapping) and len(hints) == 2:
        return {key: build(hints[1], item, _join(where, key)) for key, item in value.items()}
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return value
    if issubclass(origin, tuple) and not (len(hints) == 2 and hints[1] is Ellipsis):
        pairs = zip(hints, value, strict=False)
        made = tuple(build(hint, item, where) for hint, item in pairs)
        return made if len(made) == len(tuple(value)) else value
    if issubclass(origin, Collection):
        items = [build(hints[0], item, _join(where, number)) for number, item in enumerate(value)]
        kinds = (frozenset, set, tuple)
        return next((kind(items) for kind in kinds if issubclass(origin, kind)), items)
    return value


class _Field(NamedTuple):
    """A field of a record class: what its constructor calls it, if it takes it."""

    argument: str | None
    required: bool


def _declared(cls: Any) -> dict[str, _Field] | None:
    """The fields that a dataclass or attrs class declares; None for everything else."""
    if not isinstance(cls, type):
        return None
    if dataclasses.is_dataclass(cls):
        none = dataclasses.MISSING
        return {
            item.name: _Field(
                item.name if item.init else None,
                item.init and item.default is none and item.default_factory is none,
            )
            for item in dataclasses.fields(cls)
        }
    if not hasattr(cls, "__attrs_attrs__"):
        return None
    nothing = sys.modules["attr"].NOTHING
    return {
        item.name: _Field(item.alias if item.init else None, item.init and item.default is nothing)
        for item in cls.__attrs_attrs__
    }


def _build_record(cls: type, value: Mapping[str, Any], where: str) -> Any:
    fields = _declared(cls) or {}
    unknown = sorted(str(key) for key in value if key not in fields)
    if unknown:
        raise _violation(cls, where, f"unknown field {', '.join(unknown)}; it has {[*fields]}")
    hints = hints_of(cls)
    made = {
        name: build(hints.get(name, Any), item, _join(where, name)) for name, item in value.items()
    }
    missing = _missing(fields, made)
    if missing:
        raise _violation(cls, where, f"missing field {', '.join(missing)}")
    arguments: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, item in made.items():
        argument = fields[name].argument
        if argument is None:
            rest[name] = item
        else:
            arguments[argument] = item
    record = cls(**arguments)
    for name, item in rest.items():
        object.__setattr__(record, name, item)
    return record


def _missing(fields: Mapping[str, _Field], given: Mapping[str, Any]) -> list[str]:
    return [name for name, item in fields.items() if item.required and name not in given]


def hints_of(cls: type) -> dict[str, Any]:
    """The resolved annotations of a class; ContextError where one cannot be resolved."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise ContextError(
            f"an annotation of {cls.__qualname__} cannot be resolved: {error}. Import the name "
            f"where the class is defined, not only for type checkers.",
            paths=(),
        ) from error


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _violation(cls: type, where: str, text: str) -> SchemaViolationError:
    place = where or cls.__qualname__
    return SchemaViolationError(
        f"Schema Violation: {place} ({cls.__qualname__}): {text}",
        errors=({"loc": tuple(place.split(".")), "msg": text},),
        place=place,
    )
