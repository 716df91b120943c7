"""Context schemas from YAML: which fields the areas of a context have.

The text::

    context:
      global:
        year: {type: integer, required: true}
      domain:
        carriers: {type: dict, default: {}}
      billing:                  # any further name is a namespace
        currency: {type: string, default: USD}
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, make_dataclass
from dataclasses import field as dataclass_field
from os import PathLike
from types import MappingProxyType
from typing import Any, Final

from theus._yaml import Node, load, load_file
from theus.config.reading import Reader
from theus.errors import SchemaViolationError

__all__ = ["NO_DEFAULT", "TYPES", "ConfigLoader", "ContextSchema", "FieldSchema"]

TYPES: Final[Mapping[str, type]] = MappingProxyType(
    {
        "string": str,
        "integer": int,
        "float": float,
        "boolean": bool,
        "list": list,
        "dict": dict,
    }
)
"""Name of a type in a schema -> the Python type of its values."""

_RESERVED: Final = frozenset(
    {
        *("global_", "global_ctx", "domain_ctx", "heavy", "signal", "sig", "cmd", "meta"),
        *("local", "outbox", "log", "version", "state", "data"),
    }
)


class _NoDefault:
    """Says that a field has no default; None is one."""

    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = _NoDefault()


@dataclass(frozen=True)
class FieldSchema:
    """One field of an area.

    `type` is a key of `TYPES`; `default` is `NO_DEFAULT` where the field has none.
    """

    name: str
    type: str
    required: bool = False
    default: Any = NO_DEFAULT


@dataclass(frozen=True)
class ContextSchema:
    """The areas of a context: `domain`, `global` and namespaces, each name -> field."""

    areas: Mapping[str, Mapping[str, FieldSchema]]

    @property
    def domain(self) -> Mapping[str, FieldSchema]:
        """The fields of the domain."""
        return self.areas.get("domain", MappingProxyType({}))

    @property
    def global_(self) -> Mapping[str, FieldSchema]:
        """The fields of the global part."""
        return self.areas.get("global", MappingProxyType({}))

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, FieldSchema]]:
        """The further areas."""
        return MappingProxyType(
            {name: area for name, area in self.areas.items() if name not in ("domain", "global")}
        )

    def model(self) -> type:
        """A dataclass with these areas and fields, as `engine.set_schema` takes it.

        A required field has to be there; any other may be absent or None. An integer fits a
        float. Fields that the schema does not name are not looked at. A new class each time.
        """
        areas = [
            (_attribute(name), _dataclass(f"{name.capitalize()}Area", fields.values()))
            for name, fields in self.areas.items()
        ]
        return make_dataclass("ContextModel", areas, kw_only=True)

    def defaults(self) -> dict[str, dict[str, Any]]:
        """Area -> name -> default, of the fields that have one; new objects at every call."""
        return {
            area: {
                field.name: deepcopy(field.default)
                for field in fields.values()
                if field.default is not NO_DEFAULT
            }
            for area, fields in self.areas.items()
        }


def _attribute(area: str) -> str:
    return "global_" if area == "global" else area


def _dataclass(name: str, fields: Iterable[FieldSchema]) -> type:
    items: list[Any] = []
    for item in fields:
        kind = TYPES[item.type]
        if item.required:
            items.append((item.name, kind))
        else:
            items.append((item.name, kind | None, dataclass_field(default=None)))
    return make_dataclass(name, items, kw_only=True)


class ConfigLoader:
    """Loads context schemas. `theus.config.contexts` shows the form of the text."""

    @staticmethod
    def load_from_string(text: str, source: str = "<string>") -> ContextSchema:
        """The context schema in a text; `source` names it in errors.

        Raises
        ------
        SchemaViolationError
            The text is no valid schema; with the fields `file`, `line`, `column` (of the
            first problem) and `problems`.
        """
        return _schema(load(text, source=source, error=SchemaViolationError))

    @staticmethod
    def load(path: str | PathLike[str]) -> ContextSchema:
        """The context schema in a file; raises as `load_from_string`, and OSError."""
        return _schema(load_file(path, error=SchemaViolationError))


def _schema(root: Node) -> ContextSchema:
    reader = Reader()
    parts = reader.fields(root, "A context schema", ("context",), required=("context",))
    areas = {}
    if "context" in parts:
        node = parts["context"]
        for name, area in reader.mapping(node, "context").items():
            _check_name(reader, node.keys[name], name)
            if name in _RESERVED:
                reader.note(
                    node.keys[name],
                    f"{name!r} cannot be an area: a context has it already. The two areas of "
                    "every context are written domain and global.",
                )
            areas[name] = _area(reader, name, area)
    reader.finish()
    return ContextSchema(MappingProxyType(areas))


def _check_name(reader: Reader, node: Node, name: str) -> None:
    if not name.isidentifier() or (keyword.iskeyword(name) and name != "global"):
        reader.note(node, f"{name!r} cannot be used as the name of an attribute in Python.")


def _area(reader: Reader, name: str, node: Node) -> Mapping[str, FieldSchema]:
    fields = {}
    for field, child in reader.mapping(node, f"The area {name!r}").items():
        _check_name(reader, node.keys[field], field)
        fields[field] = _field(reader, field, child)
    return MappingProxyType(fields)


def _field(reader: Reader, name: str, node: Node) -> FieldSchema:
    what = f"The field {name!r}"
    parts = reader.fields(node, what, ("type", "required", "default"), required=("type",))
    kind = reader.text(parts["type"], "type") if "type" in parts else ""
    if kind and kind not in TYPES:
        reader.note(parts["type"], f"{kind!r} is no type; use {', '.join(TYPES)}.")
        kind = ""
    required = "required" in parts and reader.boolean(parts["required"], "required")
    default = NO_DEFAULT
    if "default" in parts and kind:
        default = _default(reader, parts["default"], kind, required)
    return FieldSchema(name, kind, required, default)


def _default(reader: Reader, node: Node, kind: str, required: bool) -> Any:
    value = node.plain()
    if value is None and not required:
        return None
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value) is not TYPES[kind]:
        reader.note(node, f"The default must be of type {kind}, not {node.describe()}.")
    return value
