"""The one YAML reader: safe, strict, bounded, and every value knows its place.

Only this module imports `yaml`. A text becomes a tree of :class:`Node`, built
from the parser's event stream with these rules:

- scalars follow the YAML 1.2 core schema: ``on``, ``yes`` and dates are text; a decimal
  number with a leading zero is refused instead of guessed;
- duplicate keys, merge keys (``<<``), explicit tags, values that contain themselves, and
  more than one document are refused;
- size, depth, number of nodes (aliases counted as what they expand to), number of aliases
  and digits of a number are limited, and checked while reading;
- every problem is an error with file, line, column and an excerpt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from theus._yaml.node import Node, position
from theus._yaml.scalars import resolve
from theus._yaml.text import FORBIDDEN, Position, Problem, Text, failure, suggestion
from theus.errors import FluxError, TheusError

__all__ = [
    "Limits",
    "Node",
    "Position",
    "Problem",
    "failure",
    "load",
    "load_file",
    "position",
    "suggestion",
]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BARE: Final = re.compile(r"\s*(?:-\s+)*[\w-]+:\s+[\"'\[{!*%&>|@`]")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a text may cost. ``size`` in bytes, ``nodes`` with aliases expanded."""

    size: int = 1 << 20
    depth: int = 64
    nodes: int = 50_000
    aliases: int = 1_000
    digits: int = 400


