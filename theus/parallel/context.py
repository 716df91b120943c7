"""ParallelContext: what a process that runs in a worker is given as `ctx`.

It carries plain values of the declared inputs and the passports of heavy arrays, and
collects what the process wants to send. Nothing it does reaches the state: the parent
commits what comes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

from theus._logs import logger
from theus.errors import ContextError
from theus.parallel.views import MappingView, Reach

if TYPE_CHECKING:
    import logging

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
class ParallelContext:
    """The context of a process in a worker; picklable, read-only, detached from the state.

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
    signals:
        False for a PURE process: `ctx.signal` does not exist.
    areas:
        Further top-level areas (namespaces): ``ctx.<name>``.

    One context belongs to one call, on one thread.
    """

    __slots__ = (
        "_deadline",
        "_facts",
        "_heavy",
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
    ) -> None:
        reach = None if declared is None else Reach(process, tuple(declared))
        values = {"domain": domain or {}, "global": global_ or {}, **(areas or {})}
        self._facts = (values, dict(heavy or {}), version, process, reach, signals)
        self._views = {
            name: MappingView(_unwrapped(area), (name,), reach) for name, area in values.items()
        }
        self._heavy: MappingView | None = None
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
    def heavy(self) -> MappingView:
        """Heavy inputs: arrays over shared memory, read-only, not copied."""
        if self._heavy is None:
            _, entries, _, _, reach, _ = self._facts
            if entries:
                from theus.heavy import HeavyZoneWrapper  # numpy, only where there are arrays

                entries = HeavyZoneWrapper(entries, readonly=True)  # type: ignore[assignment]
            self._heavy = MappingView(entries, ("heavy",), reach)
        return self._heavy

    @property
    def version(self) -> int:
        """The version of the state the inputs were read from."""
        return self._facts[2]

    @property
    def process(self) -> str:
        """The name of the process."""
        return self._facts[3]

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
        _, heavy, version, process, _, _ = self._facts
        areas = ", ".join(f"{name}: {len(view)}" for name, view in self._views.items())
        name = f"of {process} " if process else ""
        return f"<ParallelContext {name}at version {version}; {areas}, heavy: {len(heavy)}>"

    def __reduce__(self) -> Any:
        return _rebuild, self._state()

    def fresh(self, limit: float | None = None) -> ParallelContext:
        """A context of the same inputs for one more call, which may take ``limit`` seconds.

        O(number of areas); nothing is copied.
        """
        made = _rebuild(*self._state())
        made._deadline = None if limit is None else time.monotonic() + limit
        return made

    def messages(self) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
        """What was queued so far: outbox messages and (topic, payload) of signals."""
        _, _, _, _, _, signals = self._facts
        return tuple(self.outbox), tuple(self.signal) if signals else ()

    def _state(self) -> tuple[Any, ...]:
        values, heavy, version, process, reach, signals = self._facts
        return values, heavy, version, process, reach.declared if reach else None, signals


def _unwrapped(area: Mapping[str, Any]) -> Mapping[str, Any]:
    return area._data if isinstance(area, MappingView) else area


def _rebuild(
    values: dict[str, Any],
    heavy: dict[str, Any],
    version: int,
    process: str,
    declared: tuple[str, ...] | None,
    signals: bool,
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
    )
