"""Text to tokens: numbers, texts, names and operators, in ASCII outside quotes."""

from __future__ import annotations

import re
from keyword import kwlist
from typing import Final, NamedTuple, NoReturn

from theus.flux.expressions.faults import Site, Source
from theus.flux.expressions.limits import DIGITS

__all__ = ["RESERVED", "Token", "tokens_of"]


class Token(NamedTuple):
    """One token; ``kind`` is ``number``, ``text``, ``name``, ``op`` or ``end``."""

    kind: str
    value: object
    start: int
    end: int


RESERVED: Final = frozenset(kwlist) - {"global"}
"""Words that are no names; ``global`` is one here."""

_DIGITS: Final = r"[0-9](?:_?[0-9])*"
_EXPONENT: Final = rf"[eE][-+]?{_DIGITS}"
_TOKEN: Final = re.compile(
    rf"""
    (?P<space>[ \t]+)
  | (?P<based>0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)
  | (?P<float>(?:{_DIGITS})?\.{_DIGITS}(?:{_EXPONENT})?|{_DIGITS}\.(?:{_EXPONENT})?
      |{_DIGITS}{_EXPONENT})
  | (?P<integer>{_DIGITS})
  | (?P<text>[rRuU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<op>\*\*|//|<<|>>|<=|>=|==|!=|[-+*/%&|^~<>()\[\]{{}},:.=])
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<plain>[\\'"abfnrtv])|(?P<octal>[0-3]?[0-7]{1,2})"""
    r"|(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})))"
)
_PLAIN: Final = dict(zip("\\'\"abfnrtv", "\\'\"\a\b\f\n\r\t\v", strict=True))
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufeff]")
_HINTS: Final = {
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    ":=": "an expression cannot assign",
    "->": "write `.`",
    "=": "write `==` to compare; nothing is assigned, and arguments have no names",
    "?": "write `a if condition else b`",
    "$": "names are written without a sign",
    "@": "this operator does not exist here",
    "#": "a comment cannot stand in an expression",
    ";": "only one expression can stand here",
    "`": "write texts in ' or \"",
}


def tokens_of(source: Source) -> list[Token]:
    """The tokens of an expression, with an ``end`` token last.

    Raises FluxError at the first character that no token can begin with. Linear in the
    length of the text.
    """
    text = source.text
    control = _CONTROL.search(text)
    if control:
        message = "An expression is one line of printable characters."
        source.fail("syntax", message, control.start(), control.end())
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _unknown(source, at)
        kind, value, end = str(match.lastgroup), match[0], match.end()
        if kind != "space":
            found.append(_token(source, kind, value, at, end))
        at = end
    found.append(Token("end", "", at, at))
    return found


def _unknown(source: Source, at: int) -> NoReturn:
    """Fail at a character that begins no token."""
    character = source.text[at]
    site = Site(source, at, at + 1)
    if character in "'\"":
        site.fail("syntax", "This text has no end.")
    if not character.isascii():
        site.fail(
            "syntax",
            "Names are written in ASCII; other keys go in quotes, as in domain['t\u00ean'].",
        )
    hint = _HINTS.get(source.text[at : at + 2]) or _HINTS.get(character)
    site.fail("syntax", f"Unexpected {character!r}{f': {hint}' if hint else ''}.")


def _token(source: Source, kind: str, value: str, start: int, end: int) -> Token:
    site = Site(source, start, end)
    if kind == "op":
        for bad in (source.text[start : start + 2], value):
            if bad in _HINTS:
                site.fail("syntax", f"Unexpected {bad!r}: {_HINTS[bad]}.")
        return Token(kind, value, start, end)
    following = source.text[end : end + 1] or " "
    if kind == "name":
        if following in ("'", '"'):
            site.fail("not-allowed", f"Texts with the prefix {value!r} do not exist here.")
        return Token(kind, value, start, end)
    if kind == "text":
        return Token(kind, _text(site, value), start, end)
    if following in "._" or following.isalnum():
        site.fail("syntax", "A number ends where a letter, digit or point follows.")
    return Token("number", _number(site, kind, value), start, end)


def _number(site: Site, kind: str, value: str) -> int | float:
    if len(value) > DIGITS:
        site.fail("limit", f"A number of more than {DIGITS} digits.")
    if kind == "based":
        return int(value, 0)
    if kind == "float":
        number = float(value)
        if number == float("inf"):
            site.fail("limit", "This number is too large for a float.")
        return number
    if value[0] == "0" and value.strip("0_"):
        site.fail("syntax", "A number does not start with a zero; octal is 0o17.")
    return int(value)


def _text(site: Site, value: str) -> str:
    """The value of a quoted text; escapes are those of Python but for ``\\N{...}``."""
    raw = value[0] in "rR"
    inner = value[1 if value[0] in "'\"" else 2 : -1]
    if raw or "\\" not in inner:
        return inner
    if "\\" in _ESCAPE.sub("", inner):
        site.fail("syntax", "Unknown escape in a text; write a backslash as two.")
    return _ESCAPE.sub(_unescaped, inner)


def _unescaped(match: re.Match[str]) -> str:
    if match["plain"]:
        return _PLAIN[match["plain"]]
    if match["octal"]:
        return chr(int(match["octal"], 8))
    return chr(int(match["x"] or match["u"] or match["U"], 16))
