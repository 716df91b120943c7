"""A key store with versions, and proxies that show an object without handing it out.

For programs that keep objects of their own beside the state: connections, models, caches. The
store holds references and never copies; a proxy decides what may be done with what it shows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, final

from theus._core.freeze import rule_for
from theus._core.path import format_path, parse_path
from theus._core.view import FrozenDict
from theus.context.plain import plain
from theus.errors import ContractViolationError, UnsupportedValueError

if TYPE_CHECKING:
    from theus._core.transaction import Transaction

__all__ = ["SequenceProxy", "SupervisorCore", "SupervisorProxy"]

_NOTHING: Final = object()


@final
class SupervisorCore:
    """Values by key, held by reference, with a version per key. Safe to use from any thread.

    The first write of a key gives it version 1, every further one adds one. A key that was
    removed and is written again goes on above the versions of what was removed before, so an
    equal version always means the same write.
    """

    __slots__ = ("_entries", "_floor", "_lock")

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Any, int]] = {}
        self._floor = 0
        self._lock = threading.Lock()

    def read(self, key: str, default: Any = None) -> Any:
        """The very object that was written last, or `default`. O(1), without a lock."""
        entry = self._entries.get(key)
        return default if entry is None else entry[0]

    def write(self, key: str, value: Any) -> int:
        """Keep `value` under `key`; the new version of the key.

        Raises UnsupportedValueError for a key that is no text.
        """
        if type(key) is not str:
            raise UnsupportedValueError(
                f"a key of the store is a str, not {type(key).__qualname__}",
                type_name=type(key).__qualname__,
            )
        with self._lock:  # what is replaced is released after it: its end may run any code
            before = self._entries.get(key)
            version = (self._floor if before is None else before[1]) + 1
            self._entries[key] = (value, version)
        return version

    def get_version(self, key: str) -> int:
        """The version of a key; 0 where there is none."""
        entry = self._entries.get(key)
        return 0 if entry is None else entry[1]

    def contains(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._entries

    def keys(self) -> list[str]:
        """The keys, in the order of their first write."""
        with self._lock:
            return list(self._entries)

    def remove(self, key: str) -> bool:
        """Forget a key; whether it was there."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is not None:
                self._floor = max(self._floor, entry[1])
        return entry is not None

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<SupervisorCore with {len(self)} keys>"


class _Proxy:
    """What the proxies share: where they stand, what may be done, and how parts are shown."""

    __slots__ = ("_parts", "_read_only", "_target", "_transaction")

    _parts: tuple[Any, ...]
    _read_only: bool
    _target: Any
    _transaction: Transaction | None

    def _stand(
        self, target: Any, parts: tuple[Any, ...], read_only: bool, transaction: Any
    ) -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_read_only", read_only)
        object.__setattr__(self, "_transaction", transaction)

    @property
    def path(self) -> str:
        """Where this is, as a dotted path; empty for what has no place."""
        return format_path(self._parts) if self._parts else ""

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._read_only

    def is_proxy(self) -> bool:
        """True: this shows another object."""
        return True

    def _writable(self, key: Any) -> Any:
        """The object to write to, once writing is known to be allowed."""
        if self._read_only:
            raise self._refusal(key)
        return self._target

    def _refusal(self, key: Any) -> ContractViolationError:
        path = format_path((*self._parts, *(() if key is None else (key,)))) or "this proxy"
        return ContractViolationError(
            f"Illegal Write: no permission to change {path}: the proxy is read-only. Make one "
            f"with read_only=False, or write to a copy (`to_dict()`).",
            path=path,
            action="write",
            allowed=(),
        )

    def _shown(self, key: Any, value: Any) -> Any:
        """A part as the proxy hands it out: under a proxy too, if it could be changed."""
        parts = (*self._parts, key)
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return tuple(self._shown(index, item) for index, item in enumerate(value))
        if isinstance(value, Mapping) or _is_record(value):
            part: _Proxy = SupervisorProxy.__new__(SupervisorProxy)
        elif isinstance(value, Sequence) and not isinstance(value, _LEAVES):
            part = SequenceProxy.__new__(SequenceProxy)
        else:
            return _protected(value) if self._read_only else value
        part._stand(value, parts, self._read_only, self._transaction)
        return part

    def __copy__(self) -> Any:
        return plain(self._target)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return plain(self._target)

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (plain(self._target),)

    def __repr__(self) -> str:
        kind = " read-only" if self._read_only else ""
        return f"<{type(self).__name__}{kind} {self.path!r}: {plain(self._target)!r}>"


