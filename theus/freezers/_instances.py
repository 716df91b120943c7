"""How instances of Python classes keep their fields, and how to make one from fields."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Builder", "Reader", "builder", "is_plain_instance_class", "reader", "slots_of"]

Reader = Callable[[Any], dict[str, Any]]
Builder = Callable[[type, dict[str, Any]], Any]

MANAGED_DICT = 1 << 4
POINTER = tuple.__itemsize__


def slots_of(cls: type) -> dict[str, types.MemberDescriptorType]:
    """The slots of a class and its bases, by (mangled) name, bases first."""
    found: dict[str, types.MemberDescriptorType] = {}
    for owner in reversed(cls.__mro__):
        for name, member in vars(owner).items():
            if isinstance(member, types.MemberDescriptorType) and "__slots__" in vars(owner):
                found[name] = member
    return found


def is_plain_instance_class(cls: type) -> bool:
    """Whether an instance is its fields and nothing else.

    False for classes with storage that belongs to C code (locks, files, generators ...), that
    need their own ``__new__``, or that release a resource in ``__del__``. Runs no code of the
    class.
    """
    if hasattr(cls, "__del__"):
        return False
    size = object.__basicsize__ + POINTER * len(slots_of(cls))
    if cls.__dictoffset__ != 0 and not cls.__flags__ & MANAGED_DICT:
        size += POINTER
    if cls.__weakrefoffset__ > 0:
        size += POINTER
    if cls.__basicsize__ > size:
        return False
    try:
        object.__new__(cls)
    except TypeError:
        return False
    return True


def _derived(cls: type) -> frozenset[str]:
    """Names of values that are computed once and kept in the instance: no fields."""
    cached = functools.cached_property
    return frozenset(
        name
        for owner in cls.__mro__
        for name, member in vars(owner).items()
        if isinstance(member, cached)
    )


def reader(cls: type, declared: Iterable[str] = (), hidden: Iterable[str] = ()) -> Reader:
    """``read(value)`` -> its fields: first the declared ones in their order, then the others.

    Fields that are not set are left out, and so is what a ``cached_property`` has kept.
    """
    skipped = _derived(cls) | frozenset(hidden)
    slots = {name: slot for name, slot in slots_of(cls).items() if name not in skipped}
    order = tuple(name for name in declared if name not in skipped)
    has_dict = cls.__dictoffset__ != 0
    if has_dict and not slots:
        return functools.partial(_read_dict, order, skipped)
    return functools.partial(_read_slots, order, skipped, slots, has_dict)


def _read_dict(order: tuple[str, ...], skipped: frozenset[str], value: Any) -> dict[str, Any]:
    kept: dict[str, Any] = vars(value)
    if not skipped and (not order or tuple(kept) == order):
        return kept.copy()
    found = {name: kept[name] for name in order if name in kept}
    for name, item in kept.items():
        if name not in skipped:
            found[name] = item
    return found


def _read_slots(
    order: tuple[str, ...],
    skipped: frozenset[str],
    slots: dict[str, types.MemberDescriptorType],
    has_dict: bool,
    value: Any,
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, slot in slots.items():
        try:
            kept[name] = slot.__get__(value)
        except AttributeError:
            continue
    if has_dict:
        kept.update((name, item) for name, item in vars(value).items() if name not in skipped)
    found = {name: kept.pop(name) for name in order if name in kept}
    return found | kept


def builder(cls: type, make: Callable[[type], Any] = object.__new__) -> Builder:
    """``build(cls, fields)`` -> a new instance with exactly these fields; no ``__init__``."""
    slots = slots_of(cls)
    if cls.__dictoffset__ != 0 and not slots:
        return functools.partial(_build_dict, make)
    return functools.partial(_build_slots, make, slots)


def _build_dict(make: Callable[[type], Any], cls: type, fields: dict[str, Any]) -> Any:
    value = make(cls)
    vars(value).update(fields)
    return value


def _build_slots(
    make: Callable[[type], Any],
    slots: dict[str, types.MemberDescriptorType],
    cls: type,
    fields: dict[str, Any],
) -> Any:
    value = make(cls)
    for name, item in fields.items():
        slot = slots.get(name)
        if slot is not None:
            slot.__set__(value, item)
        else:
            object.__setattr__(value, name, item)
    return value
