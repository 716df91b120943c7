"""An engine on top of the oracle, with the part of the public surface that the checkers use.

It is correct by slowness, so a checker that finds an anomaly here is wrong; and it can be made
incorrect in named ways (`fault`), so a checker that finds nothing then is useless. It shares no
code with the library.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

from tests.oracle.methods import INVOKE, RETURNS_SELF
from tests.oracle.model import Model, ModelTransaction, Verdict
from tests.oracle.values import CONTAINERS, at, clone, kind_of

FAULTS = ("no-read-validation", "no-ancestor-check", "install-outside-lock", "stamp-not-moved")


class Refused(Exception):
    """The reference engine's conflict."""


def _forward(name: str) -> Callable[..., Any]:
    def method(self: ReferenceGuard, *args: Any) -> Any:
        result = self._tx.call(self._target, name, *map(_unwrap, args))
        return self if name in RETURNS_SELF else self._wrap(result)

    return method


def _unwrap(value: Any) -> Any:
    return value._target if isinstance(value, ReferenceGuard) else value


class ReferenceGuard:
    """One private container of a transaction; every method goes through the oracle."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tx: ModelTransaction, target: Any) -> None:
        object.__setattr__(self, "_tx", tx)
        object.__setattr__(self, "_target", target)

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, CONTAINERS) and id(value) in self._tx.paths:
            return guard_of(self._tx, value)
        return value

    def __getattr__(self, name: str) -> Any:
        if name in INVOKE and hasattr(self._target, name):
            return lambda *args: _forward(name)(self, *args)
        if kind_of(self._target) == "map" and name in self._target:
            return self[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(_forward("iter")(self))

    def __len__(self) -> int:
        return int(_forward("len")(self))

    def __bool__(self) -> bool:
        return bool(_forward("bool")(self))

    def __contains__(self, key: object) -> bool:
        return bool(_forward("contains")(self, key))

    __getitem__ = _forward("getitem")
    __setitem__ = _forward("setitem")
    __delitem__ = _forward("delitem")
    __eq__ = _forward("eq")
    __ior__ = _forward("ior")
    __iadd__ = _forward("iadd")


@Mapping.register
class ReferenceMap(ReferenceGuard):
    """Guard of a mapping."""


@Sequence.register
class ReferenceList(ReferenceGuard):
    """Guard of a list."""


@Set.register
class ReferenceSet(ReferenceGuard):
    """Guard of a set."""


def guard_of(tx: ModelTransaction, target: Any) -> ReferenceGuard:
    """The guard of a private container."""
    kinds = {"map": ReferenceMap, "list": ReferenceList, "set": ReferenceSet}
    return kinds[kind_of(target)](tx, target)


class ReferenceTransaction:
    """An explicit transaction: begin, work, `commit()` or `rollback()`."""

    def __init__(self, engine: ReferenceEngine, isolation: str) -> None:
        self._engine = engine
        self._model = engine.model
        self.inner = engine.model.begin(isolation)
        self.version = self.inner.base

    @property
    def data(self) -> ReferenceGuard:
        """Guard of the whole tree."""
        return guard_of(self.inner, self.inner.tree)

    @property
    def domain(self) -> Any:
        """Guard of the domain."""
        return self.data["domain"]

    def ensure(self, path: str) -> Any:
        """A read of a path that counts; containers come out as guards."""
        self.inner.ensure(tuple(path.split(".")))
        value = self.inner.locate(tuple(path.split(".")))
        return guard_of(self.inner, value)

    def set(self, path: str, value: Any) -> None:
        """Replace what is at a path."""
        target, last = self._place(path)
        self.inner.call(target, "setitem", last, value)

    def peek(self, path: str) -> Any:
        """An untracked read of a path."""
        return clone(at(self.inner.tree, tuple(path.split("."))))

    def incr(self, path: str, by: int = 1) -> None:
        """Add to the newest value at commit."""
        *way, last = path.split(".")
        self.inner.commute(tuple(way), last, lambda value: value + by, by)

    def append(self, path: str, value: Any) -> None:
        """Append to the newest list at commit."""
        self.inner.call(self.inner.locate_quietly(tuple(path.split("."))), "append", value)

    def _place(self, path: str) -> tuple[Any, Any]:
        *way, last = path.split(".")
        return self.inner.locate_quietly(tuple(way)), last

    def commit(self) -> None:
        """Make the writes visible, or raise Refused."""
        self._engine.commit(self.inner)

    def rollback(self) -> None:
        """Forget everything."""
        self.inner.effects.clear()


class ReferenceState:
    """A version of the tree."""

    def __init__(self, model: Model) -> None:
        self.version = model.version
        self.data = clone(model.newest)
        self.domain = self.data["domain"]


class ReferenceEngine:
    """The oracle behind the engine's surface. `fault` is None or one of FAULTS."""

    def __init__(
        self, data: Any, *, isolation: str = "serializable", fault: str | None = None
    ) -> None:
        self.model = Model({"domain": {}, "global": {}, **data})
        self.isolation = isolation
        self._late = fault == "install-outside-lock"
        self.model.reads_count = fault != "no-read-validation"
        self.model.ancestors = fault != "no-ancestor-check"
        self.model.forgets_stamps = fault == "stamp-not-moved"
        self._lock = threading.Lock()

    @property
    def state(self) -> ReferenceState:
        """The newest version."""
        with self._lock:
            return ReferenceState(self.model)

    def begin(self, isolation: str | None = None) -> ReferenceTransaction:
        """An explicit transaction."""
        with self._lock:
            return ReferenceTransaction(self, isolation or self.isolation)

    @contextmanager
    def transaction(self) -> Iterator[ReferenceTransaction]:
        """A transaction that commits at the end of the block."""
        tx = self.begin()
        yield tx
        tx.commit()

    def attempts(self) -> Iterator[Any]:
        """Blocks to try until one has committed."""
        done: list[bool] = []

        @contextmanager
        def attempt() -> Iterator[ReferenceTransaction]:
            tx = self.begin()
            yield tx
            try:
                tx.commit()
                done.append(True)
            except Refused:
                time.sleep(0)

        while not done:
            yield attempt()

    def compare_and_swap(self, version: int, data: dict[str, dict[str, Any]]) -> None:
        """Write fields that nobody has changed since a version, or raise Refused."""
        with self._lock:
            inner = self.model.begin("snapshot", version)
        for zone, fields in data.items():
            for key, value in fields.items():
                inner.call(inner.locate_quietly((zone,)), "setitem", key, value)
        self.commit(inner)

    def commit(self, inner: ModelTransaction) -> None:
        """The one commit."""
        if not self._late:
            with self._lock:
                self._validate(inner)
                self._install(inner)
            return
        with self._lock:
            self._validate(inner)
        time.sleep(0)
        with self._lock:
            self._install(inner)

    def _validate(self, inner: ModelTransaction) -> None:
        if self.model.judge(inner) is not Verdict.COMMIT:
            raise Refused("the model refuses this commit")

    def _install(self, inner: ModelTransaction) -> None:
        if inner.effects:
            self.model.commit(inner)

    def stats(self) -> dict[str, int]:
        """Number of commits."""
        return {"commits": len(self.model.changes)}
