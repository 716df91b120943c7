"""Proxies that show an object without handing it out; what may be done with it, `rights` say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from theus._core.freeze import rule_for
from theus._core.path import format_path, parse_path
from theus._core.view import FrozenDict
from theus.context.plain import plain
from theus.errors import UnsupportedValueError
from theus.supervisor.rights import ALL, Act, Fixed, Free, Rights

if TYPE_CHECKING:
    from theus._core.transaction import Transaction

__all__ = ["SequenceProxy", "SupervisorProxy", "is_record"]

_NOTHING: Final = object()


class _Proxy:
    """What the proxies share: where they stand, what may be done, and how parts are shown."""

    __slots__ = ("_parts", "_rights", "_target", "_transaction")

    _parts: tuple[Any, ...]
    _rights: Rights
    _target: Any
    _transaction: Transaction | None
    _of_mapping: ClassVar[type[SupervisorProxy]]
    _of_sequence: ClassVar[type[SequenceProxy]]

    def _stand(self, target: Any, parts: tuple[Any, ...], rights: Rights, transaction: Any) -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_rights", rights)
        object.__setattr__(self, "_transaction", transaction)

    @property
    def path(self) -> str:
        """Where this is, as a dotted path; empty for what has no place."""
        return format_path(self._parts) if self._parts else ""

    @property
    def read_only(self) -> bool:
        """Whether every write is refused."""
        return self._rights.read_only

    def is_proxy(self) -> bool:
        """True: this shows another object."""
        return True

    def _whole(self) -> Any:
        """The object, once reading all of it is known to be allowed."""
        self._rights.read(self._parts, ALL, False)
        return self._target

    def _writable(self, key: Any, act: Act, present: bool = True) -> Any:
        """The object to write to, once that is known to be allowed."""
        self._rights.write(self._parts, key, act, present)
        return self._target

    def _shown(self, key: Any, value: Any) -> Any:
        """A part as the proxy hands it out: under a proxy too, if it could be changed."""
        self._rights.read(self._parts, key, _is_shown(value))
        return self._part((*self._parts, key), value, self._rights.below(key))

    def _part(self, parts: tuple[Any, ...], value: Any, rights: Rights) -> Any:
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return tuple(
                self._part((*parts, index), item, rights.below(index))
                for index, item in enumerate(value)
            )
        if isinstance(value, Mapping) or is_record(value):
            part: _Proxy = self._of_mapping.__new__(self._of_mapping)
        elif _is_shown(value):
            part = self._of_sequence.__new__(self._of_sequence)
        else:
            return _protected(value) if rights.read_only else value
        part._stand(value, parts, rights, self._transaction)
        return part

    def __copy__(self) -> Any:
        return plain(self._whole())

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return plain(self._whole())

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (plain(self._whole()),)

    def __repr__(self) -> str:
        kind = " read-only" if self.read_only else ""
        return f"<{type(self).__name__}{kind} {self.path!r}: {plain(self._whole())!r}>"


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
        if type(target) is SupervisorProxy:  # a guard stays what it is: its contract holds
            read_only = read_only or target.read_only
            target = target._whole()
        if transaction is not None:
            target = _guarded(transaction, parts, target, not read_only)
        if not (isinstance(target, Mapping) or is_record(target)):
            raise UnsupportedValueError(
                f"a SupervisorProxy shows a mapping or an object with attributes, not "
                f"{type(target).__qualname__}",
                path=path,
                type_name=type(target).__qualname__,
            )
        self._stand(target, parts, Fixed() if read_only else Free(), transaction)

    def to_dict(self) -> dict[str, Any]:
        """A plain, detached copy, all levels. O(size)."""
        target = self._whole()
        return plain(dict(target) if isinstance(target, Mapping) else _fields(target))  # type: ignore[no-any-return]

    def __getitem__(self, key: Any) -> Any:
        target = self._target
        if not self._has(key):
            self._rights.read(self._parts, key, True)
        elif isinstance(target, Mapping):
            return self._shown(key, target[key])
        value = getattr(target, key, _NOTHING) if key in _fields(target) else _NOTHING
        if value is _NOTHING:
            raise KeyError(key)
        return self._shown(key, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        target = self._writable(key, "assign", self._has(key))
        if isinstance(target, Mapping):
            target[key] = _bare(value)  # type: ignore[index]
        else:
            setattr(target, key, _bare(value))

    def __delitem__(self, key: Any) -> None:
        target = self._writable(key, "delete")
        if isinstance(target, Mapping):
            del target[key]  # type: ignore[attr-defined]
        elif key in _fields(target):
            delattr(target, key)
        else:
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        target = self._whole()
        return iter(target if isinstance(target, Mapping) else _fields(target))

    def __len__(self) -> int:
        target = self._whole()
        return len(target if isinstance(target, Mapping) else _fields(target))

    def __contains__(self, key: object) -> bool:
        self._rights.read(self._parts, key, True)
        return self._has(key)

    def _has(self, key: object) -> bool:
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
        return plain(list(self._whole()))  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            places = range(len(self._whole()))[index]
            return [self._shown(place, self._target[place]) for place in places]
        place = self._place(index)
        return self._shown(place, self._target[place])

    def __setitem__(self, index: Any, value: Any) -> None:
        bare = [_bare(one) for one in value] if isinstance(index, slice) else _bare(value)
        self._writable(self._place(index), "update")[index] = bare

    def __delitem__(self, index: Any) -> None:
        del self._writable(self._place(index), "delete")[index]

    def __len__(self) -> int:
        return len(self._whole())

    def _place(self, index: Any) -> Any:
        """An index counted from the beginning; ALL for a slice. Raises IndexError."""
        return ALL if isinstance(index, slice) else range(len(self._target))[index]

    def insert(self, index: int, value: Any) -> None:
        """Put a value before the one at `index`."""
        act: Act = "append" if index >= len(self._target) else "update"
        self._writable(ALL, act).insert(index, _bare(value))

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """Sort in place."""
        self._writable(ALL, "update").sort(key=key, reverse=reverse)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SequenceProxy):
            other = other.to_list()
        if isinstance(other, (str, bytes)) or not isinstance(other, Sequence):
            return NotImplemented
        return self.to_list() == list(other)

    __hash__ = None  # type: ignore[assignment]


_Proxy._of_mapping, _Proxy._of_sequence = SupervisorProxy, SequenceProxy
_LEAVES: Final = (str, bytes, bytearray, memoryview, range, tuple)


def _is_shown(value: Any) -> bool:
    """Whether a proxy is made for a value."""
    if isinstance(value, Mapping) or is_record(value):
        return True
    return isinstance(value, Sequence) and not isinstance(value, _LEAVES)


def _same(value: Any) -> Any:
    return value


def _bare(value: Any) -> Any:
    """What is stored where a proxy is given: the object itself, a copy where a guard limits it."""
    if not isinstance(value, _Proxy):
        return value
    return value._target if isinstance(value._rights, (Free, Fixed)) else plain(value._whole())


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


def is_record(value: Any) -> bool:
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
