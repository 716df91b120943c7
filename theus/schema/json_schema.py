"""Checking against JSON Schema, with the library jsonschema. Imported only when one is given."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from theus._core.freeze import rule_for
from theus.errors import SettingsError
from theus.schema.point import FREE, Added, Forbidden, Point, Records, check_touched, required
from theus.schema.problem import MISSING, GetPlain, Problem, fetch, zone_of

try:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012
except ImportError as error:
    raise SettingsError(
        "a JSON Schema is checked by the package jsonschema, which is not installed: "
        "pip install 'theus[jsonschema]'",
        option="schema",
        value="JSON Schema",
    ) from error

__all__ = ["JsonSchemaChecker"]

Where = tuple[Any, ...]

NOTES = frozenset(
    (
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    )
)
"""Keywords that say nothing of a value."""

SEPARATE = NOTES | {"type", "properties", "patternProperties", "additionalProperties", "required"}
ITEMS = NOTES | {"type", "items"}
"""With these alone, every key of an object and every item of an array is judged by itself."""


class JsonSchemaChecker:
    """Checks what was touched, each place alone where no keyword above looks at several.

    The state is looked at as JSON: records are objects, tuples and sets are arrays, keys are
    texts. Only references inside the schema itself are followed.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise SettingsError(
                f"the JSON Schema is none: {error.message} (at {error.json_path})",
                option="schema",
                value=str(schema.get("title", "JSON Schema")),
            ) from error
        self._kind, self._schema = kind, schema
        self._base = schema.get("$id", "urn:theus:state")
        resource = Resource.from_contents(schema, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(self._base, resource)
        self._validators: dict[str, Any] = {}
        self._top = _Place(self, "", schema)
        self._names = {zone_of(name): name for name in schema.get("properties", ())}

    def check(
        self,
        changed: Collection[Where] | None,
        added: Collection[Added],
        get_plain: GetPlain,
        records: Records,
    ) -> list[Problem]:
        """Problems of the places that were touched; of all with None."""
        found = None
        if changed is not None:
            found = check_touched(self._area, changed, added, get_plain)
        if found is not None:
            return found
        keys = {path[0] for path in changed or ()} | {one.where[0] for one in added}
        areas = dict.fromkeys([*self._names, *keys])
        whole = {self._names.get(key, key): fetch(get_plain, key) for key in areas}
        there = {name: value for name, value in whole.items() if value is not MISSING}
        return self.problems("", there, ())

    def _area(self, key: Any) -> Point | None:
        return self._top.step(self._names.get(key, key))

    def problems(self, pointer: str, value: Any, where: Where) -> list[Problem]:
        """What a part of the schema says of a value."""
        validator = self._validators.get(pointer)
        if validator is None:
            part = {"$ref": f"{self._base}#{quote(pointer)}"}
            validator = self._kind(part, registry=self._registry)
            self._validators[pointer] = validator
        return [
            Problem(_named((*where, *one.absolute_path)), one.message, one.validator, one.instance)
            for one in validator.iter_errors(_as_json(value))
        ]

    def part(self, pointer: str) -> Any:
        """The part of the schema at a pointer; None where there is none of this schema."""
        found: Any = self._schema
        for name in pointer.split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
            if found is None or (isinstance(found, Mapping) and "$id" in found):
                return None
        return found


class _Place:
    """What the schema at a pointer says of one place."""

    def __init__(
        self, checker: JsonSchemaChecker, pointer: str, schema: Any, needed: bool = False
    ) -> None:
        self._checker, self._pointer, self._schema = checker, pointer, schema
        self._needed = needed

    @property
    def free(self) -> bool:
        return self._schema in (True, {}) and not self._needed

    def is_for(self, record: type) -> bool:
        return True

    def step(self, key: Any) -> Point | None:
        pointer, schema = self._followed()
        if schema is True or schema == {}:
            return FREE
        if not isinstance(schema, Mapping) or ("$id" in schema and pointer):
            return None
        if isinstance(key, str) and SEPARATE.issuperset(schema):
            return self._property(pointer, schema, key)
        is_list = schema.get("type") == "array"  # else the key may be one of a mapping
        if isinstance(key, int) and is_list and ITEMS.issuperset(schema):
            items = schema.get("items", True)
            is_one = isinstance(items, (Mapping, bool))
            return _Place(self._checker, f"{pointer}/items", items) if is_one else None
        return None

    def _followed(self) -> tuple[str, Any]:
        """The schema and its pointer; those that it refers to, where it does nothing else."""
        pointer, schema = self._pointer, self._schema
        for _ in range(100):
            if not isinstance(schema, Mapping) or "$ref" not in schema:
                return pointer, schema
            target = unquote(str(schema["$ref"]))
            if not target.startswith("#/") or not (NOTES | {"$ref"}).issuperset(schema):
                break
            pointer, schema = target[1:], self._checker.part(target[1:])
        return pointer, None

    def _property(self, pointer: str, schema: Mapping[str, Any], key: str) -> Point | None:
        needed = key in schema.get("required", ())
        found = []
        if key in schema.get("properties", ()):
            found.append((f"properties/{_escaped(key)}", schema["properties"][key]))
        for pattern, one in schema.get("patternProperties", {}).items():
            if re.search(pattern, key):
                found.append((f"patternProperties/{_escaped(pattern)}", one))
        if len(found) > 1:
            return None
        if not found:
            other = schema.get("additionalProperties", True)
            if other is False:
                return Forbidden("Additional properties are not allowed")
            if other is True:
                return _Place(self._checker, "", True, needed) if needed else FREE
            found.append(("additionalProperties", other))
        name, one = found[0]
        return _Place(self._checker, f"{pointer}/{name}", one, needed)

    def check(self, value: Any, where: Where) -> Iterable[Problem]:
        if self._schema is True:
            return ()
        return self._checker.problems(self._pointer, value, where)

    def gone(self, where: Where) -> Iterable[Problem]:
        return required(where) if self._needed else ()


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _named(where: Where) -> Where:
    """A place with the zone as the state calls it."""
    return (zone_of(where[0]), *where[1:]) if where and isinstance(where[0], str) else where


def _as_json(value: Any) -> Any:
    """A plain value of the state as JSON has it; leaves that JSON does not have stay."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(key): _as_json(one) for key, one in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_as_json(one) for one in value]
    rule = rule_for(type(value))
    if rule is not None and rule.fields is not None and rule.kind == "record":
        return _as_json(rule.fields(value))
    return value
