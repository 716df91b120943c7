"""Base classes of the contexts that programs write, and how any context becomes zones."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from theus._core.path import SPELLINGS
from theus.context.namespaces import NamespaceRegistry
from theus.context.plain import build, fields_of, hints_of, plain
from theus.errors import ContextError, SchemaViolationError

__all__ = ["BaseDomainContext", "BaseGlobalContext", "BaseSystemContext", "areas_of", "zones_of"]

ZONES_MERGED = ("domain", "global")
M = TypeVar("M", bound=Callable[..., Any])


def _default(method: M) -> M:
    """Mark a `to_dict` of ours: the engine reads fields instead, and keeps records records."""
    method._theus_default = True  # type: ignore[attr-defined]
    return method


@dataclass
class _Zone:
    """What the base classes of zones share."""

    @_default
    def to_dict(self) -> dict[str, Any]:
        """The zone as plain data, detached at any depth."""
        return cast("dict[str, Any]", plain(fields_of(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> typing.Self:
        """The zone from plain data; records in it are built by their annotations.

        Raises SchemaViolationError for an unknown or missing field. A class that declares no
        fields takes them all.
        """
        if dataclasses.fields(cls):
            return cast("typing.Self", build(cls, data))
        zone = cls()
        for name, value in data.items():
            setattr(zone, name, value)
        return zone


@dataclass
class BaseGlobalContext(_Zone):
    """Base of the global zone: configuration and what all processes share.

    Subclass it as a dataclass.
    """


@dataclass
class BaseDomainContext(_Zone):
    """Base of the domain zone: the data the program works on.

    Subclass it as a dataclass.
    """


@dataclass
class BaseSystemContext:
    """Base of the whole context: a dataclass with a global and a domain zone.

    A subclass may spell them ``global_ctx`` or ``global_``, ``domain`` or ``domain_ctx``; all
    spellings lead to the one that the class declares. Further fields become further top-level
    areas of the state; a `Namespace` is one with a policy.

    >>> @dataclass
    ... class Shop(BaseDomainContext):
    ...     orders: list[int] = field(default_factory=list)
    >>> @dataclass
    ... class System(BaseSystemContext):
    ...     domain_ctx: Shop = field(default_factory=Shop)
    >>> System().domain.orders
    []
    """

    global_ctx: Any = field(default_factory=BaseGlobalContext, kw_only=True)
    domain: Any = field(default_factory=BaseDomainContext, kw_only=True)

    def __new__(cls, *args: Any, **kwargs: Any) -> typing.Self:
        for name in kwargs:
            declared = cls._spelled(name)
            if declared != name and declared not in kwargs:
                raise TypeError(f"{cls.__qualname__} declares {declared!r}; pass {declared}=...")
        return super().__new__(cls)

    @classmethod
    def _spelled(cls, name: str) -> str:
        zone = SPELLINGS.get(name, name)
        if zone not in ZONES_MERGED:
            return name
        same = [item.name for item in dataclasses.fields(cls) if _zone_name(item.name) == zone]
        return same[-1]

    def __getattr__(self, name: str) -> Any:
        declared = type(self)._spelled(name)
        if declared == name:
            raise AttributeError(f"{type(self).__qualname__!r} object has no attribute {name!r}")
        return getattr(self, declared)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(type(self)._spelled(name), value)

    @_default
    def to_dict(self) -> dict[str, Any]:
        """The context as plain data by zone, detached at any depth."""
        return cast("dict[str, Any]", plain(zones_of(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> typing.Self:
        """The context from plain data by zone, in any spelling of the zones.

        Raises SchemaViolationError for an unknown or missing zone or field.
        """
        hints = hints_of(cls)
        namespaces = NamespaceRegistry(cls)
        names = [item.name for item in dataclasses.fields(cls)] + list(namespaces)
        made: dict[str, Any] = {}
        further: dict[str, Any] = {}
        for key, value in _folded(data).items():
            name = cls._spelled(key)
            if name in namespaces:
                further[name] = build(namespaces[name].context_class, value, name)
                continue
            if name not in names:
                raise SchemaViolationError(
                    f"Schema Violation: {cls.__qualname__} has no zone {key!r}; it has {names}",
                    errors=({"loc": (key,), "msg": "unknown zone"},),
                    place=key,
                )
            made[name] = _build_zone(key, hints.get(name, Any), value)
        context = cls(**made)
        for name, value in further.items():
            setattr(context, name, value)
        return context


_BASES: dict[str, type[_Zone]] = {"global": BaseGlobalContext, "domain": BaseDomainContext}


def _build_zone(zone: str, hint: Any, value: Any) -> Any:
    if hint is Any and zone in _BASES and isinstance(value, Mapping):
        return _BASES[zone].from_dict(value)
    return build(hint, value, zone)


def _zone_name(name: str) -> str:
    return SPELLINGS.get(name, name)


def _folded(data: Mapping[str, Any]) -> dict[str, Any]:
    zones: dict[str, Any] = {}
    for key, value in data.items():
        zone = _zone_name(key)
        if zone in zones and zones[zone] is not value:
            raise ContextError(
                f"the context gives the zone {zone!r} twice, the second time as {key!r}; keep one",
                paths=(zone,),
            )
        zones[zone] = value
    return zones


def zones_of(context: Any) -> dict[str, Any]:
    """The top level of the state that a context describes.

    Parameters
    ----------
    context:
        A `BaseSystemContext`, a mapping, a pydantic model, a dataclass, any object with
        ``to_dict()`` or with public attributes, or None.

    Returns
    -------
    ``{"domain": {...}, "global": {...}, ...}``: the two zones always, one level as a new dict
    with the values by reference (the engine copies them in); other areas as they are.

    Raises
    ------
    UnsupportedValueError
        The context or one of the two zones has no fields.
    ContextError
        A zone is given in two spellings, or as the other one.
    """
    namespaces = NamespaceRegistry(context)
    zones: dict[str, Any] = {"domain": {}, "global": {}}
    for name, value in areas_of(context).items():
        _refuse_exchanged(context, name, value)
        zones[name] = fields_of(value) if name in ZONES_MERGED or name in namespaces else value
    return zones


def _refuse_exchanged(context: Any, name: str, value: Any) -> None:
    """The domain given as the global part, or the other way round: an easy slip of positions."""
    kinds: dict[str, tuple[type, type]] = {
        "global": (BaseDomainContext, BaseGlobalContext),
        "domain": (BaseGlobalContext, BaseDomainContext),
    }
    wrong, right = kinds.get(name, (object, object))
    if isinstance(value, wrong) and not isinstance(value, right):
        whole = type(context).__name__
        raise ContextError(
            f"{whole} has a {type(value).__name__}, which is a {wrong.__name__}, as its part "
            f"{name!r}. Name the parts: {whole}(domain=..., global_ctx=...).",
            paths=(name,),
        )


def areas_of(context: Any) -> dict[str, Any]:
    """The areas of a context as the objects it holds, namespaces included."""
    areas = _folded(fields_of(context))
    for name in NamespaceRegistry(context):
        areas[name] = getattr(context, name)
    return areas
