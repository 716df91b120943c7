"""Recipes: how failures are taken, and rules for the inputs and outputs of processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from types import MappingProxyType
from typing import Any

from theus.audit.levels import AuditLevel
from theus.audit.operators import Check, short
from theus.errors import SettingsError

__all__ = ["AuditRecipe", "AuditRecipeBook", "AuditRule", "ProcessRules"]

DEFAULT_MAX = 3
DEFAULT_MIN = 0


def _threshold(name: str, value: object, other_name: str, other: object, default: int) -> int:
    """One threshold from its two spellings."""
    if value is not None and other is not None and value != other:
        raise SettingsError(
            f"{name}={value!r} and {other_name}={other!r} are two spellings of one threshold; "
            "give one of them",
            option=name,
            value=value,
        )
    chosen = default if value is None and other is None else other if value is None else value
    if type(chosen) is not int or chosen < 0:
        raise SettingsError(
            f"{name} must be an integer from 0 on, not {chosen!r}", option=name, value=chosen
        )
    return chosen


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(value: Any) -> float | None:
    if value is None or (_number(value) and 0 < value < math.inf):
        return None if value is None else float(value)
    raise SettingsError(
        f"window must be a number of seconds above 0, not {value!r}", option="window", value=value
    )


def _share(value: Any, reset_on_success: bool) -> float | None:
    if value is None:
        return None
    if not (_number(value) and 0 <= value < 1):
        raise SettingsError(
            f"rate must be a share from 0 up to, not including, 1, not {value!r}",
            option="rate",
            value=value,
        )
    if reset_on_success:
        raise SettingsError(
            "rate compares failures with successes, which reset_on_success=True forgets; "
            "set it to False",
            option="rate",
            value=value,
        )
    return float(value)


@dataclass(frozen=True, init=False)
class AuditRecipe:
    """How the failures of a key are taken; `theus.audit.levels` has the truth table.

    Parameters
    ----------
    level:
        An `AuditLevel`, its letter or its name.
    threshold_max:
        Block: how many failures are let pass (also spelled `max_threshold`).
    threshold_min:
        Block: from which failure on a warning is given; 0 never warns (`min_threshold`).
    reset_on_success:
        Whether a success sets the count back to 0.
    window:
        Only what happened in the last so many seconds counts; None: everything.
    rate:
        Block: act only where more than this share of the uses of a key failed, from 0 to 1. Needs
        ``reset_on_success=False``, since a reset forgets the failures.

    Raises
    ------
    SettingsError
        An unknown level, a threshold that is no integer from 0 on, a `threshold_min` above
        `threshold_max`, which could never warn, or a window or rate that cannot be used.
    """

    level: AuditLevel
    threshold_max: int
    threshold_min: int
    reset_on_success: bool
    window: float | None
    rate: float | None

    def __init__(
        self,
        level: AuditLevel | str = AuditLevel.Block,
        threshold_max: int | None = None,
        threshold_min: int | None = None,
        reset_on_success: bool = True,
        *,
        window: float | None = None,
        rate: float | None = None,
        max_threshold: int | None = None,
        min_threshold: int | None = None,
    ) -> None:
        most = _threshold(
            "threshold_max", threshold_max, "max_threshold", max_threshold, DEFAULT_MAX
        )
        least = _threshold(
            "threshold_min", threshold_min, "min_threshold", min_threshold, DEFAULT_MIN
        )
        if least > most:
            raise SettingsError(
                f"threshold_min={least} is above threshold_max={most} and could never warn",
                option="threshold_min",
                value=least,
            )
        if not isinstance(reset_on_success, bool):
            raise SettingsError(
                f"reset_on_success must be True or False, not {reset_on_success!r}",
                option="reset_on_success",
                value=reset_on_success,
            )
        object.__setattr__(self, "level", AuditLevel.parse(level))
        object.__setattr__(self, "threshold_max", most)
        object.__setattr__(self, "threshold_min", least)
        object.__setattr__(self, "reset_on_success", reset_on_success)
        object.__setattr__(self, "window", _seconds(window))
        object.__setattr__(self, "rate", _share(rate, reset_on_success))

    @property
    def max_threshold(self) -> int:
        """Another spelling of `threshold_max`."""
        return self.threshold_max

    @property
    def min_threshold(self) -> int:
        """Another spelling of `threshold_min`."""
        return self.threshold_min


@dataclass(frozen=True)
class AuditRule:
    """One rule: what a field of a process must be. Without checks: that it is there at all.

    Parameters
    ----------
    field:
        Name of an argument or path of the state.
    checks:
        All must hold.
    level, threshold_max, threshold_min, reset_on_success, window, rate:
        As in `AuditRecipe`; None takes what the recipe of the book says.
    message:
        Said with every failure.
    place:
        Where the rule was written (`file:line:column`).

    Raises
    ------
    SettingsError
        The field is empty, or no value could keep to all checks.
    """

    field: str
    checks: tuple[Check, ...] = ()
    level: AuditLevel | None = None
    message: str | None = None
    threshold_max: int | None = None
    threshold_min: int | None = None
    reset_on_success: bool | None = None
    window: float | None = None
    rate: float | None = None
    place: str | None = dataclass_field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.field, str) or not self.field:
            raise SettingsError(
                f"a rule needs the name of a field, not {self.field!r}",
                option="field",
                value=self.field,
            )
        if self.level is not None:
            object.__setattr__(self, "level", AuditLevel.parse(self.level))
        object.__setattr__(self, "checks", tuple(self.checks))
        bounds = {check.operator: check.bound for check in self.checks}
        for low, high in (("min", "max"), ("min_len", "max_len")):
            if low in bounds and high in bounds and not _in_order(bounds[low], bounds[high]):
                raise SettingsError(
                    f"no value of {self.field!r} can be both {low} {bounds[low]!r} and {high} "
                    f"{bounds[high]!r}",
                    option=low,
                    value=bounds[low],
                )

    def recipe(self, default: AuditRecipe) -> AuditRecipe:
        """How failures of this rule are taken, where `default` fills what it leaves open."""
        given: dict[str, Any] = {
            "level": self.level,
            "threshold_max": self.threshold_max,
            "threshold_min": self.threshold_min,
            "reset_on_success": self.reset_on_success,
            "window": self.window,
            "rate": self.rate,
        }
        if self.threshold_max is not None and self.threshold_min is None:
            given["threshold_min"] = min(default.threshold_min, self.threshold_max)
        chosen = {
            name: getattr(default, name) if value is None else value
            for name, value in given.items()
        }
        if self.reset_on_success and self.rate is None:
            chosen["rate"] = None
        return AuditRecipe(**chosen)

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, or None."""
        problems = [text for check in self.checks if (text := check.problem(value)) is not None]
        return f"is {short(value)}, {' and '.join(problems)}" if problems else None

    def __str__(self) -> str:
        needs = " and ".join(check.requirement() for check in self.checks) or "there"
        return f"{self.field} must be {needs}"


def _in_order(low: Any, high: Any) -> bool:
    try:
        return bool(low <= high)
    except TypeError:
        return False


@dataclass(frozen=True)
class ProcessRules:
    """What a book says about one process.

    `side_effects` and `errors` are what the author of the book expects the contract of the
    process to declare: an engine refuses to register a process that does not.
    """

    inputs: tuple[AuditRule, ...] = ()
    outputs: tuple[AuditRule, ...] = ()
    side_effects: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "side_effects", "errors"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


_NO_RULES = ProcessRules()


@dataclass(frozen=True)
class AuditRecipeBook:
    """A recipe for everything, and rules for single processes.

    Parameters
    ----------
    recipe:
        How failures are taken where a rule does not say otherwise.
    processes:
        Name of a process -> its rules. Copied, and read-only afterwards.
    """

    recipe: AuditRecipe = dataclass_field(default_factory=AuditRecipe)
    processes: Mapping[str, ProcessRules] = dataclass_field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "processes", MappingProxyType(dict(self.processes)))

    def rules_for(self, process: str) -> ProcessRules:
        """The rules of a process; empty where the book has none."""
        return self.processes.get(process, _NO_RULES)
