"""Checking against dataclasses: annotations as isinstance checks, without other libraries."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from theus.errors import SettingsError
from theus.schema.point import FREE, Added, Point, Records, check_touched
from theus.schema.problem import MISSING, GetPlain, Problem, zone_of

__all__ = ["DataclassChecker"]

Where = tuple[Any, ...]
Found = Iterator[Problem]


class DataclassChecker:
    """Checks areas of the state against the annotations of a dataclass.

    A field that has no default must be there. ``int`` fits ``float``, ``bool`` does not fit
    ``int``; containers are checked to their items, nested dataclasses to their fields.
    Annotations it has no rule for fit everything.
    """

    def __init__(self, model: type) -> None:
        self._hints = _hints(model)
        self._fields = {zone_of(item.name): item for item in dataclasses.fields(model)}

    def check(
        self,
        changed: Collection[Where] | None,
        added: Collection[Added],
        get_plain: GetPlain,
        records: Records,
    ) -> list[Problem]:
        """Problems of the places that were touched; of all with None."""
        if changed is None:
            changed = [(key,) for key in self._fields]
        return check_touched(self._area, changed, added, get_plain) or []

    def _area(self, key: Any) -> Point:
        item = self._fields.get(key)
        return FREE if item is None else _Hinted(self._hints[item.name], item)


class _Hinted:
    """A place with an annotation; `item`: the field that it is, `key`: what its key has to be."""

    def __init__(self, hint: Any, item: Any = None, key: Any = Any) -> None:
        self._hint, self._item, self._key = hint, item, key

    @property
    def free(self) -> bool:
        return self._item is None and self._key is Any and self._hint in (Any, object)

    def step(self, key: Any) -> Point | None:
        hint = _bare(self._hint)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            fields = {item.name: item for item in dataclasses.fields(hint)}
            item = fields.get(key)
            return FREE if item is None else _Hinted(_hints(hint)[key], item)
        origin = typing.get_origin(hint)
        if origin in _RULES:
            return None
        if not isinstance(origin, type):
            return FREE
        args = typing.get_args(hint)
        if issubclass(origin, abc.Mapping):
            return _Hinted(args[-1], key=args[0])
        return _Hinted(args[0]) if issubclass(origin, abc.Collection) else FREE

    def is_for(self, record: type) -> bool:
        return True

    def check(self, value: Any, where: Where) -> Found:
        yield from _check(self._key, where[-1], where)
        yield from _check(self._hint, value, where)

    def gone(self, where: Where) -> Iterable[Problem]:
        return () if self._item is None else list(_field(self._item, Any, MISSING, where))


def _bare(hint: Any) -> Any:
    """An annotation without notes and without the alternative None."""
    if typing.get_origin(hint) is typing.Annotated:
        return _bare(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [one for one in typing.get_args(hint) if one is not type(None)]
        return _bare(others[0]) if len(others) == 1 else hint
    return hint


@lru_cache(maxsize=1024)
def _hints(model: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(model)
    except NameError as error:
        raise SettingsError(
            f"an annotation of the schema {model.__qualname__} cannot be resolved: {error}",
            option="schema",
            value=model.__qualname__,
        ) from error


def _field(item: dataclasses.Field[Any], hint: Any, value: Any, where: Where) -> Found:
    if value is not MISSING:
        yield from _check(hint, value, where)
    elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
        yield Problem(where, "Field required", "missing")


def _check(hint: Any, value: Any, where: Where) -> Found:
    if hint is Any:
        return
    origin = typing.get_origin(hint)
    if origin is not None:
        rule = _RULES.get(origin) or _container_rule(origin)
        if rule is not None:
            yield from rule(typing.get_args(hint), value, where)
    elif hint is None or hint is type(None):
        if value is not None:
            yield _wrong("None", value, where)
    elif isinstance(hint, type):
        yield from _check_class(hint, value, where)


def _check_class(hint: type, value: Any, where: Where) -> Found:
    if dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            value = {
                item.name: getattr(value, item.name)
                for item in dataclasses.fields(hint)
                if hasattr(value, item.name)
            }
        if not isinstance(value, Mapping):
            yield _wrong(hint.__qualname__, value, where)
            return
        hints = _hints(hint)
        for item in dataclasses.fields(hint):
            found = value.get(item.name, MISSING)
            yield from _field(item, hints[item.name], found, (*where, item.name))
    elif not _is_instance(value, hint):
        yield _wrong(hint.__qualname__, value, where)


def _is_instance(value: Any, hint: type) -> bool:
    if isinstance(value, bool) and hint in (int, float, complex):
        return False
    if isinstance(value, int) and hint in (float, complex):
        return True
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol that cannot be asked at run time
        return True


def _wrong(expected: str, value: Any, where: Where) -> Problem:
    return Problem(where, f"should be {expected}, not {type(value).__qualname__}", "type", value)


def _check_union(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
    tried = [list(_check(hint, value, where)) for hint in hints]
    if all(tried):
        # the alternative that went deepest is the one that was meant
        yield from max(tried, key=lambda problems: max(len(item.where) for item in problems))


def _check_literal(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
    if not any(type(value) is type(hint) and value == hint for hint in hints):
        yield Problem(where, f"should be one of {', '.join(map(repr, hints))}", "literal", value)


def _check_annotated(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
    yield from _check(hints[0], value, where)


def _check_mapping(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
    if not isinstance(value, Mapping):
        yield _wrong("a mapping", value, where)
        return
    for key, item in value.items():
        yield from _check(hints[0], key, (*where, key))
        yield from _check(hints[-1], item, (*where, key))


def _check_tuple(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
    if not isinstance(value, tuple):
        yield _wrong("tuple", value, where)
    elif len(hints) == 2 and hints[1] is Ellipsis:
        yield from _check_items(hints, value, where)
    elif len(hints) != len(value):
        yield Problem(where, f"should have {len(hints)} items, has {len(value)}", "length", value)
    else:
        for index, (hint, item) in enumerate(zip(hints, value, strict=True)):
            yield from _check(hint, item, (*where, index))


def _check_items(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
    for index, item in enumerate(value):
        yield from _check(hints[0], item, (*where, index))


Rule = Callable[[tuple[Any, ...], Any, Where], Found]
_RULES: dict[Any, Rule] = {
    typing.Union: _check_union,
    types.UnionType: _check_union,
    Literal: _check_literal,
    typing.Annotated: _check_annotated,
    tuple: _check_tuple,
}


def _container_rule(origin: Any) -> Rule | None:
    if not isinstance(origin, type) or origin is type:
        return None
    if issubclass(origin, abc.Mapping):
        return _check_mapping
    if not issubclass(origin, abc.Collection):
        return None

    def check(hints: tuple[Any, ...], value: Any, where: Where) -> Found:
        if isinstance(value, (str, bytes)) or not isinstance(value, origin):
            yield _wrong(origin.__name__, value, where)
        else:
            yield from _check_items(hints, value, where)

    return check