class SupervisorProxy(_Proxy, MutableMapping[Any, Any]):
    """Shows a mapping or an object; keys are attributes and attributes are keys.

    Parts that can be changed come out as proxies with the same rights. On a read-only proxy
    sets and arrays come out as copies that cannot be changed. Methods of an object run with the
    proxy as ``self``, so they can do what the proxy allows and no more. A name that is one of a
    method of this class is reached as an item only.

    Parameters
    ----------
    target:
        The mapping or object.
    path:
        Where it is, for errors and for the transaction.
    read_only:
        Refuse every write.
    transaction:
        Reads and writes are those of this transaction at `path`, recorded and visible to nobody
        else before its commit; the target itself is never changed. If the state has nothing
        there, the target is written to it first. An empty path is the whole state.

    Raises
    ------
    UnsupportedValueError
        The target has neither keys nor attributes.
    """

    __slots__ = ()

    def __init__(
        self,
        target: Any,
        path: str = "",
        read_only: bool = False,
        transaction: Transaction | None = None,
    ) -> None:
        parts = parse_path(path) if path else ()
        if isinstance(target, SupervisorProxy):
            read_only = read_only or target._read_only
            target = target._target
        if transaction is not None:
            target = _guarded(transaction, parts, target, not read_only)
        if not (isinstance(target, Mapping) or _is_record(target)):
            raise UnsupportedValueError(
                f"a SupervisorProxy shows a mapping or an object with attributes, not "
                f"{type(target).__qualname__}",
                path=path,
                type_name=type(target).__qualname__,
            )
        self._stand(target, parts, bool(read_only), transaction)

    def to_dict(self) -> dict[str, Any]:
        """A plain, detached copy, all levels. O(size)."""
        target = self._target
        return plain(dict(target) if isinstance(target, Mapping) else _fields(target))  # type: ignore[no-any-return]

    def __getitem__(self, key: Any) -> Any:
        target = self._target
        if isinstance(target, Mapping):
            return self._shown(key, target[key])
        value = getattr(target, key, _NOTHING) if key in _fields(target) else _NOTHING
        if value is _NOTHING:
            raise KeyError(key)
        return self._shown(key, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        target = self._writable(key)
        if isinstance(target, Mapping):
            target[key] = _bare(value)  # type: ignore[index]
        else:
            setattr(target, key, _bare(value))

    def __delitem__(self, key: Any) -> None:
        target = self._writable(key)
        if isinstance(target, Mapping):
            del target[key]  # type: ignore[attr-defined]
        elif key in _fields(target):
            delattr(target, key)
        else:
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        target = self._target
        return iter(target if isinstance(target, Mapping) else _fields(target))

    def __len__(self) -> int:
        target = self._target
        return len(target if isinstance(target, Mapping) else _fields(target))

    def __contains__(self, key: object) -> bool:
        target = self._target
        return key in (target if isinstance(target, Mapping) else _fields(target))

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            pass
        if not isinstance(self._target, Mapping) and not name.startswith("_"):
            return self._attribute_of_class(name)
        raise AttributeError(
            f"there is no {name!r} in {self.path or 'the target'}", name=name, obj=self
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} here", name=name, obj=self) from None

    def _attribute_of_class(self, name: str) -> Any:
        """A method or property of the target's class, working on the proxy."""
        for owner in self._target.__class__.__mro__:
            found = owner.__dict__.get(name, _NOTHING)
            if found is _NOTHING:
                continue
            if isinstance(found, FunctionType):
                return MethodType(found, self)
            if isinstance(found, property) and found.fget is not None:
                return found.fget(self)
            return self._shown(name, getattr(self._target, name))
        raise AttributeError(f"there is no {name!r} in the target", name=name, obj=self)


class SequenceProxy(_Proxy, MutableSequence[Any]):
    """A list under a `SupervisorProxy`, with the rights of that."""

    __slots__ = ()

    def to_list(self) -> list[Any]:
        """A plain, detached copy, all levels. O(size)."""
        return plain(list(self._target))  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            places = range(len(self._target))[index]
            return [self._shown(place, self._target[place]) for place in places]
        return self._shown(index, self._target[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        bare = [_bare(one) for one in value] if isinstance(index, slice) else _bare(value)
        self._writable(None)[index] = bare

    def __delitem__(self, index: Any) -> None:
        del self._writable(None)[index]

    def __len__(self) -> int:
        return len(self._target)

    def insert(self, index: int, value: Any) -> None:
        """Put a value before the one at `index`."""
        self._writable(None).insert(index, _bare(value))

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """Sort in place."""
        self._writable(None).sort(key=key, reverse=reverse)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SequenceProxy):
            other = other.to_list()
        if isinstance(other, (str, bytes)) or not isinstance(other, Sequence):
            return NotImplemented
        return self.to_list() == list(other)

    __hash__ = None  # type: ignore[assignment]


_LEAVES: Final = (str, bytes, bytearray, memoryview, range, tuple)


def _same(value: Any) -> Any:
    return value


def _bare(value: Any) -> Any:
    """The object itself, where a proxy is to be stored."""
    return value._target if isinstance(value, _Proxy) else value


def _guarded(transaction: Transaction, parts: tuple[Any, ...], target: Any, enter: bool) -> Any:
    """What the transaction has at a place; with `enter`, `target` gets there if nothing is."""
    if not parts:
        return transaction.data
    found = transaction.get(parts, _NOTHING)
    if found is not _NOTHING:
        return found
    if enter:  # a detached copy, which the transaction owns
        transaction.set(parts, FrozenDict(target=target).to_dict()["target"])
    return transaction.get(parts, target)


def _is_record(value: Any) -> bool:
    rule = rule_for(value.__class__)
    return rule is not None and rule.kind == "record"


def _fields(target: Any) -> Mapping[str, Any]:
    """The public attributes of an object."""
    rule = rule_for(target.__class__)
    found = rule.fields(target) if rule is not None and rule.fields is not None else {}
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _protected(value: Any) -> Any:
    """A leaf that cannot be changed: itself, or a copy."""
    if isinstance(value, AbstractSet):
        return frozenset(value)
    if isinstance(value, bytearray):
        return bytes(value)
    rule = rule_for(type(value))
    if rule is None or rule.kind != "copy" or rule.build is None:
        return value
    return rule.build(value)
