"""What a semantic type may declare: one table, checked at registration."""

from __future__ import annotations

from dataclasses import dataclass

from theus._core.pattern import compile_patterns, pattern_keys
from theus.contracts.model import ProcessContract, SemanticType
from theus.errors import ContractViolationError, PathError, RegistrationError
from theus.zones import ContextZone, ZoneRule, zone_rule

__all__ = ["FIREWALL", "SemanticRule", "check_contract"]


@dataclass(frozen=True)
class SemanticRule:
    """What a semantic type may do.

    ``pure_zones_only``: its inputs come from zones whose content is a function of the state
    (`ZoneRule.pure`), and the others do not exist for it. ``in_place``: it may write its
    outputs in place.
    """

    pure_zones_only: bool
    in_place: bool


FIREWALL: dict[SemanticType, SemanticRule] = {
    SemanticType.PURE: SemanticRule(pure_zones_only=True, in_place=False),
    SemanticType.EFFECT: SemanticRule(pure_zones_only=False, in_place=True),
    SemanticType.GUIDE: SemanticRule(pure_zones_only=False, in_place=True),
}


def check_contract(contract: ProcessContract) -> None:
    """Check a contract as a whole; called once, when a process is registered.

    Raises
    ------
    RegistrationError
        A pattern is malformed.
    ContractViolationError
        A pattern names a zone that the semantic type has no access to.
    """
    for part, patterns in (("inputs", contract.inputs), ("outputs", contract.outputs)):
        _check_patterns(contract, part, patterns)
    if FIREWALL[contract.semantic].pure_zones_only:
        for pattern in contract.inputs:
            _check_zone(contract, pattern)


def _check_patterns(contract: ProcessContract, part: str, patterns: tuple[str, ...]) -> None:
    try:
        compile_patterns(patterns, ())
    except PathError as error:
        raise RegistrationError(
            f"process {contract.name!r}, {part}: {error}", process=contract.name
        ) from error


def _zone_of(pattern: str) -> ZoneRule:
    rules = [zone_rule(key) for key in pattern_keys(pattern)]
    return next((rule for rule in rules if rule.zone is not ContextZone.DATA), rules[0])


def _check_zone(contract: ProcessContract, pattern: str) -> None:
    rule = _zone_of(pattern)
    if rule.pure:
        return
    kind = contract.semantic.value.capitalize()
    zone = rule.zone.value.capitalize()
    raise ContractViolationError(
        f"{kind} process cannot take inputs from Zone: {zone} ({contract.name!r} declares "
        f"{pattern!r}). What a pure process computes depends on the state alone; declare "
        f"semantic=SemanticType.EFFECT, or let another process copy the value into the domain.",
        process=contract.name,
        path=pattern,
        action="declare",
        allowed=contract.inputs,
    )
