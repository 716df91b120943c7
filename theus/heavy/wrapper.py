"""HeavyZoneWrapper: the heavy part of a context, with arrays where the state has descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NoReturn

import numpy as np

from theus.errors import ImmutableError
from theus.heavy.array import attach_array
from theus.heavy.descriptor import BufferDescriptor

__all__ = ["HeavyZoneWrapper"]


class HeavyZoneWrapper(MutableMapping[str, Any]):
    """A mapping that turns descriptors into arrays over the shared bytes, without a copy.

    Parameters
    ----------
    heavy:
        Keys to descriptors, arrays or any other object.
    readonly:
        True is what a process gets as ``ctx.heavy``: arrays come out read-only (other objects
        as they are), keys can be neither set nor deleted, and `heavy` is looked at in place.
        False, for programs that use the wrapper on its own: `heavy` is copied (shallow), keys
        can be changed, and writing into an array writes through to the segment, seen by
        everybody at once and outside of any transaction.

    The same key gives the same array object as long as its entry does not change. Pickling
    sends descriptors, not bytes. Reads are thread-safe.
    """

    __slots__ = ("_arrays", "_heavy", "_readonly")

    def __init__(self, heavy: Mapping[str, Any] | None = None, *, readonly: bool = False) -> None:
        source = {} if heavy is None else heavy
        self._heavy: Mapping[str, Any] = source if readonly else dict(source)
        self._readonly = readonly
        self._arrays: dict[str, tuple[Any, np.ndarray[Any, Any]]] = {}

    @property
    def readonly(self) -> bool:
        """Whether arrays and keys are protected."""
        return self._readonly

    def __getitem__(self, key: str) -> Any:
        entry = self._heavy[key]
        known = self._arrays.get(key)
        if known is not None and known[0] is entry:
            return known[1]
        if isinstance(entry, BufferDescriptor):
            array: np.ndarray[Any, Any] = attach_array(entry, readonly=self._readonly)
        elif isinstance(entry, np.ndarray) and self._readonly:
            array = entry.view()
            array.flags.writeable = False
        else:
            return entry
        self._arrays[key] = (entry, array)
        return array

    def __setitem__(self, key: str, value: Any) -> None:
        self._changeable(key)[key] = value
        self._arrays.pop(key, None)

    def __delitem__(self, key: str) -> None:
        del self._changeable(key)[key]
        self._arrays.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._heavy)

    def __len__(self) -> int:
        return len(self._heavy)

    def __contains__(self, key: object) -> bool:
        return key in self._heavy

    def descriptor(self, key: str) -> Any:
        """Return what lies under `key` as it is, without attaching. Raises `KeyError`."""
        return self._heavy[key]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, HeavyZoneWrapper):
            return self is other or self._same(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"HeavyZoneWrapper({dict(self._heavy)!r}, readonly={self._readonly})"

    def __reduce__(self) -> Any:
        return _rebuild, (dict(self._heavy), self._readonly)

    def _same(self, other: HeavyZoneWrapper) -> bool:
        """Equal when both have the same keys with the same descriptors or objects."""
        if self._heavy.keys() != other._heavy.keys():
            return False
        return all(
            entry is other._heavy[key]
            or (isinstance(entry, BufferDescriptor) and entry == other._heavy[key])
            for key, entry in self._heavy.items()
        )

    def _changeable(self, key: str) -> MutableMapping[str, Any]:
        if self._readonly or not isinstance(self._heavy, MutableMapping):
            _refuse(key)
        return self._heavy


def _refuse(key: str) -> NoReturn:
    raise ImmutableError(
        f"heavy.{key} cannot be changed here: `ctx.heavy` is a view of the state. Declare "
        f"'heavy.{key}' as an output and return the new array, or use a StateUpdate.",
        path=f"heavy.{key}",
    )


def _rebuild(heavy: Mapping[str, Any], readonly: bool) -> HeavyZoneWrapper:
    return HeavyZoneWrapper(heavy, readonly=readonly)
