"""Checking against pydantic models. Imported only when one is given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from theus.schema.point import Added, Point, Records, check_touched
from theus.schema.problem import MISSING, GetPlain, Problem, fetch, zone_of
from theus.schema.pydantic_points import model_point, unknown_point
from theus.schema.pydantic_values import fields_of, given_name, is_model, run

__all__ = ["PydanticChecker"]

Where = tuple[Any, ...]


class _Area(NamedTuple):
    """One field of the model: what it is called there, and in the state."""

    given: str
    key: str


class PydanticChecker:
    """Validates what was touched, each place alone where the model allows it."""

    def __init__(self, model: Any) -> None:
        self._validate: Callable[[Any], Any] = (
            model.model_validate if is_model(model) else TypeAdapter(model).validate_python
        )
        given = [given_name(name, field) for name, field in fields_of(model).items()]
        self._areas = [_Area(name, zone_of(name)) for name in given]
        self._keys = {area.key: area.given for area in self._areas}
        self._top = model_point(model) if is_model(model) else None
        self._unknown = unknown_point(model)

    def check(
        self,
        changed: Collection[Where] | None,
        added: Collection[Added],
        get_plain: GetPlain,
        records: Records,
    ) -> list[Problem]:
        """Problems of the places that were touched; of all with None."""
        found = None
        if changed is not None and self._top is not None:
            found = check_touched(self._area, changed, added, get_plain, records)
        if found is not None:
            return found
        keys = {path[0] for path in changed or ()} | {one.where[0] for one in added}
        return self._check_all(keys, get_plain)

    def _area(self, key: Any) -> Point | None:
        if self._top is None:
            return None
        return self._top.step(self._keys[key]) if key in self._keys else self._unknown

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
        return run(self._validate, whole, ())
