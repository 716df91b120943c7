"""Read-only views of plain values, as a worker sees its inputs.

A view shares the dict or list it shows and wraps nested ones when they are asked for. It
equals the plain value, takes names as attributes, is pickled and copied as the plain value,
and refuses every change with the path and the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from theus.errors import ContractViolationError, ImmutableError

__all__ = ["MappingView", "Reach", "SequenceView", "shown"]

_OF_DICTS = frozenset({"clear", "pop", "popitem", "setdefault", "update"})
_OF_LISTS = frozenset({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})
Path = tuple[Any, ...]


class Reach:
    """Which paths a process declared, asked only when something is not there."""

    __slots__ = ("declared", "process")

    def __init__(self, process: str, declared: tuple[str, ...]) -> None:
        self.process = process
        self.declared = declared

    def check(self, path: Path) -> None:
        """Return when the path, or something below it, is declared.

        Raises ContractViolationError otherwise.
        """
        from theus._core.pattern import compile_patterns, find  # compiled: only if needed

        if find(compile_patterns(self.declared, (), strict=False), path).flags:
            return
        text = _text(path)
        raise ContractViolationError(
            f"Illegal Read: process {self.process!r} has no permission to read {text!r}; its "
            f"inputs are {', '.join(self.declared) or 'none'}. Declare the path in `inputs`.",
            process=self.process,
            path=text,
            action="read",
            allowed=self.declared,
        )


def _text(path: Path) -> str:
    head, *rest = path
    return str(head) + "".join(
        f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]" for key in rest
    )


def shown(value: Any, path: Path, reach: Reach | None = None) -> Any:
    """``value`` as a process may see it: dicts and lists as views, sets frozen, others as is."""
    kind = type(value)
    if kind is dict:
        return MappingView(value, path, reach)
    if kind is list:
        return SequenceView(value, path, reach)
    return frozenset(value) if kind is set else value


def _plain(value: Any) -> Any:
    return value._data if isinstance(value, (MappingView, SequenceView)) else value


def _refuse(path: Path) -> NoReturn:
    text = _text(path)
    raise ImmutableError(
        f"Cannot change {text!r} in a worker: it sees a read-only copy of its inputs. Return "
        f"the new value; it is written to the declared outputs when the result is committed.",
        path=text,
    )


class _View:
    """What both views share. Reads are thread-safe; there are no writes."""

    __slots__ = ("_data", "_path", "_reach")
    __hash__ = None  # type: ignore[assignment]

    _changers: frozenset[str] = frozenset()
    _data: Any
    _path: Path
    _reach: Reach | None

    def __init__(self, data: Any, path: Path = ("value",), reach: Reach | None = None) -> None:
        object.__setattr__(self, "_data", data)
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_reach", reach)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return repr(self._data)

    def __eq__(self, other: object) -> bool:
        return bool(self._data == _plain(other))

    def _deny(self, *_: Any, **__: Any) -> NoReturn:
        _refuse(self._path)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        _refuse((*self._path, name))

    def __delattr__(self, name: str) -> NoReturn:
        _refuse((*self._path, name))

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        _refuse((*self._path, key))

    def __delitem__(self, key: Any) -> NoReturn:
        _refuse((*self._path, key))

    def _denied(self, name: str) -> Callable[..., NoReturn] | None:
        return self._deny if name in self._changers else None


class MappingView(_View, Mapping[Any, Any]):
    """A read-only mapping; keys that are identifiers and no names of methods are attributes too.

    >>> view = MappingView({"user": {"name": "An"}}, ("domain",))
    >>> view.user.name, view["user"] == {"name": "An"}
    ('An', True)
    >>> view.user.name = "Bo"
    Traceback (most recent call last):
    theus.errors.ImmutableError: Cannot change 'domain.user.name' in a worker: ...
    """

    __slots__ = ()
    _changers = _OF_DICTS

    def __getitem__(self, key: Any) -> Any:
        try:
            value = self._data[key]
        except KeyError:
            self._missing(key)
            raise
        return shown(value, (*self._path, key), self._reach)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __contains__(self, key: object) -> bool:
        if key in self._data:
            return True
        self._missing(key)
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._data:
            return self[name]
        if denied := self._denied(name):
            return denied
        self._missing(name)
        raise AttributeError(f"{_text(self._path)} has no {name!r}")

    def __dir__(self) -> list[str]:
        names = [key for key in self._data if isinstance(key, str) and key.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def __or__(self, other: Any) -> Any:
        return dict(self._data) | dict(_plain(other))

    def __ror__(self, other: Any) -> Any:
        return dict(other) | dict(self._data)

    def __ior__(self, other: Any) -> NoReturn:
        _refuse(self._path)

    def __reduce__(self) -> Any:
        return dict, (dict(self._data),)

    def _missing(self, key: object) -> None:
        if self._reach is not None:
            self._reach.check((*self._path, key))


class SequenceView(_View, Sequence[Any]):
    """A read-only list.

    >>> view = SequenceView([1, [2, 3]], ("domain", "rows"))
    >>> view[1][0], view + [4], view == [1, [2, 3]]
    (2, [1, [2, 3], 4], True)
    >>> view.append(5)
    Traceback (most recent call last):
    theus.errors.ImmutableError: Cannot change 'domain.rows' in a worker: ...
    """

    __slots__ = ()
    _changers = _OF_LISTS

    def __getitem__(self, index: Any) -> Any:
        return shown(self._data[index], (*self._path, index), self._reach)

    def __iter__(self) -> Iterator[Any]:
        for index, value in enumerate(self._data):
            yield shown(value, (*self._path, index), self._reach)

    def __contains__(self, value: object) -> bool:
        return _plain(value) in self._data

    def __getattr__(self, name: str) -> Any:
        if denied := self._denied(name):
            return denied
        raise AttributeError(f"a list ({_text(self._path)}) has no attribute {name!r}")

    def __add__(self, other: Any) -> Any:
        return self._data + list(_plain(other))

    def __radd__(self, other: Any) -> Any:
        return list(other) + self._data

    def __mul__(self, times: Any) -> Any:
        return self._data * times

    __rmul__ = __mul__

    def __iadd__(self, other: Any) -> NoReturn:
        _refuse(self._path)

    def __imul__(self, times: Any) -> NoReturn:
        _refuse(self._path)

    def __reduce__(self) -> Any:
        return list, (self._data,)
