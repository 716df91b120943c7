"""``nodes:``: the legacy form, a graph of named nodes that say which comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from theus._yaml import Node, Position, suggestion
from theus.flux.expressions import Expression
from theus.flux.parser import Fields
from theus.flux.steps.process import ProcessStep, parse_process
from theus.flux.syntax import Body, Step, StepKind
from theus.flux.walker import Run, Walk

__all__ = ["KIND", "GraphNode", "GraphStep"]

_KEYS: Final = ("process", "with", "next", "name", "id", "description")
_END: Final = "end"


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node: what it runs, if anything, and where to go then.

    `ways` are (condition, target) in order, the condition None for "always"; a target of
    None is the end.
    """

    position: Position
    run: ProcessStep | None
    ways: tuple[tuple[Expression | None, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphStep(Step):
    """Go from node to node, beginning at `start`; every node is charged."""

    nodes: dict[str, GraphNode]
    start: str

    @property
    def bodies(self) -> tuple[Body, ...]:
        return tuple((node.run,) for node in self.nodes.values() if node.run is not None)

    def walk(self, run: Run) -> Walk:
        at: str | None = self.start
        seen: dict[str, int] = {}
        choices = 0
        while at is not None:
            if run.dry and seen.get(at, choices) < choices:
                return
            seen[at] = choices
            node = self.nodes[at]
            if node.run is None:
                run.budget.charge(node.position)
            else:
                yield from node.run.walk(run)
            at, asked = _next(node, run)
            choices += asked


def _next(node: GraphNode, run: Run) -> tuple[str | None, int]:
    """The node to go to, and how many conditions on the state were asked for it."""
    asked = 0
    for condition, target in node.ways:
        if condition is None:
            return target, asked
        asked += bool(condition.reads)
        if run.test(condition):
            return target, asked
    return None, asked


def _parse(fields: Fields) -> GraphStep:
    found = _named(fields)
    nodes = {name: _node(fields, node, found) for name, node in found.items()}
    start = ""
    if "start" in fields:
        start = fields.text("start")
        if start and start not in found:
            hint = suggestion(start, found)
            fields.problem(fields.node("start"), f"There is no node {start!r}.{hint}")
    elif found:
        start = "start" if "start" in found else next(iter(found))
    return GraphStep(position=fields.position, nodes=nodes, start=start)


def _named(fields: Fields) -> dict[str, Node]:
    """The nodes by name, from a mapping or from a list whose entries have a name."""
    found: dict[str, Node] = {}
    if "nodes" not in fields:  # reported with the other missing keys
        return found
    whole = fields.node("nodes")
    if whole.kind == "scalar" or not whole.value:
        fields.problem(whole, "`nodes:` needs at least one node.")
    elif whole.kind == "mapping":
        found = {str(name): node for name, node in whole.value.items()}
    else:
        for node in whole.value:
            entry = _entry_name(node)
            if entry is None:
                fields.problem(node, "A node in a list needs `id:` or `name:`.")
            elif entry in found:
                fields.problem(node, f"There are two nodes {entry!r}.")
            else:
                found[entry] = node
    return found


def _entry_name(node: Node) -> str | None:
    if node.kind == "mapping":
        for key in ("id", "name"):
            if key in node.value and isinstance(node.value[key].value, str):
                return str(node.value[key].value)
    return None


def _node(fields: Fields, node: Node, found: dict[str, Node]) -> GraphNode:
    inner = fields.at(node)
    if isinstance(node.value, str) and node.value:
        return GraphNode(node.position, parse_process(inner), ())
    if node.kind != "mapping" or not node.value:
        fields.problem(node, f"A node needs `process:` or `next:`, not {node.describe()}.")
        return GraphNode(node.position, None, ())
    inner.check_keys(_KEYS, "A node")
    if "process" not in inner and "next" not in inner:
        fields.problem(node, "A node needs `process:` or `next:`.")
    run = parse_process(inner) if "process" in inner else None
    ways = _ways(inner, node.value["next"], found) if "next" in inner else ()
    return GraphNode(node.position, run, ways)


def _ways(
    fields: Fields, node: Node, found: dict[str, Node]
) -> tuple[tuple[Expression | None, str | None], ...]:
    if node.kind != "mapping":
        return ((None, _target(fields, node, found)),)
    ways: list[tuple[Expression | None, str | None]] = []
    otherwise: list[tuple[Expression | None, str | None]] = []
    for key, target in node.value.items():
        name = node.keys[key]
        words = str(key).split(None, 1)
        if key == "else":
            otherwise.append((None, _target(fields, target, found)))
        elif words and words[0] == "if" and len(words) == 2:
            offset = str(key).index(words[1])
            condition = fields.expression(name, words[1], offset)
            ways.append((condition, _target(fields, target, found)))
        else:
            fields.problem(name, f'`next:` has keys "if CONDITION" and "else", not {key!r}.')
    return (*ways, *otherwise)


def _target(fields: Fields, node: Node, found: dict[str, Node]) -> str | None:
    name = node.value
    if name is None or (name == _END and _END not in found):
        return None
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if isinstance(name, str) and name in found:
        return name
    if isinstance(name, str):
        fields.problem(node, f"There is no node {name!r} to go to.{suggestion(name, found)}")
    else:
        fields.problem(node, f"The name of a node is needed, not {node.describe()}.")
    return None


KIND = StepKind(_parse, ("nodes",), ("start",), "a graph of named nodes")
