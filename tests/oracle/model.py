"""The oracle: all versions of the state as deep-copied plain trees, and transactions on copies.

A `ModelTransaction` works on its private deep copy with the ordinary dict, list and set, and
keeps three things: notes of what it read and wrote (`footprint`), the effects in order, and
which private container was which container of the snapshot. `Model.judge` says whether the
commit must succeed, must be refused, or may do either; `Model.commit` replays the effects on
a copy of the newest tree. Nothing here is clever, and nothing is fast.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.oracle.changes import GROWING, Effect, apply_effect, changes_of
from tests.oracle.footprint import WRITES, Change, Clash, Note, What, clash, is_below
from tests.oracle.methods import FOOTPRINTS, INVOKE
from tests.oracle.values import CONTAINERS, Path, Plain, at, clone, containers, has, kind_of, same


class Verdict(enum.Enum):
    """What a commit has to do."""

    COMMIT = "commit"
    CONFLICT = "conflict"
    EITHER = "either"


@dataclass
class Savepoint:
    """Content of every container at a moment, and how many effects there were."""

    contents: list[tuple[Any, Any]]
    effects: int
    notes: int
    tails: dict[int, int]


class ModelTransaction:
    """One transaction of the oracle."""

    def __init__(self, model: Model, base: int, isolation: str) -> None:
        self.model = model
        self.base = base
        self.isolation = isolation
        self.tree: Plain = clone(model.trees[base])
        self.notes: list[Note] = []
        self.effects: list[Effect] = []
        self.paths: dict[int, Path] = {}
        self.sizes: dict[int, int] = {}
        self.tails: dict[int, int] = {}
        self._alive: list[Any] = []
        for path, container in containers(self.tree):
            self.paths[id(container)] = path
            self.sizes[id(container)] = len(container)
            self._alive.append(container)

    # --- reading and writing --------------------------------------------------------------

    def locate(self, path: Path) -> Any:
        """The private container at a path; passing through is a read of each key."""
        target = self.tree
        for key in path:
            self._note_read(target, What.KEY, key)
            target = target[key]
        return target

    def call(self, target: Any, method: str, *args: Any) -> Any:
        """Call a method of a private container, with notes and effects.

        Raises what the builtin raises; reads of a failed call stay noted.
        """
        self._alive.append(args)
        uses = FOOTPRINTS[kind_of(target)][method](target, *args)
        popped_own = method == "pop" and not args and self.tails.get(id(target), 0) > 0
        reordered = isinstance(target, list) and any(w is not What.APPEND for w in uses.wide)
        for what, key, soft in uses.reads:
            self._note_read(target, what, key, soft or popped_own)
        before = clone(target) if uses.keys else list(target) if uses.wide else None
        had = len(target)
        kept = list(target) if isinstance(target, list) else None
        try:
            result = INVOKE[method](target, *args)
        except (TypeError, ValueError):
            if kept is not None:
                target[:] = kept  # the builtin leaves a list half sorted; the engine does not
            raise
        if id(target) in self.paths:
            self._note_writes(target, uses.keys, uses.wide, popped_own)
            self._log(target, method, args, uses.keys, uses.wide, before)
        if isinstance(target, list):
            self._follow_tail(target, had, popped_own, reordered)
        return result

    def commute(self, path: Path, key: Any, apply: Callable[[Any], Any], start: Any) -> None:
        """Apply a function to the newest value of a key at commit, or set it to `start` where
        there is none; seen here at once."""
        target = self.locate_quietly(path)
        effect = Effect(target, "commute", keys={key: start}, apply=apply)
        if id(target) in self.paths:
            self.notes.append(Note(What.COMMUTE, self.paths[id(target)], key))
            self.effects.append(effect)
        apply_effect(target, effect)

    def locate_quietly(self, path: Path) -> Any:
        """The private container at a path, without a note (peek)."""
        return at(self.tree, path)

    def ensure(self, path: Path) -> None:
        """A read of a path that counts under every isolation."""
        target = self.tree
        for key in path[:-1]:
            self._note_read(target, What.KEY, key)
            target = target[key]
        self._note_read(target, What.KEY, path[-1], always=True)

    def savepoint(self) -> Savepoint:
        """Remember the private content."""
        seen: dict[int, Any] = {id(c): c for _, c in containers(self.tree)}
        seen.update((id(c), c) for c in self._alive if isinstance(c, CONTAINERS))
        saved = [(container, container.copy()) for container in seen.values()]
        return Savepoint(saved, len(self.effects), len(self.notes), self.tails.copy())

    def rollback_to(self, mark: Savepoint) -> None:
        """Bring the private content back; notes of reads stay, writes go."""
        for container, content in mark.contents:
            container.clear()
            if isinstance(container, list):
                container.extend(content)
            else:
                container.update(content)
        del self.effects[mark.effects :]
        self.tails = mark.tails.copy()
        later = self.notes[mark.notes :]
        self.notes[mark.notes :] = [note for note in later if note.what not in WRITES]

    # --- notes ----------------------------------------------------------------------------

    def _note_read(
        self, target: Any, what: What, key: Any = None, soft: bool = False, always: bool = False
    ) -> None:
        path = self.paths.get(id(target))
        if path is None:
            return
        size = self.sizes[id(target)]
        if isinstance(target, list) and what is What.KEY and key >= size:
            what, key = What.SIZE, None
        for commuted in self._commuted(target):  # looked at, they turn into plain writes
            if commuted == key or what not in (What.KEY, What.MEMBER):
                self.notes.append(Note(What.KEY, path, commuted, soft=True))
                self.notes.append(Note(What.WRITE, path, commuted, soft=True))
        tracked = size if what in (What.SIZE, What.EMPTY) else None
        soft = soft or self._is_own(target, what, key)
        self.notes.append(Note(what, path, key, soft, always, tracked))

    def _commuted(self, target: Any) -> set[Any]:
        """Keys of a container that commuting operations of this transaction are about."""
        mine = [e for e in self.effects if e.target is target and e.how == "commute"]
        return {key for effect in mine for key in effect.keys}

    def _is_own(self, target: Any, what: What, key: Any) -> bool:
        """Whether the transaction has put there itself what it now looks at."""
        mine = [effect for effect in self.effects if effect.target is target]
        if isinstance(target, list) and any(effect.how == "replay" for effect in mine):
            return what is not What.SIZE and any(e.method not in GROWING for e in mine)
        return what in (What.KEY, What.MEMBER) and any(
            key in effect.keys or key in effect.gone for effect in mine if effect.how != "commute"
        )

    def _note_writes(self, target: Any, keys: list[Any], wide: list[What], own: bool) -> None:
        path = self.paths[id(target)]
        size = self.sizes[id(target)]
        for key in keys:
            if isinstance(target, list) and key >= size:
                self._note_read(target, What.SIZE)
            else:
                what = What.MARK if isinstance(target, set) else What.WRITE
                self.notes.append(Note(what, path, key))
        for what in wide:
            self.notes.append(Note(what, path, soft=own))

    def _log(
        self,
        target: Any,
        method: str,
        args: tuple[Any, ...],
        keys: list[Any],
        wide: list[What],
        before: Any,
    ) -> None:
        if isinstance(target, list):
            if keys:
                values = {key: target[key] for key in keys}
                self.effects.append(Effect(target, "items", values, idle=same(before, target)))
            elif wide:
                cut = len(target) if method == "pop" else 0
                still = len(before) == len(target) and all(map(_is_kept, before, target))
                self.effects.append(
                    Effect(target, "replay", method=method, args=args, cut=cut, idle=still)
                )
            return
        if not keys:
            return
        written = dict.fromkeys(keys)
        if isinstance(target, dict):
            effect = Effect(target, "keys", {k: target[k] for k in written if k in target})
        else:
            effect = Effect(target, "keys", {k: True for k in written if k in target})
        effect.gone = [k for k in written if k not in target]
        effect.idle = same(before, target)
        self.effects.append(effect)

    def _follow_tail(self, target: list[Any], had: int, own: bool, reordered: bool) -> None:
        mark = id(target)
        if own:
            self.tails[mark] -= 1
        elif reordered:
            self.tails[mark] = 0
        elif len(target) > had:
            self.tails[mark] = self.tails.get(mark, 0) + len(target) - had

    def final_notes(self) -> list[Note]:
        """All notes, with those of containers that the commit copies from elsewhere."""
        notes = list(self.notes)
        places: dict[int, list[Path]] = {}
        for path, container in containers(self.tree):
            places.setdefault(id(container), []).append(path)
        for effect in self.effects:
            for value in (*effect.keys.values(), *effect.args):
                for _, container in containers(value):
                    path = self.paths.get(id(container))
                    if path is not None:
                        copied = any(place != path for place in places.get(id(container), ()))
                        notes.append(Note(What.TREE, path, soft=not copied))
        return notes


def _is_kept(before: Any, after: Any) -> bool:
    return before is after or (not isinstance(after, CONTAINERS) and same(before, after))


class Model:
    """All versions of one state, the oldest first; `first` is the version of `trees[0]`."""

    def __init__(self, data: Plain, first: int = 1) -> None:
        self.version = first
        self.trees: dict[int, Plain] = {first: clone(data)}
        self.changes: dict[int, list[Change]] = {}
        self.ancestors = True
        self.forgets_stamps = False
        self.reads_count = True

    @property
    def newest(self) -> Plain:
        """The newest tree; not to be changed."""
        return self.trees[self.version]

    def begin(self, isolation: str = "serializable", base: int | None = None) -> ModelTransaction:
        """A transaction on the newest version (or on `base`)."""
        return ModelTransaction(self, self.version if base is None else base, isolation)

    def changes_since(self, base: int) -> list[Change]:
        """Everything that commits after a version did."""
        found = [c for v in range(base + 1, self.version + 1) for c in self.changes[v]]
        if not self.forgets_stamps:
            return found
        first: dict[Any, int] = {}
        for version in sorted(self.changes):
            for change in self.changes[version]:
                first.setdefault(change.place, version)
        return [c for c in found if first[c.place] > base]

    def judge(self, tx: ModelTransaction) -> Verdict:
        """What the commit of `tx` has to do now."""
        notes = [self._weighed(tx, note) for note in tx.final_notes() if self._counts(tx, note)]
        worst = Clash.NO
        for change in self.changes_since(tx.base):
            for note in notes:
                worst = max(worst, clash(note, change, self.ancestors))
                if worst is Clash.YES:
                    break
        worst = max([worst, *(self._size_clash(note) for note in notes)])
        if not tx.effects and worst is not Clash.NO:
            return Verdict.EITHER if any(note.always for note in notes) else Verdict.COMMIT
        if worst is Clash.YES and self.undid_itself(tx):
            return Verdict.EITHER
        return (Verdict.COMMIT, Verdict.EITHER, Verdict.CONFLICT)[worst]

    def undid_itself(self, tx: ModelTransaction) -> bool:
        """Whether all that `tx` wrote comes to nothing: then it may count as a reader."""
        return all(effect.idle for effect in tx.effects) or same(tx.tree, self.trees[tx.base])

    def is_shifted(self, tx: ModelTransaction) -> bool:
        """Whether another commit moved items of a list that `tx`, under snapshot isolation, wrote
        below: then its paths, which is all the oracle has, name other items than it meant."""
        if tx.isolation == "serializable":
            return False
        written = [tx.paths[id(effect.target)] for effect in tx.effects]
        return any(
            path != change.path and is_below(path, change.path)
            for change in self.changes_since(tx.base)
            if change.how == "structure"
            for path in written
        )

    def _weighed(self, tx: ModelTransaction, note: Note) -> Note:
        """A write in a container that is, in the end, what it was forces no conflict."""
        if note.what not in WRITES or not self._is_idle(tx, note.path):
            return note
        return replace(note, soft=True)

    def _is_idle(self, tx: ModelTransaction, path: Path) -> bool:
        """Whether all writes at a container of the snapshot come to nothing."""
        return has(tx.tree, path) and same(at(tx.tree, path), at(self.trees[tx.base], path))

    def _counts(self, tx: ModelTransaction, note: Note) -> bool:
        if note.what in WRITES or note.always:
            return True
        return self.reads_count and tx.isolation == "serializable"

    def _size_clash(self, note: Note) -> Clash:
        if note.tracked is None or note.soft:
            return Clash.NO
        try:
            size = len(at(self.newest, note.path))
        except (KeyError, IndexError, TypeError):
            return Clash.NO  # the way there has changed, which is another note's answer
        if note.what is What.EMPTY:
            return Clash.YES if bool(size) != bool(note.tracked) else Clash.NO
        return Clash.YES if size != note.tracked else Clash.NO

    def outcome(self, tx: ModelTransaction) -> Plain:
        """The newest tree with the effects of `tx`, as a new tree."""
        tree = clone(self.newest)
        kept = self._attached(tx)
        targets = [at(tree, tx.paths[id(effect.target)]) for effect in kept]
        grown = {id(target): len(target) for target in targets}
        for target, effect in zip(targets, kept, strict=True):
            if effect.how == "items":
                size = tx.sizes[id(effect.target)]
                for key, value in effect.keys.items():
                    shift = grown[id(target)] - size if key >= size else 0
                    target[key + shift] = clone(value)
            else:
                apply_effect(target, effect)
        return tree

    def _attached(self, tx: ModelTransaction) -> list[Effect]:
        """The effects whose container is still in the tree: all, unless `ancestors` is off, or
        they come to nothing."""
        return [
            effect
            for effect in tx.effects
            if (self.ancestors and not self._is_idle(tx, tx.paths[id(effect.target)]))
            or (
                has(self.newest, tx.paths[id(effect.target)])
                and type(at(self.newest, tx.paths[id(effect.target)])) is type(effect.target)
            )
        ]

    def changed(self, tx: ModelTransaction) -> Clash:
        """Whether the commit of `tx` makes a new version (MAYBE: its writes cancel out)."""
        if not same(self.outcome(tx), self.newest):
            return Clash.YES
        return Clash.NO if all(effect.idle for effect in tx.effects) else Clash.MAYBE

    def commit(self, tx: ModelTransaction) -> None:
        """Make `tx` the next version, whatever `judge` says."""
        tree = self.outcome(tx)
        changes = [
            change
            for effect in self._attached(tx)
            for change in changes_of(tx.paths[id(effect.target)], effect, self.newest, tree)
        ]
        self.version += 1
        self.trees[self.version] = tree
        self.changes[self.version] = changes
