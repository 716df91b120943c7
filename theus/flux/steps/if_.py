"""``flux: if``: ``then`` or ``else``, by a condition."""

from __future__ import annotations

from dataclasses import dataclass

from theus.flux.expressions import Expression
from theus.flux.parser import Fields
from theus.flux.syntax import Body, Step, StepKind
from theus.flux.walker import Run, Walk, walk_body

__all__ = ["KIND", "IfStep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IfStep(Step):
    """Do `yes` if `condition` holds, else `no`."""

    condition: Expression
    yes: Body
    no: Body

    @property
    def bodies(self) -> tuple[Body, ...]:
        return (self.yes, self.no)

    def walk(self, run: Run) -> Walk:
        yield from walk_body(self.yes if run.test(self.condition) else self.no, run)


def _parse(fields: Fields) -> IfStep:
    return IfStep(
        position=fields.position,
        condition=fields.expression_at("condition"),
        yes=fields.body("then"),
        no=fields.body("else"),
    )


KIND = StepKind(_parse, ("condition", "then"), ("else",), "one of two ways")
