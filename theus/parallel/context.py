"""ParallelContext: what a process that runs in a worker is given as `ctx`.

It carries plain values of the declared inputs and the passports of heavy arrays, and
collects what the process writes and wants to send. Nothing it does reaches the state: the
parent commits what comes back.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

from theus._logs import logger
from theus.errors import ContextError
from theus.parallel.changes import Changes, find_changes
from theus.parallel.commuting import Commuting
from theus.parallel.heavy_view import HeavyView
from theus.parallel.scope import Scope
from theus.parallel.views import MappingView

if TYPE_CHECKING:
    import logging

    from theus.heavy.lease import WriteLease

__all__ = ["OutboxCollector", "ParallelContext", "SignalCollector"]

_GLOBAL = ("global_", "global_ctx", "global")


@final
class OutboxCollector:
    """Collects outbox messages of one call, in order. For one thread, like its context."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: list[Any] = []

    def add(self, message: Any) -> None:
        """Queue a message; it leaves after the parent's commit. It must be picklable."""
        self._messages.append(message)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._messages))


@final
class SignalCollector:
    """Collects signals: ``ctx.signal.topic = payload``, ``ctx.signal["topic"] = payload``."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        object.__setattr__(self, "_sent", [])

    def __setitem__(self, topic: str, payload: Any) -> None:
        if not isinstance(topic, str) or not topic:
            raise ContextError(f"a signal's topic is a non-empty text, not {topic!r}")
        self._sent.append((topic, payload))

    def __setattr__(self, topic: str, payload: Any) -> None:
        self[topic] = payload

    def __getattr__(self, topic: str) -> Any:
        raise AttributeError(f"signals can be sent here, not read ({topic!r})")

    def __len__(self) -> int:
        return len(self._sent)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(tuple(self._sent))


@final
class ParallelContext(Commuting):
    """The context of a process in a worker; picklable, detached from the state.

    Parameters
    ----------
    domain, global_:
        Plain values of the declared inputs: nested dicts, lists and leaves.
    heavy:
        Keys to `ShmArray`, `BufferDescriptor` or other objects. Arrays come out read-only,
        over the shared bytes.
    version:
        The version of the state the values were read from.
    process:
        The process's name, for its logger and for messages.
    declared:
        The patterns it may read, so that reading another path is the same
        `ContractViolationError` as in the parent; None: it is not limited, and a missing name
        is a `KeyError` or `AttributeError`.
    outputs:
        The patterns it may write, where ``declared`` limits it.
    writes:
        Whether it may write in place. What it wrote is in `changes`, and the parent does it again.
    lend:
        Where memory for new heavy arrays comes from, as long as the context does not travel; a
        worker asks its parent.
    signals:
        False for a PURE process: `ctx.signal` does not exist.
    areas:
        Further top-level areas (namespaces): ``ctx.<name>``.

    One context belongs to one call, on one thread.
    """

    __slots__ = (
        "_commuted",
        "_deadline",
        "_facts",
        "_heavy",
        "_lend",
        "_once",
        "_scope",
        "_views",
        "local",
        "outbox",
        "signal",
    )

    def __init__(
        self,
        domain: Mapping[str, Any] | None = None,
        global_: Mapping[str, Any] | None = None,
        heavy: Mapping[str, Any] | None = None,
        *,
        version: int = 0,
        process: str = "",
        declared: Iterable[str] | None = None,
        signals: bool = True,
        areas: Mapping[str, Mapping[str, Any]] | None = None,
        outputs: Iterable[str] = (),
        writes: bool = False,
        lend: Callable[[Any, Any, str], WriteLease] | None = None,
    ) -> None:
        self._lend = lend
        limits = None if declared is None else tuple(declared)
        self._scope = scope = Scope(process, limits, tuple(outputs), writes=writes)
        named = {"domain": domain or {}, "global": global_ or {}, **(areas or {})}
        values = {name: _unwrapped(area) for name, area in named.items()}
        self._facts = (values, dict(heavy or {}), version, process, signals)
        self._views = {name: MappingView(area, (name,), scope) for name, area in values.items()}
        self._commuted: list[tuple[str, Any, Any]] = []
        self._once = False
        self._heavy: HeavyView | None = None
        self._deadline: float | None = None
        self.local: dict[str, Any] = {}
        self.outbox = OutboxCollector()
        if signals:
            self.signal = SignalCollector()

    @property
    def domain(self) -> MappingView:
        """The domain part of the inputs, read-only."""
        return self._views["domain"]

    @property
    def global_(self) -> MappingView:
        """The global part of the inputs, read-only."""
        return self._views["global"]

    domain_ctx = domain
    global_ctx = global_

    @property
    def heavy(self) -> HeavyView:
        """Arrays over shared memory, not copied; `out` and `writable` give new ones."""
        if self._heavy is None:
            self._heavy = HeavyView(self._facts[1], self._scope, self._lend)
        return self._heavy

    @property
    def version(self) -> int:
        """The version of the state the inputs were read from."""
        version: int = self._facts[2]
        return version

    @property
    def process(self) -> str:
        """The name of the process."""
        process: str = self._facts[3]
        return process

    @property
    def log(self) -> logging.Logger:
        """A logger that knows the process; its records reach the parent's handlers."""
        name = f".{self.process}" if self.process else ""
        return logger(f"process{name}")

    @property
    def deadline(self) -> float | None:
        """When the call has to be done (`time.monotonic()`); None without a limit."""
        return self._deadline

    def __getattr__(self, name: str) -> Any:
        views = object.__getattribute__(self, "_views") if name != "_views" else {}
        found = views.get("global" if name in _GLOBAL else name)
        if found is None:
            raise AttributeError(f"the context of a worker has no {name!r}")
        return found

    def __repr__(self) -> str:
        _, heavy, version, process, _ = self._facts
        areas = ", ".join(f"{name}: {len(view)}" for name, view in self._views.items())
        name = f"of {process} " if process else ""
        return f"<ParallelContext {name}at version {version}; {areas}, heavy: {len(heavy)}>"

    def __reduce__(self) -> Any:
        return _unpickled, self._state()

    def fresh(self, limit: float | None = None) -> ParallelContext:
        """A context of the same inputs for one more call, which may take ``limit`` seconds.

        Where it may write, the values are copied, unless this context has travelled.
        """
        values, *others = self._state()
        if self._scope.writes and not self._once:  # each call changes values of its own
            values = copy.deepcopy(values)
        made = _rebuild(values, *others)
        made._lend = self._lend
        made._deadline = None if limit is None else time.monotonic() + limit
        return made

    def messages(self) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
        """What was queued so far: outbox messages and (topic, payload) of signals."""
        return tuple(self.outbox), tuple(self.signal) if self._facts[4] else ()

    def changes(self) -> Changes | None:
        """What was written so far; None for nothing."""
        state = find_changes(self._facts[0], self._scope)
        heavy, freed = ((), ()) if self._heavy is None else self._heavy.changes()
        if not (state or heavy or freed or self._commuted):
            return None
        return Changes(tuple(self._commuted), state, heavy, freed)

    def _state(self) -> tuple[Any, ...]:
        values, heavy, version, process, signals = self._facts
        scope = self._scope
        rights = (scope.declared, scope.outputs, scope.writes)
        return values, heavy, version, process, signals, *rights


def _unwrapped(area: Mapping[str, Any]) -> Mapping[str, Any]:
    return area._data if isinstance(area, MappingView) else area


def _unpickled(*state: Any) -> ParallelContext:
    """A context that has travelled; it is for one call, which may have its values."""
    made = _rebuild(*state)
    made._once = True
    return made


def _rebuild(
    values: dict[str, Any],
    heavy: dict[str, Any],
    version: int,
    process: str,
    signals: bool,
    declared: tuple[str, ...] | None,
    outputs: tuple[str, ...],
    writes: bool,
) -> ParallelContext:
    areas = {name: area for name, area in values.items() if name not in ("domain", "global")}
    return ParallelContext(
        values["domain"],
        values["global"],
        heavy,
        version=version,
        process=process,
        declared=declared,
        signals=signals,
        areas=areas,
        outputs=outputs,
        writes=writes,
    )
