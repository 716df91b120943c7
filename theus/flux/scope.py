"""What ``domain``, ``global``, ``signal`` and ``cmd`` stand for at the moment of a look.

A context may be a mapping, an object, or a callable without arguments that gives either:
the callable is asked at every evaluation, so that conditions see the state as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from theus.errors import FluxError
from theus.flux.expressions import ROOTS
from theus.flux.expressions.kinds import (
    MAPPING,
    MAPPINGS,
    NULL,
    RECORD,
    fields_of,
    kind_of,
    name_of,
)
from theus.flux.expressions.values import as_root

__all__ = ["Scope"]

_SPELLINGS: Final = {
    "domain": ("domain", "domain_ctx"),
    "global": ("global_", "global", "global_ctx"),
    "signal": ("signals", "signal"),
    "cmd": ("cmd", "signals", "signal"),
}
_PLAIN: Final = (str, bytes, int, float, list, tuple, set, frozenset)


class _Fields(Mapping[str, Any]):
    """The public fields of an object as a mapping; reads through, copies nothing."""

    __slots__ = ("_names", "_owner")

    def __init__(self, owner: object, names: Iterable[str]) -> None:
        self._owner = owner
        self._names = frozenset(name for name in names if not name.startswith("_"))

    def __getitem__(self, key: str) -> Any:
        if key not in self._names:
            raise KeyError(key)
        try:
            return getattr(self._owner, key)
        except AttributeError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


class Scope:
    """Reads the roots of a context.

    Parameters
    ----------
    context:
        A mapping with the keys ``domain``, ``global``, ``signal``; an object with such
        attributes (``global_`` and the spellings ``domain_ctx``, ``global_ctx`` too); None,
        which has nothing; or a callable without arguments that returns one of these.
    """

    __slots__ = ("_current", "_is_mapping", "_type")

    def __init__(self, context: object) -> None:
        if callable(context) and not any(_has(context, root) for root in ROOTS):
            self._current: Callable[[], object] = context
        else:
            self._current = lambda: context
        self._type: type | None = None
        self._is_mapping = False

    def roots(self, wanted: Iterable[str]) -> dict[str, Any]:
        """A new dict with a mapping for every root in `wanted`, all of one moment."""
        names = [name for name in wanted if name in _SPELLINGS]
        if not names:
            return {}
        holder = self._current()
        if type(holder) is not self._type:
            self._type = type(holder)
            self._is_mapping = isinstance(holder, Mapping)
        return {name: _root(holder, self._is_mapping, name) for name in names}


def _has(holder: object, root: str) -> bool:
    return any(hasattr(holder, spelling) for spelling in _SPELLINGS[root])


def _root(holder: Any, is_mapping: bool, root: str) -> Mapping[Any, Any]:
    """The mapping behind a root; an empty one if the context has none."""
    refused: object = None
    for spelling in _SPELLINGS[root]:
        value: Any = holder.get(spelling) if is_mapping else getattr(holder, spelling, None)
        if type(value) in MAPPINGS:
            return value  # type: ignore[no-any-return]
        found = _as_mapping(value, fields=root in ("domain", "global"))
        if found is not None:
            return found
        refused = value if refused is None else refused
    if refused is None or root in ("signal", "cmd"):
        return {}
    raise FluxError(
        f"{root} of the context must be a mapping or an object with fields, not "
        f"{name_of(refused)}. [type]",
        kind="type",
    )


def _as_mapping(value: Any, *, fields: bool) -> Mapping[Any, Any] | None:
    """`value` if it is a mapping; with `fields`, an object's public fields as one."""
    kind = kind_of(value)
    if kind is MAPPING:
        return as_root(value)
    if not fields or kind is NULL or isinstance(value, _PLAIN):
        return None
    declared = fields_of(type(value)) if kind is RECORD else None
    own = getattr(value, "__dict__", None)
    if declared is None and own is None:
        return None
    return _Fields(value, [*(declared or ()), *(own or ())])
