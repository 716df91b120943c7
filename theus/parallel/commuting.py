"""Commuting operations of a process in a worker: sent back as what they are, without a read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from theus.errors import ContextError, PathError
from theus.parallel.plain import plain_path
from theus.parallel.scope import text_of

if TYPE_CHECKING:
    from theus.parallel.scope import Scope

__all__ = ["Commuting"]

_MISSING = object()


class Commuting:
    """What a context has beside its areas; as `ProcessContext`.

    The process sees the result at once. The parent does the operation at the commit, on the
    value that is there then.
    """

    __slots__ = ()

    _commuted: list[tuple[str, Any, Any]]
    _facts: tuple[Any, ...]
    _scope: Scope

    def incr(self, path: Any, by: Any = 1) -> None:
        """Commuting addition."""
        self._scalar("incr", path, by, lambda old: old + by)

    def max(self, path: Any, value: Any) -> None:
        """Commuting maximum."""
        self._scalar("max", path, value, lambda old: old if old >= value else value)

    def min(self, path: Any, value: Any) -> None:
        """Commuting minimum."""
        self._scalar("min", path, value, lambda old: old if old <= value else value)

    def append(self, path: Any, value: Any) -> None:
        """Commuting append to a list."""
        self._container("append", path, value)

    def extend(self, path: Any, values: Any) -> None:
        """Commuting extension of a list."""
        self._container("extend", path, list(values))

    def add(self, path: Any, value: Any) -> None:
        """Commuting addition to a set."""
        self._container("add", path, value)

    def discard(self, path: Any, value: Any) -> None:
        """Commuting removal from a set."""
        self._container("discard", path, value)

    def peek(self, path: Any, default: Any = None) -> Any:
        """The value of an input; in a worker as any other read of it."""
        return self._read(path, default)

    def ensure(self, path: Any) -> Any:
        """The same; what was sent to a worker always counts as read."""
        return self._read(path, None)

    def savepoint(self) -> NoReturn:
        """Not to be had in a worker. Raises ContextError."""
        raise ContextError(
            "a process in a worker has no savepoints; its writes are sent back when it ends. Work "
            "on a value of its own and assign it, or run the process without parallel=True"
        )

    def _parts(self, path: Any) -> tuple[Any, ...]:
        parts = plain_path(path)
        if parts is not None:
            return parts
        try:
            from theus._core.path import parse_path  # compiled: only if needed
        except ImportError as missing:
            raise ContextError(
                f"the path {path!r} needs the compiled core, which does not load in a "
                f"sub-interpreter. Spell it with dots there (domain.rows[0].visits), write in "
                f"place, or use a pool of processes"
            ) from missing
        return parse_path(path)

    def _read(self, path: Any, default: Any) -> Any:
        parts = self._parts(path)
        self._scope.check_read(parts)
        found = self._at(parts)
        return default if found is _MISSING else found

    def _at(self, parts: tuple[Any, ...]) -> Any:
        found: Any = self._facts[0]
        for key in parts:
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return _MISSING
        return found

    def _scalar(self, name: str, path: Any, value: Any, result: Any) -> None:
        parts = self._parts(path)
        self._scope.check_write(parts)
        container, key = self._at(parts[:-1]), parts[-1]
        if type(container) is not dict:
            self._check_there(parts[:-1])
            self._commuted.append((name, path, value))
            return
        old = container.get(key, _MISSING)
        new = value if old is _MISSING else result(old)
        saved = self._scope.saved.get(id(container))
        if saved is not None and saved[2].get(key, _MISSING) is not old:
            container[key] = new  # it was assigned before: a write like any other
            return
        self._commuted.append((name, path, value))
        container[key] = new
        if saved is not None:
            saved[2][key] = new

    def _container(self, name: str, path: Any, value: Any) -> None:
        parts = self._parts(path)
        self._scope.check_write(parts)
        container = self._at(parts)
        wanted = list if name in ("append", "extend") else set
        if type(container) is not wanted:
            self._check_there(parts)
            self._commuted.append((name, path, value))
            return
        if not self._replaced(container, parts):
            self._commuted.append((name, path, value))
        getattr(container, name)(value)

    def _check_there(self, parts: tuple[Any, ...]) -> None:
        """Return where the parent may have what was not sent; raise PathError where it was."""
        found: Any = self._facts[0]
        for end, key in enumerate(parts):
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                saved = self._scope.saved.get(id(found))
                if self._scope.declared is not None and (saved is None or key not in saved[2]):
                    return
                raise PathError(
                    f"there is no {text_of(parts[: end + 1])!r} (any more) that could be changed",
                    path=text_of(parts),
                ) from None
        raise PathError(
            f"{text_of(parts)!r} is a {type(found).__name__}, which cannot be changed so",
            path=text_of(parts),
        )

    def _replaced(self, container: Any, parts: tuple[Any, ...]) -> bool:
        """Whether it was changed, or put there, before: then this is a write like any other."""
        saved = self._scope.saved
        if id(container) in saved:
            return True
        for end in range(1, len(parts)):
            above = saved.get(id(self._at(parts[:end])))
            if above is not None:
                before = above[2]
                try:
                    if before[parts[end]] is not self._at(parts[: end + 1]):
                        return True
                except (KeyError, IndexError, TypeError):
                    return True
        return False
