"""Safe expressions over the state: conditions, items and arguments of workflows.

The language is a small part of Python's expressions, parsed by a grammar of its own and
taken apart into closures once. It can read the state and nothing else: a dot and a
subscript both mean "the field of the state", functions are wrappers with type checks, and
cost in time and memory is bounded (see `limits`). There is no `eval`, no `getattr` on
objects that are not records, and no format language.

A workflow file may be untrusted with respect to its expressions. Naming processes and
arguments still selects code to run, so loading a workflow is not a permission system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from theus._yaml import Node
from theus.flux.expressions.closures import ROOTS, closure_of, truth_of
from theus.flux.expressions.faults import KINDS, Site, Source
from theus.flux.expressions.functions import FUNCTIONS
from theus.flux.expressions.grammar import parse
from theus.flux.expressions.nodes import Constant, Expr, Item, Name
from theus.flux.expressions.tokens import RESERVED
from theus.flux.expressions.values import as_root

__all__ = ["KINDS", "ROOTS", "Expression", "compile_expression", "is_free_name"]

Names = dict[str, Any]


class Expression:
    """A compiled expression; immutable, and shareable between threads.

    Attributes
    ----------
    source:
        The text.
    names:
        The names that it uses, roots and declared ones.
    reads:
        Dotted paths of the state that it may read, as far as the text says them.
    evaluate:
        ``evaluate(names) -> value``. `names` is a new dict for every evaluation: each of
        the names used stands for its value, a root for a mapping. Raises FluxError with
        the fields ``kind`` (one of `KINDS`), ``source``, ``offset``, ``end_offset``,
        ``file``, ``line``, ``column``.
    test:
        The same, as True or False.
    """

    __slots__ = ("_site", "evaluate", "names", "reads", "source", "test")

    evaluate: Callable[[Names], Any]
    test: Callable[[Names], bool]

    def __init__(self, source: Source, tree: Expr) -> None:
        self.source = source.text
        self.names = frozenset(part.name for part in _all_parts(tree) if isinstance(part, Name))
        self.reads = frozenset(_paths(tree))
        self.evaluate = closure_of(tree, source)
        self.test = truth_of(tree, source)
        self._site = Site(source, 0, len(source.text))

    def __repr__(self) -> str:
        return f"<Expression {self.source!r}>"

    def fail(self, kind: str, message: str) -> NoReturn:
        """Raise FluxError for a result that the place of the expression cannot use."""
        self._site.fail(kind, message)

    def __call__(self, roots: Mapping[str, Any]) -> Any:
        """The value, with `roots` (mappings by name); a missing root is an empty mapping."""
        return self.evaluate({name: as_root(roots.get(name, {})) for name in self.names})


def compile_expression(
    text: str,
    *,
    names: Iterable[str] = (),
    node: Node | None = None,
    offset: int = 0,
) -> Expression:
    """Compile one expression.

    Parameters
    ----------
    text:
        The expression; white space around it does not count.
    names:
        Names it may use besides `ROOTS`.
    node, offset:
        The YAML value that holds it and where in it, for positions of errors.

    Raises
    ------
    FluxError
        With the fields described at `Expression.evaluate`. TypeError if `text` is not
        exactly a str.

    Linear in the length of the text.
    """
    if type(text) is not str:
        raise TypeError(f"An expression is a str, not {type(text).__name__}.")
    source = Source(text.strip(), node, offset + len(text) - len(text.lstrip()))
    try:
        return Expression(source, parse(source, (*ROOTS, *names)))
    except RecursionError:
        too_deep = "The program is nested too deep to read this expression."
        source.fail("limit", too_deep, 0, len(source.text))


def is_free_name(name: str) -> bool:
    """Whether a workflow may declare `name`: an ASCII identifier that means nothing yet."""
    taken = name in RESERVED or name in FUNCTIONS or name in ROOTS
    return name.isascii() and name.isidentifier() and not name.startswith("_") and not taken


def _all_parts(tree: Expr) -> Iterable[Expr]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += part.parts


def _paths(tree: Expr) -> Iterable[str]:
    """The longest dotted path at every place where the tree goes down from a root."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        path = _path(part)
        if path is None:
            waiting += part.parts
        elif path[0] in ROOTS:
            yield ".".join(path)


def _path(part: Expr) -> list[str] | None:
    keys: list[str] = []
    while isinstance(part, Item):
        key = part.parts[1]
        if not isinstance(key, Constant) or type(key.value) is not str:
            return None
        keys.append(key.value)
        part = part.parts[0]
    return [part.name, *reversed(keys)] if isinstance(part, Name) else None
