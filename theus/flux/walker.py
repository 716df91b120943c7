"""One generator walks a workflow; whoever drives it only does what it yields.

A walk yields a `Call` (run this process) or a `Group` (drive these walks side by side) and
goes on when the driver asks for the next action. If an action fails the driver throws the
exception into the walk. Conditions, loops, limits and the trace are here, so that running,
awaiting and simulating cannot disagree about them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from theus._logs import logger
from theus._yaml import Position
from theus.errors import SafetyTripError
from theus.flux.expressions import Expression
from theus.flux.scope import Scope
from theus.flux.syntax import Body, Step, Template, Workflow

__all__ = ["Action", "Budget", "Call", "Group", "Run", "Walk", "walk_body", "walk_workflow"]

_log = logger("flux")


@dataclass(frozen=True, slots=True)
class Call:
    """Run the process `name`; `arguments` is None if the step has no ``with:``."""

    name: str
    arguments: dict[str, Any] | None
    position: Position


@dataclass(frozen=True, slots=True)
class Group:
    """Drive `walks` side by side, at most `limit` of them at a time (None: no limit)."""

    walks: list[Walk]
    limit: int | None
    position: Position


Action = Call | Group
Walk = Generator[Action, None, None]


class Budget:
    """Counts operations: calls of processes and passes through loops, of all branches."""

    __slots__ = ("limit", "spent")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.spent = 0

    def charge(self, position: Position) -> None:
        """Count one operation; SafetyTripError if it is one too many."""
        if self.spent >= self.limit:
            raise SafetyTripError(
                f"Safety Trip: more than {self.limit:,} operations at {position}. Look for a "
                "loop whose condition never changes, or raise max_ops (THEUS_MAX_LOOPS).",
                limit=self.limit,
                where=str(position),
            )
        self.spent += 1


class Run:
    """What one walk knows: the context, names of loops, the budget and its own trace.

    With `dry` nothing is run, so that the state cannot change: a loop whose condition reads
    the state is then walked once, because every further pass would be the same.
    """

    __slots__ = ("_locals", "budget", "debug", "dry", "scope", "trace")

    def __init__(
        self, scope: Scope, budget: Budget, *, dry: bool = False, debug: bool = False
    ) -> None:
        self.scope = scope
        self.budget = budget
        self.dry = dry
        self.debug = debug
        self.trace: list[str] = []
        self._locals: dict[str, Any] = {}

    def inside(self, name: str, value: Any, *, trace: list[str]) -> Run:
        """A run for the body of a loop, in which `name` stands for `value`."""
        inner = Run(self.scope, self.budget, dry=self.dry, debug=self.debug)
        inner._locals = {**self._locals, name: value}
        inner.trace = trace
        return inner

    def charge(self, step: Step) -> None:
        """Count one operation of `step`."""
        self.budget.charge(step.position)

    def evaluate(self, expression: Expression) -> Any:
        """The value of an expression now."""
        return expression.evaluate(self._names(expression.names))

    def test(self, expression: Expression) -> bool:
        """The truth of an expression now."""
        answer = expression.test(self._names(expression.names))
        if self.debug:
            _log.info("condition %s is %s", expression.source, answer)
        return answer

    def fill(self, template: Template) -> Any:
        """The value of a template, all its expressions evaluated on one state."""
        return template.fill(self._names(template.names))

    def done(self, call: Call) -> None:
        """Note that the process of `call` has run."""
        self.trace.append(call.name)
        if self.debug:
            _log.info("%s %s (%s)", "would run" if self.dry else "ran", call.name, call.position)

    def _names(self, wanted: frozenset[str]) -> dict[str, Any]:
        return {**self.scope.roots(wanted), **self._locals}


def walk_body(body: Body, run: Run) -> Iterator[Action]:
    """The walk of a list of steps, one after the other."""
    for step in body:
        yield from step.walk(run)


def walk_workflow(workflow: Workflow, run: Run) -> Walk:
    """The walk of a whole workflow; ``run.trace`` has the names of the processes run."""
    yield from walk_body(workflow.body, run)
