"""Zones: which names belong to which kind of data, and what may be done there.

The one table is :data:`ZONES`. Guards, contracts and the linter read it; adding a zone is
adding a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = [
    "MARKS",
    "ZONES",
    "AppendOnly",
    "ContextZone",
    "Immutable",
    "Mutable",
    "ZoneRule",
    "resolve_zone",
    "zone_rule",
]


class ContextZone(str, Enum):
    """The kinds of data a context holds."""

    DATA = "data"
    SIGNAL = "signal"
    META = "meta"
    HEAVY = "heavy"
    LOG = "log"
    CONSTANT = "constant"
    PRIVATE = "private"


@dataclass(frozen=True)
class ZoneRule:
    """What belongs to a zone and what may be done in it.

    ``names`` are whole path segments, ``prefixes`` beginnings of a segment. The four
    capabilities say what a process may do; ``admin_only`` zones need `AdminTransaction`,
    and ``admin_lifts`` says whether that lifts the limits at all.
    """

    zone: ContextZone
    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    read: bool = True
    append: bool = True
    update: bool = True
    delete: bool = True
    admin_only: bool = False
    admin_lifts: bool = True
    pure: bool = True


ZONES: tuple[ZoneRule, ...] = (
    ZoneRule(
        ContextZone.SIGNAL,
        names=("signal", "sig", "cmd"),
        prefixes=("sig_", "cmd_"),
        update=False,
        delete=False,
        pure=False,
    ),
    ZoneRule(
        ContextZone.META,
        names=("meta",),
        prefixes=("meta_",),
        append=False,
        delete=False,
        pure=False,
    ),
    ZoneRule(ContextZone.HEAVY, names=("heavy",), prefixes=("heavy_",), append=False, delete=False),
    ZoneRule(ContextZone.LOG, prefixes=("log_", "audit_"), update=False, delete=False),
    ZoneRule(
        ContextZone.CONSTANT,
        prefixes=("const_",),
        append=False,
        update=False,
        delete=False,
        admin_lifts=False,
    ),
    ZoneRule(
        ContextZone.PRIVATE,
        prefixes=("internal_",),
        append=False,
        update=False,
        delete=False,
        admin_only=True,
    ),
)

_DATA = ZoneRule(ContextZone.DATA)


class Mutable:
    """``Annotated[T, Mutable]``: the field may be read and changed in every way."""


class AppendOnly:
    """``Annotated[T, AppendOnly]``: the field may be added to, not replaced or deleted."""


class Immutable:
    """``Annotated[T, Immutable]``: the field keeps the value it was made with."""


MARKS: dict[type, ZoneRule] = {
    Mutable: _DATA,
    AppendOnly: ZoneRule(ContextZone.LOG, update=False, delete=False),
    Immutable: ZoneRule(
        ContextZone.CONSTANT, append=False, update=False, delete=False, admin_lifts=False
    ),
}
"""What an annotation of a field of a context class says, whatever the name of the field says."""


def zone_rule(segment: str) -> ZoneRule:
    """The rule for one path segment; the DATA rule where no other matches."""
    for rule in ZONES:
        if segment in rule.names or (rule.prefixes and segment.startswith(rule.prefixes)):
            return rule
    return _DATA


def resolve_zone(path: str) -> ContextZone:
    """The zone of a dotted path: that of the first segment which is not plain data.

    >>> resolve_zone("domain.sig_stop").name
    'SIGNAL'
    >>> resolve_zone("domain.user").name
    'DATA'
    """
    for segment in path.split("."):
        rule = zone_rule(segment)
        if rule.zone is not ContextZone.DATA:
            return rule.zone
    return ContextZone.DATA
