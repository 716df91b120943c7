"""Locks of context objects: what the engine copied in is not changed behind its back.

An engine copies its context in once. A later write to the context object would reach nobody,
so an object with `LockedContextMixin` refuses it (or warns) unless the engine is about to take
it over: inside `with engine.edit():`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from theus.errors import LockViolationError, LockWarning

__all__ = ["LockManager", "LockViolationError", "LockedContextMixin"]

_ZONES = ("domain", "domain_ctx", "global_", "global_ctx")


class _Grant:
    """The right to write, as long as the block that got it goes on.

    Tasks started in the block have a copy of its context; closing the grant ends theirs too.
    """

    __slots__ = ("manager", "open")

    def __init__(self, manager: LockManager) -> None:
        self.manager = manager
        self.open = True


_GRANTS: ContextVar[tuple[_Grant, ...]] = ContextVar("theus_unlocked", default=())


class _Lock:
    """What a locked object carries. It does not go along with a copy or a pickle."""

    __slots__ = ("manager", "owner")

    def __init__(self, manager: LockManager, owner: int) -> None:
        self.manager = manager
        self.owner = owner

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class LockManager:
    """Says whether context objects may be written now, by the code that asks.

    The right belongs to the block that opened it: other threads and tasks that run at the
    same time do not have it, what the block calls or starts has it until the block ends.

    Parameters
    ----------
    strict_mode:
        True: a write without the right raises LockViolationError. False: it is done, with a
        LockWarning.
    """

    __slots__ = ("strict_mode",)

    def __init__(self, strict_mode: bool = True) -> None:
        self.strict_mode = bool(strict_mode)

    @property
    def unlocked(self) -> bool:
        """Whether the calling code may write."""
        return any(grant.open and grant.manager is self for grant in _GRANTS.get())

    @contextmanager
    def unlock(self) -> Iterator[LockManager]:
        """Writes are allowed in this block. Blocks may be nested."""
        grant = _Grant(self)
        _GRANTS.set((*_GRANTS.get(), grant))
        try:
            yield self
        finally:
            grant.open = False
            _GRANTS.set(tuple(one for one in _GRANTS.get() if one.open))

    def validate_write(self, name: str, target: object, *, stacklevel: int = 2) -> None:
        """Refuse, or warn of, a write to the attribute `name` of `target` outside `unlock`.

        `stacklevel` says whose line the warning names: 2 is the caller of this method.

        Raises
        ------
        LockViolationError
            In strict mode; with the field `path`.
        """
        if self.unlocked:
            return
        path = f"{type(target).__qualname__}.{name}"
        if self.strict_mode:
            raise LockViolationError(
                f"{path} cannot be changed outside a transaction: the engine has copied this "
                f"object in, and a write to it would change nothing there. Write in a process, "
                f"in `with engine.transaction() as tx:`, or here in `with engine.edit():`.",
                path=path,
            )
        warnings.warn(
            f"{path} was changed outside a transaction; the state of the engine does not see "
            f"it. Use `with engine.edit():`.",
            LockWarning,
            stacklevel=stacklevel,
        )

    def attach(self, context: Any) -> None:
        """Lock a context object and its parts, as far as they have `LockedContextMixin`."""
        for target in _lockable(context):
            target.set_lock_manager(self)

    def detach(self, context: Any) -> None:
        """Give up what `attach` locked, unless another manager has taken it since."""
        for target in _lockable(context):
            if target.lock_manager is self:
                target.set_lock_manager(None)


class LockedContextMixin:
    """A context object whose attributes cannot be changed outside a transaction.

    Put it before the base class of a system context or zone; an engine locks such objects when
    it is made from them, and lets them go at shutdown. Private attributes (``_x``) are never
    part of the state and stay free. A copy, and what comes out of a pickle, is not locked.

    >>> from dataclasses import dataclass
    >>> from theus.context import BaseDomainContext
    >>> @dataclass
    ... class Shop(LockedContextMixin, BaseDomainContext):
    ...     orders: int = 0
    >>> shop = Shop()
    >>> shop.set_lock_manager(locks := LockManager())
    >>> with locks.unlock():
    ...     shop.orders = 1
    >>> shop.orders = 2
    Traceback (most recent call last):
    theus.errors.LockViolationError: Shop.orders cannot be changed outside a transaction: ...
    """

    _lock: ClassVar[_Lock | None] = None

    @property
    def lock_manager(self) -> LockManager | None:
        """Who is asked before a write; None: every write is allowed."""
        lock = self._lock
        return lock.manager if lock is not None and lock.owner == id(self) else None

    def set_lock_manager(self, manager: LockManager | None) -> None:
        """Whom to ask before a write; None: nobody, every write is allowed."""
        object.__setattr__(self, "_lock", None if manager is None else _Lock(manager, id(self)))

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_lock(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._check_lock(name)
        super().__delattr__(name)

    def _check_lock(self, name: str) -> None:
        if self._lock is None or name.startswith("_"):
            return
        manager = self.lock_manager
        if manager is not None:
            manager.validate_write(name, self, stacklevel=4)


def _lockable(context: Any) -> list[LockedContextMixin]:
    """The context and its parts that have locks, each once."""
    if isinstance(context, Mapping):
        parts = list(context.values())
    else:
        parts = [*getattr(context, "__dict__", {}).values()]
        parts += [getattr(context, name, None) for name in _ZONES]
    found = {id(one): one for one in (context, *parts) if isinstance(one, LockedContextMixin)}
    return list(found.values())
