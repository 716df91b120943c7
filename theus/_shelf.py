"""Shelves: a folder in which every module is one entry.

A pool backend, a lint rule, a reporter, a store, a workflow step or a command is added by
adding one file. This module is the one place that finds such files: it maps the modules of
a package to entries by key, appends what other distributions offer as entry points, and
refuses two entries of one key. Nothing is imported before its entry is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar, final

from theus.errors import ShelfError, UnknownEntryError

__all__ = ["Shelf"]

T = TypeVar("T")


def _stem_key(stem: str) -> str:
    return stem.rstrip("_")


@final
class Shelf(Mapping[str, T], Generic[T]):
    """The entries of one package, by key; a read-only mapping that loads on first use.

    Parameters
    ----------
    package:
        Dotted name of the package whose modules are the entries. Modules whose name
        starts with an underscore are helpers, not entries.
    attribute:
        Name that each module gives its entry (``command``, ``RULE``, ``Backend`` ...).
    kind:
        Type that every entry must be an instance of.
    key:
        Makes the key from the module's name. The default drops a trailing underscore, so
        that ``if_.py`` holds ``if``.
    group:
        Entry-point group through which other distributions append entries.

    Raises
    ------
    UnknownEntryError
        On ``shelf[key]`` with a key that is not there (also a `KeyError`).
    ShelfError
        When two entries have one key, or a module has no valid entry.

    Looking a key up costs an import the first time and a dict lookup afterwards. A shelf may
    be used by several threads: what they find is the same, whoever finds it first.
    """

    __slots__ = ("_attribute", "_entries", "_group", "_key", "_kind", "_loaders", "_package")

    def __init__(
        self,
        package: str,
        attribute: str,
        *,
        kind: type[T],
        key: Callable[[str], str] = _stem_key,
        group: str | None = None,
    ) -> None:
        self._package = package
        self._attribute = attribute
        self._kind = kind
        self._key = key
        self._group = group
        self._loaders: dict[str, tuple[str, Callable[[], object]]] | None = None
        self._entries: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        try:
            return self._entries[key]
        except KeyError:
            pass
        found = self._found().get(key)
        if found is None:
            raise UnknownEntryError(
                f"Cannot find {key!r} in {self._package}: it has {', '.join(self) or 'nothing'}.",
                key=key,
                shelf=self._package,
                known=tuple(self),
            )
        place, load = found
        entry = load()
        if not isinstance(entry, self._kind):
            raise ShelfError(
                f"Cannot use {place} as an entry of {self._package}: it is "
                f"{type(entry).__name__}, not {self._kind.__name__}.",
                shelf=self._package,
                places=(place,),
            )
        return self._entries.setdefault(key, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def __contains__(self, key: object) -> bool:
        return key in self._found()

    def __repr__(self) -> str:
        return f"<Shelf {self._package}: {', '.join(self)}>"

    def refresh(self) -> None:
        """Look again: for files and distributions that came after the first look."""
        self._loaders = None
        self._entries.clear()

    def _found(self) -> dict[str, tuple[str, Callable[[], object]]]:
        if self._loaders is None:
            loaders: dict[str, tuple[str, Callable[[], object]]] = {}
            for key, place, load in (*self._modules(), *self._entry_points()):
                if key in loaders:
                    raise ShelfError(
                        f"Cannot have two entries {key!r} in {self._package}: "
                        f"{loaders[key][0]} and {place}.",
                        shelf=self._package,
                        places=(loaders[key][0], place),
                    )
                loaders[key] = (place, load)
            self._loaders = loaders
        return self._loaders

    def _modules(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        package = import_module(self._package)
        for stem in sorted(info.name for info in iter_modules(package.__path__)):
            if not stem.startswith("_"):
                place = f"{self._package}.{stem}"
                yield self._key(stem), place, partial(self._from_module, place)

    def _from_module(self, place: str) -> object:
        module = import_module(place)
        try:
            return getattr(module, self._attribute)
        except AttributeError:
            raise ShelfError(
                f"Cannot use {place} as an entry of {self._package}: it has no "
                f"`{self._attribute}`.",
                shelf=self._package,
                places=(place,),
            ) from None

    def _entry_points(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        if self._group is None:
            return
        from importlib.metadata import entry_points  # loads the e-mail parser: only if needed

        points = {(point.name, point.value): point for point in entry_points(group=self._group)}
        for (name, value), point in sorted(points.items()):
            yield name, value, point.load
