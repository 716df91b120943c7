"""The truth table of audit, through the engine.

Every level, pair of thresholds and reset, for a rule on an input, a rule on an output and a body
that raises, crossed with every order of failures and successes. What is expected is counted here
by hand, from the table in the documentation of `theus.audit.levels`.
"""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from theus import TheusEngine, process
from theus.audit import (
    AuditLevel,
    AuditRecipe,
    AuditRecipeBook,
    AuditRule,
    AuditSystem,
    AuditValidator,
    Check,
    ProcessRules,
)
from theus.errors import AuditAbortError, AuditBlockError, AuditError, AuditStopError, AuditWarning

WRONG = {"wrong"}
"""The counts that are not 0 where something is wrong."""

LIMITS = [(0, 0), (1, 0), (1, 1), (2, 1), (3, 2)]
"""Pairs of `threshold_max` and `threshold_min`."""

WINDOWS = (None, 2.5)
"""Seconds; the clock goes on by one with every call."""

RATES = (None, 0.5)
STEPS = 5
SIDES = {
    "inputs": "set.inputs.amount[max]",
    "outputs": "set.outputs.domain.out[max]",
    "body": "set",
}
"""Where it fails, and the key under which that is counted."""


class Case(NamedTuple):
    """One engine and what happens on it."""

    side: str
    level: AuditLevel
    limits: tuple[int, int]
    reset: bool
    window: float | None
    rate: float | None
    steps: tuple[bool, ...]


def cases() -> Iterator[Case]:
    """All of them."""
    settings = [
        (reset, window, rate) for reset in (True, False) for window in WINDOWS for rate in RATES
    ]
    orders = itertools.product((True, False), repeat=STEPS)
    for side, level, limits, chosen, steps in itertools.product(
        SIDES, AuditLevel, LIMITS, settings, orders
    ):
        reset, window, rate = chosen
        if not (reset and rate is not None):  # a reset forgets what a rate compares
            yield Case(side, level, limits, reset, window, rate, steps)


@process(name="set", outputs=["domain.out"], errors=["ValueError"])
def set_out(ctx: Any, amount: int, fails: bool) -> int:
    """Returns its argument, which a rule may refuse, or raises."""
    if fails:
        raise ValueError("no")
    return amount


def engine_of(case: Case, clock: Callable[[], float]) -> TheusEngine:
    """An engine with a recipe for the side of the case; everything else is ignored."""
    most, least = case.limits
    recipe = AuditRecipe(case.level, most, least, case.reset, window=case.window, rate=case.rate)
    if case.side == "body":
        book = AuditRecipeBook(recipe)
    else:
        field = "amount" if case.side == "inputs" else "domain.out"
        rule = AuditRule(
            field,
            (Check("max", 100),),
            case.level,
            None,
            most,
            least,
            case.reset,
            case.window,
            case.rate,
        )
        rules = ProcessRules(**{case.side: [rule]})
        book = AuditRecipeBook(AuditRecipe(AuditLevel.Ignore), {"set": rules})
    validator = AuditValidator(book, AuditSystem(book.recipe, clock=clock))
    engine = TheusEngine({"domain": {"out": 0}}, audit_recipe=validator)
    engine.register(set_out)
    return engine


def verdict(case: Case, count: int, uses: int) -> type[Any] | None:
    """What failure number `count` leads to, the last of so many uses."""
    level, (most, least) = case.level, case.limits
    if level is AuditLevel.Stop:
        return AuditStopError
    if level is AuditLevel.Abort:
        return AuditAbortError
    if level is not AuditLevel.Block:
        return None
    if case.rate is not None and count <= case.rate * uses:
        return None
    if count > most:
        return AuditBlockError
    return AuditWarning if 0 < least <= count else None


def observed(engine: TheusEngine, case: Case, amount: int, fails: bool) -> type[Any] | None:
    """The audit's answer to one call: the error, or the warning, that it gave."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        try:
            engine.run(set_out, amount=amount, fails=fails)
        except AuditError as error:
            return type(error)
        except ValueError as error:
            notes = " ".join(getattr(error, "__notes__", ()))
            for kind in (AuditStopError, AuditAbortError, AuditBlockError):
                if kind.remedy in notes:
                    return kind
    return AuditWarning if any(one.category is AuditWarning for one in given) else None


def wrong(case: Case) -> str | None:
    """What an engine does otherwise than the table says, or None."""
    now = 0.0
    with engine_of(case, lambda: now) as engine:
        out = 0
        uses: list[tuple[float, bool]] = []
        for number, fails in enumerate(case.steps, start=1):
            now = float(number)
            body = fails and case.side == "body"
            amount = number + 100 if fails and not body else number
            expected = None
            if fails:
                uses += [(now, True)] * (case.level is not AuditLevel.Ignore)
            elif case.reset:
                uses = []
            elif case.rate is not None and (case.level.counts or case.side == "body"):
                uses.append((now, False))
            if case.window is not None:
                uses = [use for use in uses if use[0] > now - case.window]
            count = sum(failed for _, failed in uses)
            if fails:
                expected = verdict(case, count, len(uses))
            if not body and (expected is None or expected is AuditWarning):
                out = amount
            found = observed(engine, case, amount, body)
            if found is not expected:
                return f"step {number}: {found}, not {expected}"
            assert engine.audit is not None
            if engine.audit.get_count(SIDES[case.side]) != count:
                return f"step {number}: counted {engine.audit.get_count_all()}, not {count}"
            if engine.state.domain["out"] != out:
                return f"step {number}: out is {engine.state.domain['out']}, not {out}"
    return None


def counts(step: int = 1) -> dict[str, int]:
    """Try every case, or each `step`-th: how many, their answers, and how many went wrong."""
    found: Counter[str] = Counter({"wrong": 0})
    for case in itertools.islice(cases(), 0, None, step):
        found["cases"] += 1
        found["calls"] += STEPS
        found["wrong"] += wrong(case) is not None
    return dict(found)
