"""What a process has changed in a worker, done again on the transaction that it belongs to.

Everything goes through the guards of the context, as if the body had run here: the contract,
zones and types are looked at once more, and conflicts are decided by the commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theus.parallel.changes import Change, Changes

__all__ = ["replay"]


def replay(ctx: Any, changes: Changes) -> None:
    """Do the changes of a worker. Raises what the same writes raise in a process."""
    for name, path, value in changes.commuting:
        getattr(ctx, name)(path, value)
    for change in changes.state:
        _do(ctx, change)
    for key in changes.freed:
        del ctx.heavy[key]
    for key, value in changes.heavy:
        ctx.heavy[key] = value


def _do(ctx: Any, change: Change) -> None:
    kind, path, value = change
    if kind == "set":
        _walk(ctx, path[:-1])[path[-1]] = value
    elif kind == "del":
        del _walk(ctx, path[:-1])[path[-1]]
    elif kind == "list":
        _walk(ctx, path)[:] = value
    else:
        getattr(_walk(ctx, path), kind)(value)


def _walk(ctx: Any, path: tuple[Any, ...]) -> Any:
    found = ctx.data
    for key in path:
        found = found[key]
    return found
