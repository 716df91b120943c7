"""The engine under test, and how the tests reach into it: by the public surface only."""

from __future__ import annotations

from typing import Any

from tests.oracle.values import Path, Plain, clone, kind_of


def make_engine(data: dict[str, Any], isolation: str = "serializable", **options: Any) -> Any:
    """An engine with this state; the tests' own copy of the data stays theirs."""
    from theus.engine import TheusEngine

    return TheusEngine(clone(data), strict_mode=True, isolation=isolation, **options)


def log_of(engine: Any) -> Any:
    """The log of changes of an engine, which has no public name."""
    return engine._store.history


def reach(root: Any, path: Path) -> Any:
    """The guard or view at a path, from something that has `data` and `domain`."""
    found = root.domain if path and path[0] == "domain" else root.data
    for key in path[1:] if path and path[0] == "domain" else path:
        found = found[key]
    return found


def content(state: Any) -> Plain:
    """Everything a State shows, as plain data; read entry by entry, not through `to_dict`."""
    return {"domain": unfold(state.domain), "global": unfold(state.global_)}


def unfold(view: Any) -> Plain:
    """A plain copy of a view, made by iteration, length and item access."""
    kind = kind_of(view)
    if kind == "map":
        keys = list(view)
        assert len(view) == len(keys)
        return {key: unfold(view[key]) for key in keys}
    if kind == "list":
        assert len(list(view)) == len(view)
        return [unfold(view[index]) for index in range(len(view))]
    return set(view) if isinstance(view, frozenset) else view
