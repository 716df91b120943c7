"""`SchemaValidator`: what the commit calls."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Collection
from typing import Any, Protocol, final

from theus._core.path import format_path
from theus.errors import SchemaViolationError, SettingsError
from theus.schema.problem import MISSING, GetPlain, Problem

__all__ = ["SchemaValidator"]

MAX_SHOWN = 20


class _Checker(Protocol):
    def check(self, changed: Collection[str] | None, get_plain: GetPlain) -> list[Problem]: ...


@final
class SchemaValidator:
    """Checks the state that a commit would leave against a model.

    Parameters
    ----------
    model:
        A pydantic v2 model or a dataclass (the class). Its fields are the top-level areas of
        the state, in any spelling of the zones; areas it does not name are not checked,
        unless a pydantic model forbids extra fields.

    Raises
    ------
    SettingsError
        `model` is neither.

    Pydantic is not imported here: whoever has a model of it has imported it. Instances keep
    no state between calls and may be shared by threads.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._checker = _checker_for(model)

    @property
    def model(self) -> Any:
        """The class given."""
        return self._model

    def validate(self, changed: Collection[str] | None, get_plain: GetPlain) -> None:
        """Raise SchemaViolationError if the resulting state does not fit.

        Parameters
        ----------
        changed:
            The top-level keys whose content changed. An area that did not change is not
            checked again, unless the model has validators that look at several areas. None
            checks everything.
        get_plain:
            ``get_plain(path)`` -> the plain value at a path of the resulting state; raises
            a `LookupError` where there is none.

        The error names every place that does not fit. O(size of the areas checked). The
        validators of a model are user code: call this outside any lock.
        """
        problems = self._checker.check(changed, get_plain)
        if problems:
            raise _violation(self._model, problems)


def _checker_for(model: Any) -> _Checker:
    if isinstance(model, type):
        if hasattr(model, "__pydantic_validator__"):
            from theus.schema.pydantic_ import PydanticChecker

            return PydanticChecker(model)
        if dataclasses.is_dataclass(model):
            from theus.schema.dataclass_ import DataclassChecker

            return DataclassChecker(model)
    raise SettingsError(
        f"a schema is a pydantic v2 model or a dataclass (the class, not an instance), not "
        f"{reprlib.repr(model)}",
        option="schema",
        value=reprlib.repr(model),
    )


def _violation(model: Any, problems: list[Problem]) -> SchemaViolationError:
    lines = [_line(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN} more")
    errors = tuple(
        {"path": _path(problem), "loc": problem.where, "msg": problem.text, "type": problem.kind}
        for problem in problems
    )
    return SchemaViolationError(
        f"Schema Violation: the state does not fit {model.__qualname__}: {'; '.join(lines)}. "
        f"Nothing was changed.",
        errors=errors,
        place=errors[0]["path"],
    )


def _path(problem: Problem) -> str:
    return format_path(problem.where) if problem.where else "(the whole state)"


def _line(problem: Problem) -> str:
    found = "" if problem.value is MISSING else f" (found {reprlib.repr(problem.value)})"
    return f"{_path(problem)}: {problem.text}{found}"
