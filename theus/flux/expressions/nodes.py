"""The parts of an expression, as the grammar finds them."""

from __future__ import annotations

from typing import Any

__all__ = [
    "Binary",
    "Boolean",
    "Call",
    "Choice",
    "Comparison",
    "Constant",
    "Display",
    "Expr",
    "Item",
    "Method",
    "Name",
    "Slice",
    "Unary",
]


class Expr:
    """A part of an expression: where it stands, and how deep the parts below it go."""

    __slots__ = ("depth", "end", "parts", "start")

    def __init__(self, start: int, end: int, *parts: Expr) -> None:
        self.start = start
        self.end = end
        self.parts = parts
        self.depth: int = 1 + max((part.depth for part in parts), default=0)


class Constant(Expr):
    """A literal."""

    __slots__ = ("value",)

    def __init__(self, start: int, end: int, value: Any) -> None:
        super().__init__(start, end)
        self.value = value


class Name(Expr):
    """A root (``domain``) or a name that the workflow declared."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int, name: str) -> None:
        super().__init__(start, end)
        self.name = name


class Item(Expr):
    """``a.b`` and ``a["b"]``, which mean the same; parts: the container, the key."""

    __slots__ = ()


class Slice(Expr):
    """``a[i:j]``; parts: the sequence, then i and j, a None constant where left out."""

    __slots__ = ()


class Call(Expr):
    """A function of the language; parts: the arguments."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int, name: str, *parts: Expr) -> None:
        super().__init__(start, end, *parts)
        self.name = name


class Method(Expr):
    """``x.get(k)`` and the few text methods; parts: x, the arguments."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int, name: str, *parts: Expr) -> None:
        super().__init__(start, end, *parts)
        self.name = name


class Unary(Expr):
    """``+ - ~ not``; parts: the operand."""

    __slots__ = ("symbol",)

    def __init__(self, start: int, end: int, symbol: str, operand: Expr) -> None:
        super().__init__(start, end, operand)
        self.symbol = symbol


class Binary(Expr):
    """An arithmetic operator; parts: left, right."""

    __slots__ = ("symbol",)

    def __init__(self, symbol: str, left: Expr, right: Expr) -> None:
        super().__init__(left.start, right.end, left, right)
        self.symbol = symbol


class Boolean(Expr):
    """``and`` or ``or``; parts: two or more operands."""

    __slots__ = ("symbol",)

    def __init__(self, symbol: str, *parts: Expr) -> None:
        super().__init__(parts[0].start, parts[-1].end, *parts)
        self.symbol = symbol


class Comparison(Expr):
    """``a < b <= c``; parts: one more operand than there are symbols."""

    __slots__ = ("symbols",)

    def __init__(self, symbols: tuple[str, ...], *parts: Expr) -> None:
        super().__init__(parts[0].start, parts[-1].end, *parts)
        self.symbols = symbols


class Choice(Expr):
    """``a if condition else b``; parts: condition, a, b."""

    __slots__ = ()


class Display(Expr):
    """``[..] (..) {..} {k: v}``; parts: the elements, or keys and values in turn."""

    __slots__ = ("kind",)

    def __init__(self, start: int, end: int, kind: str, *parts: Expr) -> None:
        super().__init__(start, end, *parts)
        self.kind = kind
