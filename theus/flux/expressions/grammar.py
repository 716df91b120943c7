"""Tokens to parts: a whitelist grammar with the precedence of Python.

What is not written here does not exist: no assignment, no lambda, no comprehension, no
attribute access (a dot names a field of the state), no call but of the functions and
methods of the language, no format text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NoReturn

from theus._yaml import suggestion
from theus.flux.expressions.faults import Source
from theus.flux.expressions.functions import FUNCTIONS, METHODS
from theus.flux.expressions.limits import COMPARISONS, DEPTH, LENGTH, NODES
from theus.flux.expressions.nodes import (
    Binary,
    Boolean,
    Call,
    Choice,
    Comparison,
    Constant,
    Display,
    Expr,
    Item,
    Method,
    Name,
    Slice,
    Unary,
)
from theus.flux.expressions.tokens import RESERVED, Token, tokens_of

__all__ = ["parse"]

_LEVELS: Final = {
    "|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6,
}  # fmt: skip
_SYMBOLS: Final = frozenset(["<", "<=", ">", ">=", "==", "!="])
_LITERALS: Final = {"None": None, "True": True, "False": False}
_OTHER_LITERALS: Final = {"none": "None", "null": "None", "true": "True", "false": "False"}
_BOOLEAN_WORDS: Final = {"yes": "True", "on": "True", "no": "False", "off": "False"}


def parse(source: Source, names: Collection[str]) -> Expr:
    """The parts of the expression `source`, in which `names` may be used.

    Raises FluxError of kind ``syntax``, ``not-allowed``, ``unknown-name`` or ``limit``.
    """
    if len(source.text) > LENGTH:
        source.fail("limit", f"An expression of more than {LENGTH:,} characters.", 0, 1)
    if not source.text:
        source.fail("syntax", "The expression is empty.", 0, 1)
    return _Grammar(source, names).whole()


class _Grammar:
    """Recursive descent over the tokens of one expression."""

    __slots__ = ("at", "names", "nested", "nodes", "source", "token", "tokens")

    def __init__(self, source: Source, names: Collection[str]) -> None:
        self.source = source
        self.names = names
        self.tokens = tokens_of(source)
        self.at = 0
        self.token = self.tokens[0]
        self.nested = 0
        self.nodes = 0

    # --- tokens ---------------------------------------------------------------------------

    def whole(self) -> Expr:
        expr = self.choice()
        if self.token.kind != "end":
            self.unexpected()
        return expr

    def next(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.at += 1
            self.token = self.tokens[self.at]
        return token

    def sees(self, value: str) -> bool:
        return self.token.value == value and self.token.kind in ("op", "name")

    def take(self, value: str) -> bool:
        if self.sees(value):
            self.next()
            return True
        return False

    def need(self, value: str) -> Token:
        if not self.sees(value):
            self.unexpected(f"{value!r} is missing here")
        return self.next()

    def fail(self, token: Token, kind: str, message: str) -> NoReturn:
        self.source.fail(kind, message, token.start, token.end)

    def unexpected(self, why: str = "") -> NoReturn:
        token = self.token
        if token.kind == "name" and token.value == "for":
            self.fail(token, "not-allowed", "Comprehensions do not exist here.")
        if token.kind == "end":
            self.fail(token, "syntax", f"The expression ends too early{why and ': ' + why}.")
        shown = self.source.text[token.start : token.end][:40]
        self.fail(token, "syntax", f"Unexpected {shown}{why and ': ' + why}.")

    def made(self, expr: Expr) -> Expr:
        """Count a new part; refuse what is too large or too deep."""
        self.nodes += 1
        if self.nodes > NODES:
            message = f"An expression of more than {NODES} parts."
            self.source.fail("limit", message, expr.start, expr.end)
        if expr.depth > DEPTH:
            message = f"Nested deeper than {DEPTH} levels."
            self.source.fail("limit", message, expr.start, expr.end)
        return expr

    def deeper(self, parse: Callable[[], Expr]) -> Expr:
        """Parse what stands inside; parentheses, too, may only be nested so deep."""
        self.nested += 1
        if self.nested > DEPTH:
            self.fail(self.token, "limit", f"Nested deeper than {DEPTH} levels.")
        expr = parse()
        self.nested -= 1
        return expr

    # --- operators, loosest first ---------------------------------------------------------

    def choice(self) -> Expr:
        yes = self.either()
        if not self.take("if"):
            return yes
        condition = self.either()
        self.need("else")
        no = self.deeper(self.choice)
        return self.made(Choice(yes.start, no.end, condition, yes, no))

    def either(self) -> Expr:
        return self.joined("or", self.both)

    def both(self) -> Expr:
        return self.joined("and", self.negation)

    def joined(self, symbol: str, operand: Callable[[], Expr]) -> Expr:
        parts = [operand()]
        while self.take(symbol):
            parts.append(operand())
        return parts[0] if len(parts) == 1 else self.made(Boolean(symbol, *parts))

    def negation(self) -> Expr:
        if not self.sees("not"):
            return self.comparison()
        start = self.next().start
        operand = self.deeper(self.negation)
        return self.made(Unary(start, operand.end, "not", operand))

    def comparison(self) -> Expr:
        parts = [self.binary(1)]
        symbols: list[str] = []
        while symbol := self.comparing():
            first = self.token
            parts.append(self.binary(1))
            symbols.append(symbol)
            if len(symbols) > COMPARISONS:
                self.fail(first, "limit", f"More than {COMPARISONS} comparisons in one chain.")
            if symbol.startswith("is"):
                self.check_identity(first, parts[-1])
        return self.made(Comparison(tuple(symbols), *parts)) if symbols else parts[0]

    def comparing(self) -> str:
        """The comparison that stands here, taken; an empty text if there is none."""
        if self.token.kind == "op" and self.token.value in _SYMBOLS:
            return str(self.next().value)
        if self.take("in"):
            return "in"
        if self.take("is"):
            return "is not" if self.take("not") else "is"
        if self.sees("not"):
            self.next()
            self.need("in")
            return "not in"
        return ""

    def check_identity(self, token: Token, operand: Expr) -> None:
        if isinstance(operand, Constant) and (
            operand.value is None or isinstance(operand.value, bool)
        ):
            return
        self.fail(token, "not-allowed", "`is` only takes None, True or False; write `==`.")

    def binary(self, level: int) -> Expr:
        left = self.unary()
        while self.token.kind == "op" and _LEVELS.get(str(self.token.value), 0) >= level:
            symbol = str(self.next().value)
            left = self.made(Binary(symbol, left, self.binary(_LEVELS[symbol] + 1)))
        return left

    def unary(self) -> Expr:
        if self.token.kind != "op" or self.token.value not in ("+", "-", "~"):
            return self.power()
        token = self.next()
        operand = self.deeper(self.unary)
        return self.made(Unary(token.start, operand.end, str(token.value), operand))

    def power(self) -> Expr:
        base = self.postfix()
        if not self.take("**"):
            return base
        return self.made(Binary("**", base, self.deeper(self.unary)))

    # --- fields, items, calls -------------------------------------------------------------

    def postfix(self) -> Expr:
        expr = self.atom()
        while self.token.kind == "op":
            if self.take("."):
                expr = self.dotted(expr)
            elif self.take("["):
                expr = self.subscript(expr)
            elif self.sees("("):
                self.fail(self.token, "not-allowed", "Only functions and methods can be called.")
            else:
                break
        return expr

    def dotted(self, owner: Expr) -> Expr:
        token = self.token
        if token.kind != "name":
            self.unexpected("a field is missing after the point")
        self.next()
        name = str(token.value)
        self.check_name(token, name)
        if not self.sees("("):
            key = self.made(Constant(token.start, token.end, name))
            return self.made(Item(owner.start, token.end, owner, key))
        method = METHODS.get(name)
        if method is None:
            known = ", ".join(METHODS)
            self.fail(token, "not-allowed", f"There is no method {name!r}; there are {known}.")
        arguments = self.arguments()
        self.check_count(token, len(arguments), method.least, method.most)
        end = self.tokens[self.at - 1].end
        return self.made(Method(owner.start, end, name, owner, *arguments))

    def subscript(self, owner: Expr) -> Expr:
        here = self.token.start
        low: Expr = Constant(here, here, None)
        if not self.sees(":"):
            low = self.deeper(self.choice)
            if self.sees("]"):
                return self.made(Item(owner.start, self.next().end, owner, low))
        self.need(":")
        high: Expr = Constant(here, here, None)
        if not self.sees("]") and not self.sees(":"):
            high = self.deeper(self.choice)
        if self.sees(":"):
            self.fail(self.token, "not-allowed", "A slice has no step here.")
        return self.made(Slice(owner.start, self.need("]").end, owner, low, high))

    def arguments(self) -> list[Expr]:
        self.need("(")
        return self.elements(")")

    def elements(self, closing: str) -> list[Expr]:
        """Expressions separated by commas, up to and with `closing`."""
        found: list[Expr] = []
        while not self.take(closing):
            if self.token.value in ("*", "**") and self.token.kind == "op":
                self.fail(self.token, "not-allowed", "Unpacking does not exist here.")
            found.append(self.deeper(self.choice))
            if not self.take(","):
                self.need(closing)
                break
        return found

    def check_count(self, token: Token, count: int, least: int, most: int) -> None:
        if least <= count <= most:
            return
        wanted = str(least) if least == most else f"{least} to {most}"
        if most >= NODES:
            wanted = f"at least {least}"
        self.fail(token, "type", f"{token.value} takes {wanted} argument(s), not {count}.")

    # --- atoms ----------------------------------------------------------------------------

    def atom(self) -> Expr:
        token = self.token
        if token.kind == "number":
            self.next()
            return self.made(Constant(token.start, token.end, token.value))
        if token.kind == "text":
            return self.text()
        if token.kind == "name":
            self.next()
            return self.name(token)
        if token.value == "(":
            return self.parenthesis()
        if token.value == "[":
            self.next()
            elements = self.elements("]")
            return self.display(token, "list", elements)
        if token.value == "{":
            return self.braces()
        return self.unexpected()

    def text(self) -> Expr:
        """One or more texts side by side, which are one."""
        first = self.token
        parts: list[str] = []
        while self.token.kind == "text":
            end = self.token.end
            parts.append(str(self.next().value))
        return self.made(Constant(first.start, end, "".join(parts)))

    def display(self, first: Token, kind: str, elements: list[Expr]) -> Expr:
        end = self.tokens[self.at - 1].end
        return self.made(Display(first.start, end, kind, *elements))

    def parenthesis(self) -> Expr:
        first = self.next()
        if self.take(")"):
            return self.display(first, "tuple", [])
        inner = self.deeper(self.choice)
        if self.take(")"):
            return inner
        if not self.take(","):
            self.need(")")
        return self.display(first, "tuple", [inner, *self.elements(")")])

    def braces(self) -> Expr:
        first = self.next()
        if self.take("}"):
            return self.display(first, "dict", [])
        if self.token.value == "**" and self.token.kind == "op":
            self.fail(self.token, "not-allowed", "Unpacking does not exist here.")
        inner = self.deeper(self.choice)
        if not self.sees(":"):
            rest = self.elements("}") if self.take(",") else (self.need("}"), [])[1]
            return self.display(first, "set", [inner, *rest])
        parts = [inner]
        while True:
            self.need(":")
            parts.append(self.deeper(self.choice))
            if not self.take(",") or self.sees("}"):
                break
            parts.append(self.deeper(self.choice))
        self.need("}")
        return self.display(first, "dict", parts)

    def name(self, token: Token) -> Expr:
        name = str(token.value)
        if name in _LITERALS:
            return self.made(Constant(token.start, token.end, _LITERALS[name]))
        if name in FUNCTIONS:
            return self.call(token, name)
        if name in self.names:
            return self.made(Name(token.start, token.end, name))
        if name in RESERVED:
            self.fail(token, "not-allowed", f"{name!r} cannot be used here.")
        self.check_name(token, name)
        literal = _OTHER_LITERALS.get(name.lower()) or _BOOLEAN_WORDS.get(name.lower())
        if literal:
            hint = f" Write {literal}."
        else:
            hint = suggestion(name, [*self.names, *FUNCTIONS])
        known = ", ".join(self.names)
        self.fail(token, "unknown-name", f"Unknown name {name!r}; there are {known}.{hint}")

    def call(self, token: Token, name: str) -> Expr:
        if not self.sees("("):
            self.fail(token, "not-allowed", f"{name!r} is a function; it can only be called.")
        arguments = self.arguments()
        function = FUNCTIONS[name]
        self.check_count(token, len(arguments), function.least, function.most)
        end = self.tokens[self.at - 1].end
        return self.made(Call(token.start, end, name, *arguments))

    def check_name(self, token: Token, name: str) -> None:
        if name.startswith("_"):
            self.fail(token, "not-allowed", f"{name!r}: names that begin with _ are private.")
