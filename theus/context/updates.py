"""What a process may return instead of plain values for its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from theus.errors import PathError, UnsupportedValueError

__all__ = ["FunctionResult", "StateUpdate"]


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """Changes of the state, spelled out.

    Parameters
    ----------
    key, val:
        One path (text or keys) and the value that replaces what is there.
    data:
        Changes as of `State.update`: the fields of the zones ``domain`` and ``global`` are
        merged one level deep, any other top-level key and any dotted key is replaced.
    heavy:
        Keys of the heavy zone and what to put there, by reference.
    signal:
        Topics and payloads, sent once after the commit.
    delete:
        Paths to delete.
    assert_version:
        Commit only if the state still has this version.

    Raises
    ------
    PathError
        ``val`` without ``key``, or ``delete`` is no list of paths.
    UnsupportedValueError
        ``data``, ``heavy`` or ``signal`` is no mapping, or ``assert_version`` no number.

    The values stay the caller's own until the commit copies them in.
    """

    key: str | tuple[Any, ...] | None = None
    val: Any = None
    data: Mapping[str, Any] | None = None
    heavy: Mapping[str, Any] | None = None
    signal: Mapping[str, Any] | None = None
    delete: Iterable[str | tuple[Any, ...]] | None = None
    assert_version: int | None = None

    def __post_init__(self) -> None:
        if self.key is None and self.val is not None:
            raise PathError("StateUpdate: `val` needs `key`, the path where it goes", path="")
        for part in ("data", "heavy", "signal"):
            _check_mapping(part, getattr(self, part))
        object.__setattr__(self, "delete", _paths(self.delete))
        version = self.assert_version
        if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
            raise UnsupportedValueError(
                f"StateUpdate: `assert_version` is a version number, not {version!r}",
                type_name=type(version).__qualname__,
            )

    def __bool__(self) -> bool:
        """Whether there is anything to do or to assert."""
        return bool(
            self.key is not None
            or self.data
            or self.heavy
            or self.signal
            or self.delete
            or self.assert_version is not None
        )


def _check_mapping(part: str, value: Any) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise UnsupportedValueError(
            f"StateUpdate: `{part}` is a mapping, not {type(value).__qualname__}",
            type_name=type(value).__qualname__,
        )


def _paths(value: Any) -> tuple[str | tuple[Any, ...], ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise PathError(
            f"StateUpdate: `delete` is a list of paths; write delete=[{value!r}]", path=str(value)
        )
    return tuple(value)


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """A return value together with further changes, committed as one.

    ``value`` maps to the declared outputs as if it had been returned by itself and is what
    the caller gets; ``update`` is applied in the same commit.
    """

    value: Any = None
    update: StateUpdate | None = None

    def __post_init__(self) -> None:
        if self.update is not None and not isinstance(self.update, StateUpdate):
            raise UnsupportedValueError(
                f"FunctionResult: `update` is a StateUpdate, not {type(self.update).__qualname__}",
                type_name=type(self.update).__qualname__,
            )
