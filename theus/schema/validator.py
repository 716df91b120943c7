"""`SchemaValidator`: what the commit calls."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Collection, Mapping
from typing import Any, Protocol, final

from theus._core.path import format_path
from theus.errors import SchemaViolationError, SettingsError
from theus.schema.point import Added, Records, no_records
from theus.schema.problem import MISSING, GetPlain, Problem

__all__ = ["SchemaValidator"]

MAX_SHOWN = 20
KEYWORDS = frozenset(("$schema", "$ref", "type", "properties", "allOf", "anyOf", "oneOf"))
"""One of these is in every JSON Schema of a state."""

Where = tuple[Any, ...]


class _Checker(Protocol):
    def check(
        self,
        changed: Collection[Where] | None,
        added: Collection[Added],
        get_plain: GetPlain,
        records: Records,
    ) -> list[Problem]: ...


@final
class SchemaValidator:
    """Checks the state that a commit would leave against a model.

    Parameters
    ----------
    model:
        A pydantic v2 model or a dataclass (the class): its fields are the top-level areas of the
        state, in any spelling of the zones. Or a JSON Schema (a mapping): its properties are. Or
        an object whose method `model` returns one of these, such as a `ContextSchema`.
        Areas that are not named are not checked, unless the model forbids others.

    Raises
    ------
    SettingsError
        `model` is none of these, or what checks it is not installed.

    Pydantic is not imported here: whoever has a model of it has imported it. Instances may be
    shared by threads.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, (type, Mapping)) and callable(getattr(model, "model", None)):
            model = model.model()
        self._model = model
        self._checker = _checker_for(model)

    @property
    def model(self) -> Any:
        """The class given."""
        return self._model

    def validate(
        self,
        changed: Collection[str | Where] | None,
        get_plain: GetPlain,
        *,
        added: Collection[Added] = (),
        records: Records = no_records,
        process: str | None = None,
    ) -> None:
        """Raise SchemaViolationError if the resulting state does not fit.

        Parameters
        ----------
        changed:
            Paths (keys) of what changed, or top-level keys. Each is checked by what the model
            says of that place alone; where the rules of a container look at it as a whole
            (validators of a model, lengths, unions ...), the container is. None checks
            everything.
        get_plain:
            ``get_plain(path)`` -> the plain value at a path of the resulting state; raises
            a `LookupError` where there is none.
        added:
            Values that came to lists and sets which otherwise are as they were.
        records:
            ``records(path)`` -> (depth, class) of the records that a path leads through.
        process:
            Whose change it is, for the error.

        The error names every place that does not fit. O(size of what is checked). The
        validators of a model are user code: call this outside any lock.
        """
        paths = None
        if changed is not None:
            paths = [(one,) if isinstance(one, str) else one for one in changed]
        problems = self._checker.check(paths, added, get_plain, records)
        if problems:
            raise _violation(self._model, problems, process)


def _checker_for(model: Any) -> _Checker:
    if isinstance(model, type):
        if hasattr(model, "__pydantic_validator__"):
            from theus.schema.pydantic_ import PydanticChecker

            return PydanticChecker(model)
        if dataclasses.is_dataclass(model):
            from theus.schema.dataclass_ import DataclassChecker

            return DataclassChecker(model)
    elif isinstance(model, Mapping) and not KEYWORDS.isdisjoint(model):
        from theus.schema.json_schema import JsonSchemaChecker

        return JsonSchemaChecker(model)
    raise SettingsError(
        f"a schema is a pydantic v2 model or a dataclass (the class, not an instance), or a JSON "
        f"Schema (a mapping), not {reprlib.repr(model)}",
        option="schema",
        value=reprlib.repr(model),
    )


def _violation(model: Any, problems: list[Problem], process: str | None) -> SchemaViolationError:
    lines = [_line(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN} more")
    errors = tuple(
        {
            "path": _path(problem),
            "loc": problem.where,
            "msg": problem.text,
            "type": problem.kind,
            "found": None if problem.value is MISSING else type(problem.value).__qualname__,
        }
        for problem in problems
    )
    name = model.__qualname__ if isinstance(model, type) else model.get("title", "the JSON Schema")
    whose = f"what process {process!r} would commit" if process else "the state"
    return SchemaViolationError(
        f"Schema Violation: {whose} does not fit {name}: {'; '.join(lines)}. Nothing was changed.",
        errors=errors,
        place=errors[0]["path"],
        process=process,
    )


def _path(problem: Problem) -> str:
    return format_path(problem.where) if problem.where else "(the whole state)"


def _line(problem: Problem) -> str:
    found = ""
    if problem.value is not MISSING:
        found = f" (found {type(problem.value).__qualname__} {reprlib.repr(problem.value)})"
    return f"{_path(problem)}: {problem.text}{found}"
