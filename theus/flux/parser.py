"""A file to the tree of a workflow: every problem with its place, all in one error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from theus._yaml import Node, Position, Problem, failure, load, suggestion
from theus.errors import FluxError
from theus.flux.expressions import Expression, compile_expression, is_free_name
from theus.flux.steps import STEPS
from theus.flux.syntax import Body, Step, Template, Workflow

__all__ = ["Fields", "parse_workflow"]

_TOP: Final = ("name", "description", "version", "steps", "nodes", "start")
_COMMON: Final = ("name", "description")
_ENOUGH: Final = 50
_NOTHING: Final = compile_expression("None")


def parse_workflow(text: str | bytes, *, source: str = "<string>") -> Workflow:
    """Read a workflow.

    Raises
    ------
    FluxError
        With fields ``file``, ``line``, ``column`` of the first problem and ``problems``, all
        of them. An empty file, or one without steps, is a problem.
    """
    root = load(text, source=source)
    parser = _Parser()
    try:
        workflow = parser.workflow(root)
    except _Enough:
        workflow = None
    if parser.problems:
        raise failure(list(parser.problems))
    assert workflow is not None
    return workflow


class _Enough(Exception):
    """So many problems that the rest is not looked for."""


class _Parser:
    """Collects problems while it makes steps."""

    __slots__ = ("problems",)

    def __init__(self) -> None:
        self.problems: dict[Problem, None] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        self.problems.update(dict.fromkeys(problems))
        if len(self.problems) >= _ENOUGH:
            raise _Enough

    def problem(self, node: Node, message: str) -> None:
        self.add([node.problem(message)])

    def workflow(self, root: Node) -> Workflow:
        if root.kind != "mapping":
            self.problem(
                root, f"A workflow is a mapping with `steps:` (or `nodes:`), not {root.describe()}."
            )
            return Workflow("", (), root.position)
        fields = Fields(self, root, frozenset())
        fields.check_keys(_TOP, "A workflow")
        if "steps" in fields and "nodes" in fields:
            self.problem(root.keys["nodes"], "A workflow has `steps:` or `nodes:`, not both.")
        if "nodes" in fields:
            body: Body = (STEPS["graph"].parse(fields),)
        elif "steps" in fields:
            body = fields.body("steps")
            node = fields.node("steps")
            if node.kind == "sequence" and not node.value:
                self.problem(node, "A workflow needs at least one step.")
            if "start" in fields:
                self.problem(root.keys["start"], "`start:` belongs to `nodes:`.")
        else:
            self.problem(root, "A workflow needs `steps:`, a list of steps (or `nodes:`).")
            body = ()
        return Workflow(fields.text("name"), body, root.position)

    def steps(self, node: Node, names: frozenset[str]) -> Body:
        if node.kind != "sequence":
            hint = " For no steps, write []." if node.value is None else ""
            if node.kind == "mapping" or isinstance(node.value, str):
                hint = " Put a dash before each step."
            self.problem(node, f"A list of steps is needed here, not {node.describe()}.{hint}")
            return ()
        made = [self.step(each, names) for each in node.value]
        return tuple(step for step in made if step is not None)

    def step(self, node: Node, names: frozenset[str]) -> Step | None:
        fields = Fields(self, node, names)
        if isinstance(node.value, str) and node.value:
            return STEPS["process"].parse(fields)
        if node.kind != "mapping":
            self.problem(
                node,
                "A step is the name of a process, `process: NAME` or `flux: KIND`, not "
                f"{node.describe()}.",
            )
            return None
        key = self.kind_of(node)
        if key is None:
            return None
        kind = STEPS[key]
        what = "A step `process:`" if key == "process" else f"`flux: {key}`"
        known = ("flux", *kind.required, *kind.optional, *_COMMON)
        fields.check_keys(known, what, kind.required)
        return kind.parse(fields)

    def kind_of(self, node: Node) -> str | None:
        chosen = node.value.get("flux")
        if chosen is None:
            if "process" in node.value:
                return "process"
            near = [key for key in node.value if isinstance(key, str)]
            hint = next((h for k in near if (h := suggestion(k, ("flux", "process")))), "")
            self.problem(node, f"A step needs `process: NAME` or `flux: KIND`.{hint}")
            return None
        if not isinstance(chosen.value, str) or chosen.value not in STEPS:
            hint = suggestion(chosen.value, STEPS) if isinstance(chosen.value, str) else ""
            known = ", ".join(STEPS)
            self.problem(
                chosen, f"Unknown kind of step: {chosen.describe()}; there are {known}.{hint}"
            )
            return None
        return str(chosen.value)


class Fields:
    """The keys of one step, read with their checks; what step kinds parse from.

    ``names`` are those that loops around the step have declared. Every reader reports a
    wrong value and returns something of the right type; `check_keys` has reported what is
    missing.
    """

    __slots__ = ("_parser", "names", "whole")

    def __init__(self, parser: _Parser, whole: Node, names: frozenset[str]) -> None:
        self._parser = parser
        self.whole = whole
        self.names = names

    @property
    def position(self) -> Position:
        """Where the step stands."""
        return self.whole.position

    def __contains__(self, key: str) -> bool:
        return key in self.whole.value

    def node(self, key: str) -> Node:
        """The value under `key`; LookupError if there is none."""
        return self.whole.at(key)

    def at(self, node: Node) -> Fields:
        """The fields of a mapping inside this one."""
        return Fields(self._parser, node, self.names)

    def problem(self, node: Node, message: str) -> None:
        """Report `message` at `node`."""
        self._parser.problem(node, message)

    def check_keys(self, known: Iterable[str], what: str, required: Iterable[str] = ()) -> None:
        """Report unknown and missing keys."""
        known = list(known)
        for key, node in self.whole.keys.items():
            if key not in known:
                hint = suggestion(str(key), known)
                self.problem(node, f"{what} has no key {key!r}.{hint}")
        for key in required:
            if key not in self:
                self.problem(self.whole, f"{what} needs `{key}:`.")

    def text(self, key: str) -> str:
        """A text that is not empty; an empty one where the key is missing."""
        if key not in self:
            return ""
        node = self.node(key)
        if isinstance(node.value, str) and node.value.strip():
            return node.value
        self.problem(node, f"`{key}:` needs a text, not {node.describe()}.")
        return ""

    def body(self, key: str, *, names: frozenset[str] | None = None) -> Body:
        """The steps under `key`, in which `names` may be used; none where it is missing."""
        if key not in self:
            return ()
        return self._parser.steps(self.node(key), self.names if names is None else names)

    def variable(self, key: str) -> str:
        """A name that a loop declares."""
        name = self.text(key)
        if name and not (is_free_name(name) and name not in self.names):
            self.problem(
                self.node(key),
                f"{name!r} cannot name the item: it needs an identifier that is not in use.",
            )
        return name

    def expression_at(self, key: str) -> Expression:
        """An expression, or true or false; what is missing has been reported."""
        return self.expression(self.node(key)) if key in self else _NOTHING

    def expression(self, node: Node, text: str | None = None, offset: int = 0) -> Expression:
        """The expression `text`, which stands at `offset` in the text value `node`."""
        if isinstance(node.value, bool):
            return compile_expression(str(node.value))
        if not isinstance(node.value, str):
            hint = " Put quotes around it." if node.kind != "scalar" else ""
            self.problem(node, f"An expression is needed, not {node.describe()}.{hint}")
            return _NOTHING
        return self._collected(
            lambda: compile_expression(
                node.value if text is None else text, names=self.names, node=node, offset=offset
            )
        )

    def _collected(self, compiled: Callable[[], Expression]) -> Expression:
        try:
            return compiled()
        except FluxError as bad:
            self._parser.add(bad.problems)
            return _NOTHING

    def template(self, node: Node) -> Template:
        """A constant with expressions in it: texts that begin with ``=``."""
        if node.kind == "scalar":
            if not isinstance(node.value, str) or not node.value.startswith("="):
                return Template(node.value, frozenset())
            expression = self.expression(node, node.value[1:], 1)
            return Template(expression, expression.names)
        parts: Any
        if node.kind == "mapping":
            parts = {key: self.template(each) for key, each in node.value.items()}
            below = list(parts.values())
        else:
            parts = below = [self.template(each) for each in node.value]
        return Template(parts, frozenset().union(*(part.names for part in below)))