class _Reader:
    """Builds nodes from events; holds what is open, the anchors and the budgets."""

    __slots__ = ("aliases", "anchors", "keys", "limits", "nodes", "open", "opened", "root", "text")

    def __init__(self, text: Text, limits: Limits) -> None:
        self.text = text
        self.limits = limits
        self.root: Node | None = None
        self.open: list[Node] = []
        self.opened: list[str | None] = []
        self.keys: list[Node | None] = []
        self.anchors: dict[str, Node | None] = {}
        self.nodes = 0
        self.aliases = 0

    def read(self) -> Node:
        loader = _LOADER(self.text.raw)
        documents = 0
        try:
            while loader.check_event():
                event = loader.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    self._check_document(event, documents)
                else:
                    self._take(event)
        finally:
            loader.dispose()
        if self.root is None:
            self.text.fail(self.text.place(0, 0), "The file is empty.")
        return self.root

    def _fail_at(self, event: Any, message: str) -> NoReturn:
        mark = event.start_mark
        self.text.fail(self.text.place(mark.line, mark.column), message)

    def _check_document(self, event: Any, documents: int) -> None:
        if documents > 1:
            self._fail_at(event, "A second document starts here; only one is read.")
        if event.tags:
            self._fail_at(event, "Tag directives are not allowed.")

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._place(self._alias(event), event)
        elif isinstance(event, yaml.NodeEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            node, anchor = self.open.pop(), self.opened.pop()
            self.keys.pop()
            if node.kind == "sequence":
                node.value = tuple(node.value)
            if anchor is not None:
                self.anchors[anchor] = node
            self._place(node, event)

    def _start(self, event: Any) -> None:
        if event.tag is not None:
            self._fail_at(event, f"The tag {event.tag!r} is not allowed: tags choose types.")
        self._spend(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self.text, "scalar", event)
            node.value = self._scalar(event)
            if event.anchor is not None:
                self.anchors[event.anchor] = node
            self._place(node, event)
            return
        if len(self.open) >= self.limits.depth:
            self._fail_at(event, f"Nested deeper than {self.limits.depth} levels.")
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        node = Node(self.text, kind, event)
        if self.open and self.open[-1].kind == "mapping" and self.keys[-1] is None:
            self._refuse_key(node, event)
        if kind == "sequence":
            node.value = []
        self.open.append(node)
        self.opened.append(event.anchor)
        self.keys.append(None)
        if event.anchor is not None:
            self.anchors[event.anchor] = None

    def _spend(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            self._fail_at(event, f"More than {self.limits.nodes:,} values (aliases expanded).")

    def _alias(self, event: Any) -> Node:
        self.aliases += 1
        if self.aliases > self.limits.aliases:
            self._fail_at(event, f"More than {self.limits.aliases:,} aliases.")
        if event.anchor not in self.anchors:
            self._fail_at(event, f"Unknown alias *{event.anchor}.")
        node = self.anchors[event.anchor]
        if node is None:
            self._fail_at(event, f"*{event.anchor} stands inside the value that it names.")
        if len(self.open) + node.height > self.limits.depth + 1:
            self._fail_at(event, f"Nested deeper than {self.limits.depth} levels by an alias.")
        self._spend(event, node.size)
        return node

    def _place(self, node: Node, event: Any) -> None:
        """Put a finished node where it belongs: root, list, key or value."""
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.kind == "sequence":
            parent.value.append(node)
        elif (key := self.keys[-1]) is None:
            self.keys[-1] = self._key(parent, node, event)
        else:
            parent.value[key.value] = node
            self.keys[-1] = None

    def _key(self, parent: Node, node: Node, event: Any) -> Node:
        if node.kind == "scalar" and node.value == "<<" and not node.style:
            self._fail_at(event, "Merge keys (<<) are not allowed: they hide what is overridden.")
        if type(node.value) not in (str, int):
            self._refuse_key(node, event)
        first = parent.keys.get(node.value)
        if first is not None:
            self._fail_at(
                event, f"The key {node.value!r} is here twice; first in line {first.line + 1}."
            )
        parent.keys[node.value] = node
        return node

    def _refuse_key(self, node: Node, event: Any) -> NoReturn:
        self._fail_at(event, f"A key must be a text or an integer, not {node.describe()}.")

    def _scalar(self, event: Any) -> Any:
        if not event.implicit[0]:
            return event.value
        try:
            return resolve(event.value, self.limits.digits)
        except ValueError as bad:
            self._fail_at(event, str(bad))


def _is_text(data: object) -> bool:
    return isinstance(data, (str, bytes))


def _decode(data: str | bytes, source: str, limits: Limits, error: type[TheusError]) -> Text:
    first = Text("", source, error)
    if not _is_text(data):
        kind = type(data).__name__
        first.fail(first.place(0, 0), f"A YAML text is str or bytes, not {kind}.")
    if len(data) > limits.size:
        first.fail(first.place(0, 0), f"The text is larger than {limits.size:,} bytes.")
    if isinstance(data, bytes):
        try:
            raw = data.decode("utf-8-sig")
        except UnicodeDecodeError as bad:
            head = Text(data[: bad.start].decode("utf-8", "replace"), source, error)
            head.fail(head.place_of(len(head.raw)), f"Not UTF-8: byte 0x{data[bad.start]:02x}.")
    else:
        raw = data.removeprefix("\ufeff")
    text = Text(raw, source, error)
    forbidden = FORBIDDEN.search(raw)
    if forbidden:
        code = ord(forbidden[0])
        text.fail(text.place_of(forbidden.start()), f"The character U+{code:04X} is not allowed.")
    if not raw.isascii() and len(raw.encode()) > limits.size:
        text.fail(text.place(0, 0), f"The text is larger than {limits.size:,} bytes.")
    return text


def _fail_as_marked(prepared: Text, bad: yaml.MarkedYAMLError) -> NoReturn:
    """The parser's complaint with our excerpt, and a hint at the usual cause."""
    mark = bad.problem_mark or bad.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    what = " ".join(part for part in (bad.context, bad.problem) if part)
    if bad.problem_mark and bad.context_mark:
        start = prepared.place(bad.context_mark.line, bad.context_mark.column)
        what += f" (began at line {start.line}, column {start.column})"
    broken = prepared.lines[line] if line < len(prepared.lines) else ""
    hint = ""
    if "flow" in what:
        hint = " Inside [] and {}, quote texts that have brackets, braces or commas."
    elif _BARE.match(broken):
        hint = " If it is meant as one text, quote the whole value."
    prepared.fail(prepared.place(line, column), f"Not valid YAML: {what}.{hint}")


def load(
    text: str | bytes,
    *,
    source: str = "<string>",
    limits: Limits | None = None,
    error: type[TheusError] = FluxError,
) -> Node:
    """Read one YAML document.

    Parameters
    ----------
    text:
        The document, as text or as UTF-8 bytes.
    source:
        Name of the file, for messages.
    limits:
        What the text may cost; the defaults of `Limits` without.
    error:
        Class of the exception for anything wrong.

    Raises
    ------
    TheusError
        Of class `error`, with fields ``file``, ``line``, ``column`` and ``problems``.

    Time is linear in the size of the text. May be called from any thread.
    """
    limits = limits or Limits()
    prepared = _decode(text, source, limits, error)
    try:
        return _Reader(prepared, limits).read()
    except yaml.MarkedYAMLError as bad:
        _fail_as_marked(prepared, bad)
    except yaml.YAMLError as bad:
        prepared.fail(prepared.place(0, 0), f"Not valid YAML: {bad}.")


def load_file(
    path: str | PathLike[str],
    *,
    limits: Limits | None = None,
    error: type[TheusError] = FluxError,
) -> Node:
    """Read the YAML document in a file; never more than the size limit of it.

    Raises what `load` raises, and OSError when the file cannot be read.
    """
    limits = limits or Limits()
    with Path(path).open("rb") as stream:
        data = stream.read(limits.size + 1)
    return load(data, source=str(path), limits=limits, error=error)
