"""``flux: for-each``: the same steps for every item, in order or side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from theus.flux.expressions import Expression
from theus.flux.expressions.kinds import LIST, MAPPING, TUPLE, kind_of, name_of
from theus.flux.parser import Fields
from theus.flux.syntax import Body, Step, StepKind, Template
from theus.flux.walker import Action, Group, Run, Walk, walk_body

__all__ = ["KIND", "ForEachStep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForEachStep(Step):
    """Do `body` once for each of `items`, with the item under `name`.

    The items are those at the start of the loop; of a mapping, its keys. With `parallel`
    the passes go on side by side, at most `limit` at a time (None: as many as there are);
    the trace has them in the order of the items, whichever ends first.
    """

    items: Expression | Template
    name: str
    body: Body
    parallel: bool = False
    limit: int | None = None

    @property
    def bodies(self) -> tuple[Body, ...]:
        return (self.body,)

    def walk(self, run: Run) -> Walk:
        items = self._items(run)
        if not self.parallel:
            for value in items:
                run.charge(self)
                yield from walk_body(self.body, run.inside(self.name, value, trace=run.trace))
        elif items:
            yield from self._side_by_side(items, run)

    def _items(self, run: Run) -> list[Any]:
        if isinstance(self.items, Template):
            return list(run.fill(self.items))
        found = run.evaluate(self.items)
        if kind_of(found) not in (LIST, TUPLE, MAPPING):
            hint = ": write sorted(...)" if isinstance(found, (set, frozenset)) else ""
            self.items.fail("type", f"A list of items is needed, not {name_of(found)}{hint}.")
        return list(found)

    def _side_by_side(self, items: list[Any], run: Run) -> Iterator[Action]:
        traces: list[list[str]] = []
        walks: list[Walk] = []
        for value in items:
            run.charge(self)
            traces.append([])
            walks.append(_walk(self.body, run.inside(self.name, value, trace=traces[-1])))
        try:
            yield Group(walks, self.limit, self.position)
        except GeneratorExit:
            raise
        except BaseException as error:
            error.add_note(f"in the parallel loop at {self.position}")
            raise
        finally:
            for walk in walks:
                walk.close()
        for trace in traces:
            run.trace += trace


def _walk(body: Body, run: Run) -> Walk:
    yield from walk_body(body, run)


def _parse(fields: Fields) -> ForEachStep:
    name = fields.variable("as")
    parallel, limit = _parallel(fields)
    return ForEachStep(
        position=fields.position,
        items=_items(fields),
        name=name,
        body=fields.body("do", names=fields.names | {name}),
        parallel=parallel,
        limit=limit,
    )


def _items(fields: Fields) -> Expression | Template:
    """An expression, or a list written out."""
    if "items" in fields and fields.node("items").kind == "sequence":
        return fields.template(fields.node("items"))
    return fields.expression_at("items")


def _parallel(fields: Fields) -> tuple[bool, int | None]:
    if "parallel" not in fields:
        return False, None
    node = fields.node("parallel")
    if isinstance(node.value, bool):
        return node.value, None
    if isinstance(node.value, int) and node.value >= 1:
        return True, node.value
    fields.problem(
        node, f"`parallel:` is true, false or how many at a time, not {node.describe()}."
    )
    return False, None


KIND = StepKind(_parse, ("items", "as", "do"), ("parallel",), "the same steps for every item")
