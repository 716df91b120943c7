"""`ctx.heavy` of a process in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from theus.errors import ContextError
from theus.parallel import arrays
from theus.parallel.scope import Scope

if TYPE_CHECKING:
    from theus.heavy.lease import WriteLease
    from theus.heavy.wrapper import HeavyZoneWrapper

__all__ = ["HeavyView"]


class HeavyView(MutableMapping[str, Any]):
    """Heavy inputs by key: arrays come out read-only, over the shared bytes.

    What is assigned, and the arrays that `out` and `writable` give, replace the keys at the
    commit. For one call, on one thread.
    """

    __slots__ = ("_entries", "_freed", "_leases", "_lend", "_scope", "_written", "_zone")

    def __init__(
        self,
        entries: Mapping[str, Any],
        scope: Scope,
        lend: Callable[[Any, Any, str], WriteLease] | None = None,
    ) -> None:
        self._entries = entries
        self._scope = scope
        self._lend = arrays.lease if lend is None else lend
        self._zone: HeavyZoneWrapper | None = None
        self._written: dict[str, Any] = {}
        self._freed: dict[str, None] = {}
        self._leases: dict[str, WriteLease] = {}

    def _arrays(self) -> Mapping[str, Any]:
        if self._zone is None:
            from theus.heavy import HeavyZoneWrapper  # numpy, only where there are arrays

            self._zone = HeavyZoneWrapper(self._entries, readonly=True)
        return self._zone

    def __getitem__(self, key: str) -> Any:
        if key in self._written:
            return self._written[key]
        if key in self._freed or key not in self._entries:
            self._scope.check_read(("heavy", key))
            raise KeyError(key)
        return self._arrays()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._scope.check_write(("heavy", key))
        self._freed.pop(key, None)
        self._written[key] = value

    def __delitem__(self, key: str) -> None:
        self._scope.check_write(("heavy", key))
        if key not in self:
            raise KeyError(key)
        self._written.pop(key, None)
        if key in self._entries:
            self._freed[key] = None

    def __contains__(self, key: object) -> bool:
        if key in self._written or (key in self._entries and key not in self._freed):
            return True
        self._scope.check_read(("heavy", key))
        return False

    def __iter__(self) -> Iterator[str]:
        self._scope.check_whole(("heavy",))
        yield from [key for key in self._entries if key not in self._freed | self._written]
        yield from self._written

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"heavy has no {name!r}", name=name) from None

    def __repr__(self) -> str:
        return f"<HeavyView of {', '.join(map(repr, self._entries)) or 'nothing'}>"

    def out(self, key: str, shape: Any, dtype: Any = "float64") -> Any:
        """Return a new array in shared memory to write into; see `ProcessHeavy.out`."""
        self._scope.check_write(("heavy", key))
        lease = self._lend(shape, dtype, key)
        self[key] = lease.sealed
        self._leases[key] = lease
        return lease.array

    def writable(self, key: str, *, fresh: bool = False) -> Any:
        """Return a copy of the array under `key` to write into; see `ProcessHeavy.writable`."""
        import numpy as np

        current = self[key]
        known = self._leases.get(key)
        if known is not None and known.open and current is known.sealed:
            return known.array
        if not isinstance(current, np.ndarray):
            raise ContextError(
                f"heavy.{key} is a {type(current).__name__}, not an array; assign a new object",
                paths=(f"heavy.{key}",),
            )
        made = self.out(key, current.shape, current.dtype)
        if not fresh:
            np.copyto(made, current)
        return made

    def changes(self) -> tuple[tuple[tuple[str, Any], ...], tuple[str, ...]]:
        """What was written, by key, and which keys are gone."""
        return tuple(self._written.items()), tuple(self._freed)
