"""Return values to declared outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

from theus._core.path import parse_path
from theus._core.pattern import is_exact
from theus.errors import ContractViolationError, PathError, UnsupportedValueError

__all__ = ["OutputPlan", "plan_outputs"]

Parts = tuple[Any, ...]


@final
class OutputPlan:
    """How the return value of one process maps to its outputs.

    Made by `plan_outputs`, immutable, may be shared by threads. Outputs with wildcards are
    for writes in place; return values map to the others, in the order declared.
    """

    __slots__ = ("_by_last", "_by_parts", "_by_text", "_one", "_paths", "_process")

    def __init__(self, process: str, paths: tuple[tuple[str, Parts], ...]) -> None:
        self._process = process
        self._paths = paths
        self._one = paths[0][1] if len(paths) == 1 else None
        self._by_parts = {parts: number for number, (_, parts) in enumerate(paths)}
        self._by_text = {text: number for number, (text, _) in enumerate(paths)}
        self._by_last: dict[Any, list[int]] = {}
        for number, (_, parts) in enumerate(paths):
            self._by_last.setdefault(parts[-1], []).append(number)

    @property
    def targets(self) -> tuple[Parts, ...]:
        """Keys of the paths that return values map to, in order."""
        return tuple(parts for _, parts in self._paths)

    def assign(self, value: Any) -> list[tuple[Parts, Any]]:
        """Pairs of (keys of a path, value to put there), in the order declared.

        None maps to nothing (the process wrote in place, or had nothing to say); so does any
        value where no output can take one. One output takes the value as it is. Several take
        a tuple or list in order, or a mapping by path or by last name, which may leave out
        outputs.

        Raises ContractViolationError where the value has none of these forms. O(1) for one
        output, else O(outputs).
        """
        if value is None:
            return []
        if self._one is not None:
            return [(self._one, value)]
        if not self._paths:
            return []
        if isinstance(value, Mapping):
            return self._from_mapping(value)
        if isinstance(value, (tuple, list)):
            if len(value) != len(self._paths):
                raise self._refusal(f"a {type(value).__name__} of length {len(value)}")
            return [(parts, item) for (_, parts), item in zip(self._paths, value, strict=True)]
        raise self._refusal(f"one value of type {type(value).__name__}")

    def _from_mapping(self, value: Mapping[Any, Any]) -> list[tuple[Parts, Any]]:
        found: dict[int, Any] = {}
        for key in value:
            number = self._number(key)
            if number in found:
                path = self._paths[number][0]
                raise self._refusal(
                    f"two values for {path!r} (the second under the key {key!r})", path
                )
            found[number] = value[key]
        return [(self._paths[number][1], found[number]) for number in sorted(found)]

    def _number(self, key: Any) -> int:
        number = self._by_text.get(key)
        if number is not None:
            return number
        numbers = self._by_last.get(key, ())
        if len(numbers) == 1:
            return numbers[0]
        if numbers:
            paths = " and ".join(repr(self._paths[number][0]) for number in numbers)
            raise self._refusal(
                f"the key {key!r}, which is the last name of {paths}; use the whole path"
            )
        try:
            number = self._by_parts.get(parse_path(key))
        except (PathError, UnsupportedValueError):
            number = None
        if number is None:
            raise self._refusal(f"the key {key!r}, which is no output", str(key))
        return number

    def _refusal(self, what: str, path: str = "") -> ContractViolationError:
        paths = tuple(text for text, _ in self._paths)
        count = len(paths)
        return ContractViolationError(
            f"Process {self._process!r} declares {count} outputs ({', '.join(paths)}) but returned "
            f"{what}. Return (1) a tuple or list of {count} values in that order, (2) a dict by "
            f"path, {{{paths[0]!r}: value, ...}}, or (3) a dict by last name, "
            f"{{{self._paths[0][1][-1]!r}: value, ...}}; or None after writing in place.",
            process=self._process,
            path=path or ", ".join(paths),
            action="return",
            allowed=paths,
        )


def plan_outputs(outputs: Iterable[str], process: str = "") -> OutputPlan:
    """Prepare the mapping of return values for one process.

    Raises PathError for a malformed path.
    """
    exact = dict.fromkeys(text for text in outputs if is_exact(text))
    return OutputPlan(process, tuple((text, parse_path(text)) for text in exact))
