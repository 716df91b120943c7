"""``flux: while``: repeat as long as a condition holds."""

from __future__ import annotations

from dataclasses import dataclass

from theus.flux.expressions import Expression
from theus.flux.parser import Fields
from theus.flux.syntax import Body, Step, StepKind
from theus.flux.walker import Run, Walk, walk_body

__all__ = ["KIND", "WhileStep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhileStep(Step):
    """Do `body` again and again while `condition` holds; every pass is charged."""

    condition: Expression
    body: Body

    @property
    def bodies(self) -> tuple[Body, ...]:
        return (self.body,)

    def walk(self, run: Run) -> Walk:
        once = run.dry and bool(self.condition.reads)
        while run.test(self.condition):
            run.charge(self)
            yield from walk_body(self.body, run)
            if once:
                return


def _parse(fields: Fields) -> WhileStep:
    return WhileStep(
        position=fields.position,
        condition=fields.expression_at("condition"),
        body=fields.body("do"),
    )


KIND = StepKind(_parse, ("condition", "do"), (), "repeat while a condition holds")
