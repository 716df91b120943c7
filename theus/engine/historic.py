"""The engine's memory: older versions, their differences, and who changed what, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from theus._core.difference import difference
from theus._core.history import History
from theus._core.path import parse_path
from theus._core.state import State, state_at
from theus.engine.transacting import Transacting
from theus.errors import SettingsError, VersionTooOldError
from theus.history import Change, StateDiff, changes_of, first_bad

__all__ = ["Historic"]


class Historic(Transacting):
    """What an engine tells about the past.

    All of it reads snapshots and the log, blocks nobody, and may be called from any thread.
    """

    def state_at(self, version: int) -> State:
        """The state as it was at a version. O(1), and O(depth) per read.

        With ``time_travel=True`` every version of the history can be had (the last `history`
        commits within `history_bytes`); without, the newest, and those that a `State` in the
        program still holds. The heavy zone is not part of it. Raises VersionTooOldError.
        """
        if not isinstance(version, int) or isinstance(version, bool):
            raise TypeError(f"a version is an int, got {type(version).__name__}")
        found = state_at(self._store, version) if version > 0 else None
        if found is None:
            raise self._too_old(version, kept=self.settings.time_travel)
        return found

    def diff(self, before: State | int, after: State | int | None = None) -> StateDiff:
        """What turns one version into another (by default the newest): numbers, or `State`s.

        O(changes between them), at any size of the state, where the log has them all. The heavy
        zone and the order of keys are left out. Raises VersionTooOldError.
        """
        first = self._version(before)
        second = self.state if after is None else self._version(after)
        return StateDiff(difference(first, second))

    def blame(self, path: str | Sequence[Any], at: State | int | None = None) -> Change | None:
        """The commit that last changed what is at a path, or anything below it, up to a version.

        Also for a path that is not there any more: then the commit that removed it. An item of
        a list is followed where it moves. None: no commit that the log still has. O(log).
        """
        return next(iter(self.why(path, at, depth=0)), None)

    def why(
        self, path: str | Sequence[Any], at: State | int | None = None, *, depth: int | None = None
    ) -> tuple[Change, ...]:
        """How what is at a path came about: `blame`, the commits that had written what that one
        had read, and so on; each once, newest first.

        `depth` bounds the steps back. Follow `Change.causes` for the graph. What processes had
        read is kept with ``keep_reads=True`` only; without, the first commit comes alone, with
        ``reads=None``. Reads under ``isolation="snapshot"`` are not known. O(log).
        """
        parts = parse_path(path)
        if not parts:
            raise ValueError("which path? The empty one has no commit of its own")
        history = History(self._store)
        until = history.last if at is None else at if isinstance(at, int) else at.version
        if not history.first - 1 <= until <= history.last:
            raise self._too_old(until, kept=True)
        return tuple(changes_of(history, history.last_change(parts, until), depth))

    def bisect(
        self,
        holds: Callable[[State], object],
        first: State | int | None = None,
        last: State | int | None = None,
    ) -> int | None:
        """The first version, from `first` to `last`, for which ``holds(state)`` is false.

        By default over the whole history. A binary search: right where the predicate, once
        false, stays false; ``ceil(log2(versions + 1))`` calls at most. None: it holds for all.
        Errors of the predicate pass through. Needs ``time_travel=True``.
        """
        if not self.settings.time_travel:
            raise SettingsError(
                "bisect looks at old versions, and this engine does not keep them: make it with "
                "TheusEngine(..., time_travel=True)",
                option="time_travel",
                value=False,
            )
        oldest = self._oldest() if first is None else self._version(first)
        newest = self.state if last is None else self._version(last)
        versions = range(oldest.version, newest.version + 1)
        return first_bad(versions, lambda version: holds(self.state_at(version)))

    def _oldest(self) -> State:
        while True:  # until no commit comes in between
            found = state_at(self._store, self._store.history.first - 1)
            if found is not None:
                return found

    def _version(self, version: State | int) -> State:
        return version if isinstance(version, State) else self.state_at(version)

    def _too_old(self, version: int, kept: bool) -> VersionTooOldError:
        newest = self._store.ver
        if version < 1 or version > newest:
            why = f"the versions of this engine are numbered up to {newest}"
        elif kept:
            why = (
                f"the history of this engine begins with version {self._store.history.first - 1} "
                f"(settings `history` and `history_bytes`)"
            )
        else:
            why = (
                "this engine does not keep old versions: make it with TheusEngine(..., "
                "time_travel=True), or hold the State itself"
            )
        return VersionTooOldError(
            f"version {version} cannot be read: {why}.", snapshot=version, current=newest
        )
