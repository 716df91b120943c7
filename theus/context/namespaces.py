"""Further areas of the state beside `domain` and `global`, each with its policy."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, overload

from theus._core.context import ProcessContext
from theus._core.path import SPELLINGS
from theus.errors import RegistrationError
from theus.zones import ContextZone, ZoneRule, zone_rule

__all__ = ["Namespace", "NamespacePolicy", "NamespaceRegistry"]

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class NamespacePolicy:
    """What processes may do in a namespace. Immutable.

    allow_read:
        Look at it at all; otherwise it is for administrators only.
    allow_update, allow_append, allow_delete:
        Replace values, add values, remove values. A key that is not there may be assigned where
        either of the first two is allowed.
    """

    allow_read: bool = True
    allow_update: bool = True
    allow_append: bool = True
    allow_delete: bool = False

    @property
    def rule(self) -> ZoneRule:
        """The policy as a rule of zones."""
        return ZoneRule(
            ContextZone.DATA,
            append=self.allow_append,
            update=self.allow_update,
            delete=self.allow_delete,
            admin_only=not self.allow_read,
        )


class Namespace(Generic[C]):
    """A further top-level area, as a class attribute of a system context.

    Each context object gets an instance of the context class, made at its first use; it is
    reached as ``ctx.<name>`` in processes, as ``<name>.<field>`` in paths.

    >>> @dataclass
    ... class Billing:
    ...     invoices: int = 0
    >>> class System:
    ...     billing = Namespace(Billing, policy=NamespacePolicy(allow_delete=True))
    >>> System().billing.invoices
    0

    Parameters
    ----------
    context_class:
        Makes the content; called without arguments.
    policy:
        What processes may do in it.
    """

    def __init__(
        self, context_class: Callable[[], C], policy: NamespacePolicy | None = None
    ) -> None:
        if not callable(context_class):
            raise TypeError(f"a namespace needs a context class, not {context_class!r}")
        self.context_class = context_class
        self.policy = NamespacePolicy() if policy is None else policy
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        if name in SPELLINGS or hasattr(ProcessContext, name):
            raise RegistrationError(f"{owner.__qualname__}.{name}: the name {name!r} is taken")
        if name.startswith("_") or zone_rule(name).zone is not ContextZone.DATA:
            raise RegistrationError(
                f"{owner.__qualname__}.{name}: the name of a namespace is neither private nor "
                f"one of a zone"
            )
        self.name = name
        NamespaceRegistry.announce(owner)

    @overload
    def __get__(self, instance: None, owner: type) -> Namespace[C]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> C: ...
    def __get__(self, instance: object | None, owner: type) -> Namespace[C] | C:
        if instance is None:
            return self
        made: C = instance.__dict__.get(self.name, _MISSING)
        if made is _MISSING:
            made = instance.__dict__.setdefault(self.name, self.context_class())
        return made

    def __set__(self, instance: object, value: C) -> None:
        if value is not self:  # the default that a dataclass passes for an annotated namespace
            instance.__dict__[self.name] = value

    def __repr__(self) -> str:
        return f"<Namespace {self.name!r} of {getattr(self.context_class, '__qualname__', '?')}>"


class NamespaceRegistry(Mapping[str, Namespace[Any]]):
    """The namespaces of one system context class, by name: those of an engine. Immutable.

    The process-wide list of classes (`announced`) is only where definitions are made known; it
    keeps no class alive. Safe to use from any thread.
    """

    __slots__ = ("_found",)

    _announced: ClassVar[weakref.WeakSet[type]] = weakref.WeakSet()
    _lock = threading.Lock()

    def __init__(self, context: Any = None) -> None:
        cls = context if isinstance(context, type) else type(context)
        self._found: dict[str, Namespace[Any]] = {}
        for owner in reversed(cls.__mro__):
            for name, value in vars(owner).items():
                if isinstance(value, Namespace):
                    self._found[name] = value
                else:
                    self._found.pop(name, None)

    @classmethod
    def announce(cls, owner: type) -> None:
        """Note a class that defines namespaces."""
        with cls._lock:
            cls._announced.add(owner)

    @classmethod
    def announced(cls) -> tuple[type, ...]:
        """The living classes that define namespaces, by name."""
        with cls._lock:
            return tuple(sorted(cls._announced, key=lambda one: (one.__module__, one.__qualname__)))

    def __getitem__(self, name: str) -> Namespace[Any]:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<NamespaceRegistry {list(self._found)}>"


_MISSING: Any = object()
