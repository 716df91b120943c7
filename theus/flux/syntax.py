"""The tree of a workflow: steps with their places, templates of arguments, kinds of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from theus._yaml import Position
from theus.flux.expressions import Expression

if TYPE_CHECKING:
    from theus.flux.parser import Fields
    from theus.flux.walker import Run, Walk

__all__ = ["Body", "Step", "StepKind", "Template", "Workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ABC):
    """One step. Subclasses, one in each module of `steps`, add their fields and their walk."""

    position: Position

    @abstractmethod
    def walk(self, run: Run) -> Walk:
        """What the step does, one action at a time; see `walker`."""

    @property
    def bodies(self) -> tuple[Body, ...]:
        """The lists of steps inside this one."""
        return ()


Body = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A value from the file in which some parts are expressions.

    ``value`` is a constant, an `Expression`, or a dict or list of templates; ``names`` are
    the names that the expressions in it use.
    """

    value: Any
    names: frozenset[str]

    def fill(self, names: dict[str, Any]) -> Any:
        """The value with every expression evaluated; new containers at every call."""
        if isinstance(self.value, Expression):
            return self.value.evaluate(names)
        if isinstance(self.value, dict):
            return {key: part.fill(names) for key, part in self.value.items()}
        if isinstance(self.value, list):
            return [part.fill(names) for part in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Workflow:
    """A whole file."""

    name: str
    body: Body
    position: Position

    def steps(self) -> Iterator[Step]:
        """Every step, those inside others too, in the order of the file."""
        waiting = list(reversed(self.body))
        while waiting:
            step = waiting.pop()
            yield step
            for body in reversed(step.bodies):
                waiting += reversed(body)


@dataclass(frozen=True, slots=True)
class StepKind:
    """An entry of the shelf of steps.

    Attributes
    ----------
    parse:
        Makes the step from the fields of its mapping. It reports problems to the fields and
        may then return a step that is not whole: such a tree is never used.
    required, optional:
        The keys of the step besides ``flux``.
    summary:
        One line for messages and documents.
    """

    parse: Callable[[Fields], Step]
    required: tuple[str, ...]
    optional: tuple[str, ...] = field(default=())
    summary: str = ""
