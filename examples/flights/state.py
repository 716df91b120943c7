"""The state of the job: what its processes read and write.

The tables themselves are in the heavy zone under ``flights``, ``weather`` and
``weather_index``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flights.analysis import Partial, empty_totals
from theus import BaseDomainContext, BaseSystemContext

__all__ = ["FlightsDomain", "FlightsSystem"]


@dataclass
class FlightsDomain(BaseDomainContext):
    """Everything that is known, step by step.

    Attributes
    ----------
    codes:
        ``carriers``, ``origins``, ``destinations``: what the numbers in the tables stand for.
    names:
        ``carrier_names``, ``airport_names``: code to full name.
    quality:
        Figures about the tables, which the audit rules look at.
    parts:
        The partitions: ``id``, ``first`` row, row after the ``last``.
    partials:
        Partial results that were not merged yet, by the id of their partition.
    totals:
        The sum of the merged ones.
    merged:
        How many were merged.
    summary:
        The figures of every group.
    findings:
        The findings, as they were sent.
    """

    codes: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    quality: dict[str, dict[str, int]] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    partials: dict[str, Partial] = field(default_factory=dict)
    totals: Partial = field(default_factory=empty_totals)
    merged: int = 0
    summary: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class FlightsSystem(BaseSystemContext):
    """The context that the engine starts from."""

    domain: FlightsDomain = field(default_factory=FlightsDomain)
