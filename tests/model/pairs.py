"""A transaction of the engine and one of the oracle, doing the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.model.programs import Alias
from tests.model.subject import reach
from tests.oracle.methods import INVOKE, RETURNS_SELF
from tests.oracle.model import ModelTransaction
from tests.oracle.model import Savepoint as ModelSavepoint
from tests.oracle.values import CONTAINERS, Path, clone, containers, outline

BUILTIN = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    StopIteration,
    RuntimeError,
)

#: Methods whose result is a new plain container, which may be looked into.
OPENED = frozenset(
    {
        "iter",
        "reversed",
        "keys",
        "values",
        "items",
        "copy",
        "or",
        "and",
        "sub",
        "xor",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "add_list",
        "mul",
    }
)


@dataclass
class Pair:
    """Both sides of one transaction, its savepoints and its running iterators."""

    real: Any
    model: ModelTransaction
    marks: list[tuple[Any, ModelSavepoint]] = field(default_factory=list)
    iterators: list[tuple[Any, list[Any]]] = field(default_factory=list)

    def places(self) -> list[Path]:
        """Paths of all private containers below the domain, the domain included."""
        found = containers(self.model.tree["domain"], ("domain",))
        return [path for path, _ in found if len(path) < 5]

    def holder(self, path: Path) -> Any:
        """The oracle's private container at a path, unnoted."""
        return self.model.locate_quietly(path)

    def may_alias(self, target: Path, source: Path) -> bool:
        """Whether the container at `source` can be put into the one at `target`.

        Not if that made a cycle; a container that was taken out of `source` counts as still
        inside, because the engine may say so. Not if `source` is new: a savepoint copies new
        values per place.
        """
        inside = containers(self.holder(source))
        was, came = (self.model.paths.get(id(self.holder(path))) for path in (target, source))
        if came is None or (was is not None and was[: len(came)] == came):
            return False
        return all(c is not self.holder(target) for _, c in inside) and len(inside) < 12

    def call(self, path: Path, method: str, args: tuple[Any, ...]) -> None:
        """Do the same on both sides and compare results and errors.

        Containers are not multiplied. Under snapshot isolation the copies hold what the snapshot
        had, which the oracle, who calls the method again on the newest list, cannot say; and a
        savepoint makes one object at two places two objects. Lists that cannot be sorted are not:
        a new list is the caller's own until the commit, and Python leaves it half sorted.
        """
        if method == "imul" and any(isinstance(item, CONTAINERS) for item in self.holder(path)):
            return
        if method == "sort" and not _sortable(self.holder(path)):
            return
        mine = [self._own(arg) for arg in args]
        depth = 1 if method in OPENED or any(isinstance(arg, slice) for arg in args) else 0
        expected = _attempt(lambda: self.model.call(self.model.locate(path), method, *mine), depth)
        theirs = [self._theirs(arg) for arg in args]
        found = _attempt(lambda: INVOKE[method](reach(self.real, path), *theirs), depth)
        if method == "iter" and isinstance(self.holder(path), set) and found[0] == "done":
            expected, found = (("done", frozenset(result[1][1])) for result in (expected, found))
        if method in RETURNS_SELF and expected[0] != "error":
            expected = found = ("done", None)
        assert found == expected, f"{method}{args!r} at {path}: {found}, not {expected}"

    def _own(self, arg: Any) -> Any:
        return self.model.locate(arg.path) if isinstance(arg, Alias) else clone(arg)

    def _theirs(self, arg: Any) -> Any:
        return reach(self.real, arg.path) if isinstance(arg, Alias) else clone(arg)

    def pop_from_set(self, path: Path) -> None:
        """`set.pop` may choose; the oracle follows."""
        target = self.model.locate(path)
        chosen = _attempt(reach(self.real, path).pop)
        if not target:
            self.model.call(target, "iter")
            assert chosen == ("error", KeyError)
            return
        value = next(item for item in target if outline(item) == chosen[1])
        self.model.call(target, "iter")
        self.model.call(target, "remove", value)

    def move(self, path: Path, key: Any, target: Path, new: Any) -> None:
        """Take a value out of one mapping and put it into another."""
        reach(self.real, target)[new] = reach(self.real, path).pop(key)
        value = self.model.call(self.model.locate(path), "pop", key)
        self.model.call(self.model.locate(target), "setitem", new, value)

    def savepoint(self) -> None:
        """Set a savepoint on both sides."""
        self.marks.append((self.real.savepoint(), self.model.savepoint()))

    def roll_back_to(self, number: int) -> None:
        """Return to a savepoint; later ones end."""
        real, model = self.marks[number]
        del self.marks[number + 1 :]
        real.rollback()
        self.model.rollback_to(model)
        self.iterators.clear()

    def close(self) -> None:
        """Roll back whatever is still open."""
        self.real.rollback()
        self.iterators.clear()


def _sortable(items: Any) -> bool:
    try:
        sorted(items)
    except TypeError:
        return False
    return True


def _attempt(action: Any, depth: int = 0) -> tuple[str, Any]:
    try:
        result = action()
    except BUILTIN as error:
        kinds = [kind for kind in BUILTIN if isinstance(error, kind)]
        return "error", kinds[0]
    return "done", outline(result, depth)
