"""``flux: run``: steps one after the other, as one step."""

from __future__ import annotations

from dataclasses import dataclass

from theus.flux.parser import Fields
from theus.flux.syntax import Body, Step, StepKind
from theus.flux.walker import Run, Walk, walk_body

__all__ = ["KIND", "RunStep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep(Step):
    """Do `steps` in order."""

    steps: Body

    @property
    def bodies(self) -> tuple[Body, ...]:
        return (self.steps,)

    def walk(self, run: Run) -> Walk:
        yield from walk_body(self.steps, run)


def _parse(fields: Fields) -> RunStep:
    return RunStep(position=fields.position, steps=fields.body("steps"))


KIND = StepKind(_parse, ("steps",), (), "steps one after the other")
