"""One value of a text, and where it stands."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, NoReturn

from theus._yaml.text import LINE_ENDS, Position, Problem, Text, failure

__all__ = ["Node", "position"]

_OLD_BOOLEANS: Final = frozenset({"yes", "no", "on", "off", "y", "n"})
_ESCAPE_LENGTHS: Final = {"x": 4, "u": 6, "U": 10}


class Node:
    """One value of the text and where it stands.

    ``kind`` is ``"mapping"``, ``"sequence"`` or ``"scalar"``; ``value`` is a dict of key to
    Node, a tuple of Nodes, or None, bool, int, float or str. Nodes are not changed after
    reading and may be shared between threads.
    """

    __slots__ = (
        "_text", "column", "end", "height", "keys", "kind", "line", "size", "start", "style",
        "value",
    )  # fmt: skip

    def __init__(self, text: Text, kind: str, event: Any) -> None:
        self._text = text
        self.kind = kind
        self.value: Any = {} if kind == "mapping" else None
        self.keys: dict[Hashable, Node] = {}
        self.line: int = event.start_mark.line
        self.column: int = event.start_mark.column
        self.start: int = event.start_mark.index
        self.end: int = event.end_mark.index
        self.style: str | None = getattr(event, "style", None) or None
        self.size = 1
        self.height = 1

    @property
    def position(self) -> Position:
        """Where the value starts."""
        return self._text.place(self.line, self.column)

    def __repr__(self) -> str:
        return f"<Node {self.describe()} at {self.position}>"

    def describe(self) -> str:
        """What it is, for messages: ``a mapping``, ``a list``, ``the text 'x'`` ..."""
        if self.kind != "scalar":
            return "a mapping" if self.kind == "mapping" else "a list"
        if self.value is None:
            return "nothing"
        if not isinstance(self.value, str):
            return f"the {type(self.value).__name__} {self.value!r}"
        shown = self.value if len(self.value) <= 40 else self.value[:37] + "..."
        if self.value.lower() in _OLD_BOOLEANS and self.style is None:
            return f"the text {shown!r} (in YAML 1.2 only true and false are booleans)"
        return f"the text {shown!r}"

    def plain(self) -> Any:
        """The value as plain dicts, lists and scalars; new containers at every call.

        Its depth is bounded by the limits that the text was read with.
        """
        if self.kind == "mapping":
            return {key: child.plain() for key, child in self.value.items()}
        if self.kind == "sequence":
            return [child.plain() for child in self.value]
        return self.value

    def at(self, *path: Hashable) -> Node:
        """The node below this one at keys and indices `path`; LookupError if there is none."""
        node = self
        for key in path:
            if node.kind == "scalar":
                raise LookupError(key)
            node = node.value[key]
        return node

    def problem(self, message: str, offset: int | None = None, length: int = 1) -> Problem:
        """A problem at this value, or at character `offset` of a text value if given."""
        if offset is None:
            return self._text.problem(self.position, message, length)
        if self._on_one_line():
            return self._text.problem(self.locate(offset), message, length)
        alone = Text(self.value, self._text.name, self._text.error)
        return Problem(self.position, message, alone.excerpt(alone.place_of(offset), length))

    def fail(self, message: str) -> NoReturn:
        """Raise the one problem `message` at this value."""
        raise failure([self.problem(message)], self._text.error) from None

    def locate(self, offset: int) -> Position:
        """The place of character `offset` of a text value.

        Exact for values on one line, quoted ones with escapes included; for values that
        YAML joined from several lines it is the start of the value.
        """
        if not self._on_one_line():
            return self.position
        index = self._skip_escapes(offset) if self.style else offset
        return self._text.place(self.line, self.column + index)

    def _raw(self) -> str:
        return self._text.raw[self.start : self.end]

    def _on_one_line(self) -> bool:
        return self.style not in ("|", ">") and not LINE_ENDS.search(self._raw())

    def _skip_escapes(self, offset: int) -> int:
        raw = self._raw()
        index = 1
        for _ in range(offset):
            if self.style == "'":
                index += 2 if raw.startswith("''", index) else 1
            elif raw.startswith("\\", index):
                index += _ESCAPE_LENGTHS.get(raw[index + 1 : index + 2], 2)
            else:
                index += 1
        return index


def position(node: Node, *path: Hashable) -> Position:
    """Where `node`, or what is at `path` below it, stands; LookupError if there is nothing."""
    return node.at(*path).position
