"""Views of plain values, as a process in a worker sees its inputs.

A view shares the dict, list or set it shows and wraps nested ones when they are asked for. It
equals the plain value, takes names as attributes, and is pickled and copied as the plain value.
What may be read and written is asked of its `Scope`; what is written is noted there, so that it
can be sent back (:mod:`theus.parallel.changes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, MutableSequence, MutableSet
from typing import Any, NoReturn, Self

from theus.parallel.scope import Path, Scope, text_of

__all__ = ["MappingView", "SequenceView", "SetView", "plain", "shown"]

_FREE = Scope()


def shown(value: Any, path: Path, scope: Scope) -> Any:
    """``value`` as a process may see it: dicts, lists and sets as views, others as they are."""
    kind = type(value)
    if kind is dict:
        return MappingView(value, path, scope)
    if kind is list:
        return SequenceView(value, path, scope)
    if kind is set:
        return SetView(value, path, scope) if scope.writes else frozenset(value)
    scope.hand_out(value, path)
    return value


def plain(value: Any) -> Any:
    """What a view shows, by reference; other values as they are, without the views in them."""
    if isinstance(value, _View):
        return value._data
    kind = type(value)
    if kind is dict and any(map(_holds, value.values())):
        return {key: plain(one) for key, one in value.items()}
    if kind in (list, tuple) and any(map(_holds, value)):
        return kind(plain(one) for one in value)
    return value


def _holds(value: Any) -> bool:
    """Whether there is a view in it."""
    kind = type(value)
    if kind is dict:
        return any(map(_holds, value.values()))
    return any(map(_holds, value)) if kind in (list, tuple) else isinstance(value, _View)


class _View:
    """What all views share."""

    __slots__ = ("_data", "_path", "_scope")
    __hash__ = None  # type: ignore[assignment]

    _data: Any
    _path: Path
    _scope: Scope

    def __init__(self, data: Any, path: Path = ("value",), scope: Scope | None = None) -> None:
        object.__setattr__(self, "_data", data)
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_scope", _FREE if scope is None else scope)

    def __len__(self) -> int:
        self._whole()
        return len(self._data)

    def __repr__(self) -> str:
        return repr(self._data)

    def __eq__(self, other: object) -> bool:
        self._whole()
        return bool(self._data == plain(other))

    def __reduce__(self) -> Any:
        return type(self._data), (self._data,)

    def _whole(self) -> None:
        """All of it is read."""
        self._scope.check_whole(self._path)

    def _change(self, *key: Any) -> Any:
        """It is about to be changed, at a key or as a whole; its data, once that is allowed."""
        self._scope.check_write((*self._path, *key))
        self._scope.note(self._data, self._path)
        return self._data


class MappingView(_View, MutableMapping[Any, Any]):
    """A mapping; keys that are identifiers and no names of methods are attributes too.

    >>> view = MappingView({"user": {"name": "An"}}, ("domain",))
    >>> view.user.name, view["user"] == {"name": "An"}
    ('An', True)
    >>> view.user.name = "Bo"
    Traceback (most recent call last):
    theus.errors.ImmutableError: Cannot change 'domain.user.name' in a worker: ...
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        try:
            value = self._data[key]
        except KeyError:
            self._scope.check_read((*self._path, key))
            raise
        return shown(value, (*self._path, key), self._scope)

    def __setitem__(self, key: Any, value: Any) -> None:
        data = self._change(key)
        data[key] = plain(value)

    def __delitem__(self, key: Any) -> None:
        data = self._change(key)
        del data[key]

    def __iter__(self) -> Iterator[Any]:
        self._whole()
        return iter(self._data)

    def __contains__(self, key: object) -> bool:
        if key in self._data:
            return True
        self._scope.check_read((*self._path, key))
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._data:
            return self[name]
        self._scope.check_read((*self._path, name))
        raise AttributeError(f"{text_of(self._path)} has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._data:
            self._change(name)
            raise AttributeError(f"{text_of(self._path)} has no {name!r}")
        del self[name]

    def __dir__(self) -> list[str]:
        names = [key for key in self._data if isinstance(key, str) and key.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def pop(self, key: Any, *default: Any) -> Any:
        """As `dict.pop`."""
        return self._change().pop(key, *default)

    def popitem(self) -> tuple[Any, Any]:
        """As `dict.popitem`."""
        found: tuple[Any, Any] = self._change().popitem()
        return found

    def clear(self) -> None:
        """As `dict.clear`."""
        self._change().clear()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As `dict.setdefault`."""
        if key not in self._data:
            self._change().setdefault(key, plain(default))
        return self[key]

    def update(self, *other: Any, **more: Any) -> None:
        """As `dict.update`."""
        items = dict(*(plain(one) for one in other), **more)
        self._change().update({key: plain(value) for key, value in items.items()})

    def __or__(self, other: Any) -> Any:
        self._whole()
        return dict(self._data) | dict(plain(other))

    def __ror__(self, other: Any) -> Any:
        self._whole()
        return dict(other) | dict(self._data)

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __reduce__(self) -> Any:
        return dict, (dict(self._data),)


class SequenceView(_View, MutableSequence[Any]):
    """A list.

    >>> view = SequenceView([1, [2, 3]], ("domain", "rows"))
    >>> view[1][0], view + [4], view == [1, [2, 3]]
    (2, [1, [2, 3], 4], True)
    >>> view.append(5)
    Traceback (most recent call last):
    theus.errors.ImmutableError: Cannot change 'domain.rows' in a worker: ...
    """

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        found = self._data[index]
        if isinstance(index, slice):
            places = range(*index.indices(len(self._data)))
            pairs = zip(found, places, strict=True)
            return [shown(one, (*self._path, place), self._scope) for one, place in pairs]
        return shown(found, (*self._path, index % len(self._data)), self._scope)

    def __setitem__(self, index: Any, value: Any) -> None:
        data = self._change(*(() if isinstance(index, slice) else (index,)))
        data[index] = [plain(one) for one in value] if isinstance(index, slice) else plain(value)

    def __delitem__(self, index: Any) -> None:
        del self._change(*(() if isinstance(index, slice) else (index,)))[index]

    def __iter__(self) -> Iterator[Any]:
        for index, value in enumerate(self._data):
            yield shown(value, (*self._path, index), self._scope)

    def __contains__(self, value: object) -> bool:
        return plain(value) in self._data

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a list ({text_of(self._path)}) has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        self._change(name)
        raise AttributeError(f"a list ({text_of(self._path)}) has no attribute {name!r}")

    def insert(self, index: Any, value: Any) -> None:
        """As `list.insert`."""
        self._change().insert(index, plain(value))

    def append(self, value: Any) -> None:
        """As `list.append`."""
        self._change().append(plain(value))

    def extend(self, values: Iterable[Any]) -> None:
        """As `list.extend`."""
        self._change().extend([plain(one) for one in plain(values)])

    def pop(self, index: Any = -1) -> Any:
        """As `list.pop`."""
        return self._change().pop(index)

    def remove(self, value: Any) -> None:
        """As `list.remove`."""
        self._change().remove(plain(value))

    def clear(self) -> None:
        """As `list.clear`."""
        self._change().clear()

    def reverse(self) -> None:
        """As `list.reverse`."""
        self._change().reverse()

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """As `list.sort`."""
        self._change().sort(key=key, reverse=reverse)

    def copy(self) -> list[Any]:
        """As `list.copy`."""
        return list(self)

    def __add__(self, other: Iterable[Any]) -> Any:
        return self._data + list(plain(other))

    def __radd__(self, other: Any) -> Any:
        return list(other) + self._data

    def __mul__(self, times: Any) -> Any:
        return self._data * times

    __rmul__ = __mul__

    def __iadd__(self, other: Iterable[Any]) -> Self:
        self.extend(other)
        return self

    def __imul__(self, times: Any) -> Self:
        data = self._change()
        data *= times
        return self


class SetView(_View, MutableSet[Any]):
    """A set."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return value in self._data

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    @classmethod
    def _from_iterable(cls, values: Iterable[Any]) -> Any:
        return set(values)

    def add(self, value: Any) -> None:
        """As `set.add`."""
        self._change().add(value)

    def discard(self, value: Any) -> None:
        """As `set.discard`."""
        self._change().discard(value)

    def update(self, *others: Iterable[Any]) -> None:
        """As `set.update`."""
        self._change().update(*(plain(one) for one in others))

    def __getattr__(self, name: str) -> Any:
        """The methods of a set that change nothing."""
        if name in _SET_READS:
            return getattr(self._data, name)
        if name in _SET_WRITES:
            return getattr(self._change(), name)
        raise AttributeError(f"a set ({text_of(self._path)}) has no attribute {name!r}")


_SET_READS = frozenset(
    {"copy", "difference", "intersection", "issubset", "issuperset", "symmetric_difference"}
) | {"union"}
_SET_WRITES = frozenset({"difference_update", "intersection_update", "symmetric_difference_update"})
