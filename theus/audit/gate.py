"""The gate: rules on the inputs and outputs of processes, checked in every attempt.

A failure is counted when it is found, because the verdict depends on the count. An attempt
that is thrown away and made again takes its failures back (`discard`); one that ends, by its
commit or by an error, keeps and logs them (`publish`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from theus.audit.recipe import AuditRecipe, AuditRecipeBook, AuditRule
from theus.audit.system import AuditSystem, CountedFailure, act_on
from theus.contracts.model import ProcessContract
from theus.errors import AuditError, AuditWarning, RegistrationError

__all__ = ["AuditCheck", "AuditValidator", "Lookup"]

Lookup = Callable[[str], Any]
"""Gives the value at a path of the state, or raises a `LookupError` where there is none."""


class _Planned(NamedTuple):
    """A rule with everything that is known before a run."""

    key: str
    rule: AuditRule
    recipe: AuditRecipe


class _Plan(NamedTuple):
    inputs: tuple[_Planned, ...]
    outputs: tuple[_Planned, ...]


_NOTHING = _Plan((), ())


def _planned(
    process: str, side: str, rules: tuple[AuditRule, ...], default: AuditRecipe
) -> tuple[_Planned, ...]:
    """Rules with their recipes and a key each: `process.side.field[comparisons]`."""
    planned: list[_Planned] = []
    seen: dict[str, int] = {}
    for rule in rules:
        recipe = rule.recipe(default)
        names = ",".join(check.operator for check in rule.checks) or "exists"
        key = f"{process}.{side}.{rule.field}[{names}]"
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            key = f"{key}#{seen[key]}"
        if recipe.level.counts:
            planned.append(_Planned(key, rule, recipe))
    return tuple(planned)


class AuditValidator:
    """Checks the rules of a recipe book and reports to an audit system.

    Parameters
    ----------
    recipe:
        A book, or a recipe for a book without rules.
    system:
        Where failures are counted and logged; one of its own unless given.

    Raises
    ------
    SettingsError
        A rule and the recipe of the book do not fit together.
    """

    def __init__(
        self,
        recipe: AuditRecipeBook | AuditRecipe | None = None,
        system: AuditSystem | None = None,
    ) -> None:
        if recipe is None or isinstance(recipe, AuditRecipe):
            recipe = AuditRecipeBook(recipe or AuditRecipe())
        self._book = recipe
        self._system = AuditSystem(recipe.recipe) if system is None else system
        self._plans = {
            process: _Plan(
                _planned(process, "inputs", rules.inputs, recipe.recipe),
                _planned(process, "outputs", rules.outputs, recipe.recipe),
            )
            for process, rules in recipe.processes.items()
        }

    @property
    def book(self) -> AuditRecipeBook:
        """The rules."""
        return self._book

    @property
    def system(self) -> AuditSystem:
        """Where failures are counted and logged."""
        return self._system

    def has_rules(self, process: str) -> bool:
        """Whether there is anything to check for a process."""
        plan = self._plans.get(process, _NOTHING)
        return bool(plan.inputs or plan.outputs)

    def expect(self, contract: ProcessContract) -> None:
        """Check that a contract declares the side effects and errors that the book names.

        Raises RegistrationError.
        """
        rules = self._book.rules_for(contract.name)
        for part in ("side_effects", "errors"):
            declared = getattr(contract, part)
            missing = [name for name in getattr(rules, part) if name not in declared]
            if missing:
                raise RegistrationError(
                    f"the audit recipe expects process {contract.name!r} to declare "
                    f"{', '.join(missing)} in its {part}; it declares "
                    f"{', '.join(declared) or 'none'}. Add them to the contract, or take them out "
                    f"of the recipe",
                    process=contract.name,
                )

    def begin(self, process: str) -> AuditCheck:
        """The checks of one attempt at a process."""
        return AuditCheck(self._system, self._plans.get(process, _NOTHING))

    def validate_inputs(
        self, process: str, arguments: Mapping[str, Any], lookup: Lookup | None = None
    ) -> None:
        """Check the input rules of a process at once, outside an attempt.

        Raises and warns as `AuditCheck.inputs` does.
        """
        check = self.begin(process)
        check.inputs(arguments, lookup)
        check.publish()

    def validate_outputs(self, process: str, outputs: Mapping[str, Any] | Lookup) -> None:
        """Check the output rules of a process at once: values by path, or a lookup.

        Raises and warns as `AuditCheck.outputs` does.
        """
        check = self.begin(process)
        check.outputs(outputs.__getitem__ if isinstance(outputs, Mapping) else outputs)
        check.publish()


class AuditCheck:
    """The checks of one attempt. Belongs to one thread at a time.

    Call `inputs` before the body and `outputs` before the commit, then either `publish` (the
    attempt has ended) or `discard` (it is thrown away and made again).
    """

    __slots__ = ("_failures", "_passed", "_plan", "_system")

    def __init__(self, system: AuditSystem, plan: _Plan) -> None:
        self._system = system
        self._plan = plan
        self._failures: list[tuple[CountedFailure, str]] = []
        self._passed: list[_Planned] = []

    def inputs(self, arguments: Mapping[str, Any], lookup: Lookup | None = None) -> None:
        """Check the input rules: on the argument and on the state path of the field's name.

        A value that is at both places is checked at both; one that is at neither is missing.

        Raises
        ------
        AuditStopError, AuditAbortError, AuditBlockError
            By the level of the first rule for which that is due; its failure, and those found
            before it, are counted and logged. Warns with `AuditWarning` likewise.
        """
        for planned in self._plan.inputs:
            field = planned.rule.field
            values = [arguments[field]] if field in arguments else []
            values += _found(field, lookup)
            self._judge("input", planned, values)

    def outputs(self, lookup: Lookup) -> None:
        """Check the output rules on the values that the commit would leave at their paths.

        Raises
        ------
        AuditStopError, AuditAbortError, AuditBlockError
            As `inputs` does.
        """
        for planned in self._plan.outputs:
            self._judge("output", planned, _found(planned.rule.field, lookup))

    def publish(self) -> None:
        """Keep the failures and log them; rules that held count as a success. Cannot fail."""
        failures, self._failures = self._failures, []
        for failure, message in failures:
            self._system.log_failure(failure, message)
        passed, self._passed = self._passed, []
        for planned in passed:
            self._system.count_success(planned.key, planned.recipe)

    def discard(self) -> None:
        """Take back what was counted and is not published. Cannot fail."""
        failures, self._failures = self._failures, []
        for failure, _ in failures:
            self._system.uncount(failure)
        self._passed.clear()

    def _judge(self, side: str, planned: _Planned, values: list[Any]) -> None:
        rule = planned.rule
        problems = [text for value in values if (text := rule.problem(value)) is not None]
        if values and not problems:
            self._passed.append(planned)
            return
        message = f"{side} {rule.field!r} {'; '.join(problems) or 'is missing'}"
        if rule.message:
            message = f"{rule.message} ({message})"
        failure = self._system.count_failure(planned.key, planned.recipe)
        self._failures.append((failure, message))
        try:
            act_on(failure, message, rule=rule, stacklevel=4)
        except (AuditError, AuditWarning):  # the latter where warnings are made errors
            self._passed.clear()
            self.publish()
            raise


def _found(field: str, lookup: Lookup | None) -> list[Any]:
    """The value at a path, as a list of one or none."""
    if lookup is None:
        return []
    try:
        return [lookup(field)]
    except LookupError:
        return []
