"""What an expression may cost. Constants: a workflow cannot raise them."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BITS", "COMPARISONS", "DEPTH", "DIGITS", "LENGTH", "NODES", "PLACES", "RESULT", "TOUCHED",
    "VALUE_DEPTH",
]  # fmt: skip

LENGTH: Final = 4_096
"""Characters of the source."""
NODES: Final = 512
"""Parts of one expression."""
DEPTH: Final = 40
"""Levels of nesting."""
COMPARISONS: Final = 8
"""Comparisons in one chain (``a < b < c`` has two)."""
DIGITS: Final = 400
"""Characters of a number, as a literal or as a text given to ``int`` or ``float``."""
BITS: Final = 4_096
"""Size of an integer that takes part in arithmetic, or comes out of it."""
RESULT: Final = 100_000
"""Length of a text or list that an operator or function makes."""
PLACES: Final = 300
"""Second argument of ``round``, either sign."""
TOUCHED: Final = 1_000_000
"""Elements that one evaluation may visit in ``in``, ``==``, ``sum``, ``sorted`` ..."""
VALUE_DEPTH: Final = 100
"""Levels of nesting of values that are compared."""
