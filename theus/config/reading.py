"""Strict reading of YAML nodes: what is wrong is collected with its place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from theus._yaml import Node, Problem, failure, suggestion
from theus.errors import SchemaViolationError, SettingsError

__all__ = ["Reader"]


class Reader:
    """Reads values of expected types from nodes.

    Every method gives the value, or a harmless one after it has noted a problem; `finish`
    raises all problems together.
    """

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def note(self, node: Node, message: str) -> None:
        """Note a problem at a node."""
        self._problems.append(node.problem(message))

    def note_setting(self, node: Node, error: SettingsError) -> None:
        """Note what a constructor refused, at the key it is about where that can be told."""
        option = error.fields.get("option")
        self.note(node.value.get(option, node) if node.kind == "mapping" else node, error.message)

    def finish(self) -> None:
        """Raise `SchemaViolationError` if anything was wrong."""
        if self._problems:
            raise failure(self._problems, SchemaViolationError)

    def mapping(self, node: Node, what: str) -> dict[Any, Node]:
        """Name -> node of a mapping whose keys are texts."""
        if node.kind != "mapping":
            self.note(node, f"{what} must be a mapping, not {node.describe()}.")
            return {}
        found: dict[Any, Node] = {}
        for key, child in node.value.items():
            if isinstance(key, str):
                found[key] = child
            else:
                self.note(node.keys[key], f"A name in {what} must be a text, not {key!r}.")
        return found

    def fields(
        self, node: Node, what: str, known: Collection[str], required: Collection[str] = ()
    ) -> dict[str, Node]:
        """The mapping of a closed set of keys; unknown and missing ones are problems."""
        found = self.mapping(node, what)
        for key in [key for key in found if key not in known]:
            del found[key]
            self.note(
                node.keys[key],
                f"{what} has no {key!r}.{suggestion(key, known)} Known: {', '.join(known)}.",
            )
        for key in required:
            if node.kind == "mapping" and key not in found:
                self.note(node, f"{what} needs {key!r}.")
        return found

    def items(self, node: Node, what: str) -> tuple[Node, ...]:
        """The nodes of a list."""
        if node.kind != "sequence":
            hint = " Write [] for none." if node.kind == "scalar" and node.value is None else ""
            self.note(node, f"{what} must be a list, not {node.describe()}.{hint}")
            return ()
        items: tuple[Node, ...] = node.value
        return items

    def text(self, node: Node, what: str) -> str:
        """A text that is not empty."""
        if node.kind == "scalar" and isinstance(node.value, str) and node.value:
            return node.value
        self.note(node, f"{what} must be a text, not {node.describe()}.")
        return ""

    def boolean(self, node: Node, what: str) -> bool:
        """true or false."""
        if node.kind == "scalar" and isinstance(node.value, bool):
            return node.value
        self.note(node, f"{what} must be true or false, not {node.describe()}.")
        return False

    def integer(self, node: Node, what: str) -> int:
        """An integer from 0 on."""
        if node.kind == "scalar" and type(node.value) is int and node.value >= 0:
            return node.value
        self.note(node, f"{what} must be an integer from 0 on, not {node.describe()}.")
        return 0
