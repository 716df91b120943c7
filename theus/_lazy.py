"""Names that a package has but does not import before they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy"]


def lazy(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package whose names live in other modules.

    ``homes`` maps each name to the dotted name of its module. A name is looked up once and then
    is an ordinary attribute of the package::

        __getattr__, __dir__ = lazy(__name__, {"TheusEngine": "theus.engine"})

    Beside the table, the package imports the same names under ``TYPE_CHECKING``, so that type
    checkers see them.
    """

    def find(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, names
