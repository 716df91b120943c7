"""What happened to the state: differences of versions, who wrote a value, and why.

The engine's methods (`diff`, `blame`, `why`, `bisect`) return what is described here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from theus._core.delta import DeltaEntry
from theus._core.history import History
from theus._core.path import format_path
from theus.interop import TheusEncoder

__all__ = ["Change", "StateDiff", "changes_of", "first_bad", "json_patch"]


class StateDiff(tuple[DeltaEntry, ...]):
    """The entries that turn one version into another, in an order in which they can be applied.

    A tuple of `DeltaEntry`; empty where the versions are equal (the order of keys aside).
    ``theus.delta.apply(before, entries)`` makes the one from the other. Immutable.
    """

    __slots__ = ()

    def to_json_patch(self) -> list[dict[str, Any]]:
        """The same as a JSON Patch (RFC 6902), with values as `TheusEncoder` writes them."""
        return json_patch(self)

    def __str__(self) -> str:
        return "\n".join(str(entry) for entry in self)


@dataclass(frozen=True, slots=True)
class Change:
    """One commit, as `blame` and `why` tell it. Immutable.

    version:
        The version it made.
    process:
        Whose commit it was; None: a transaction without a name.
    time:
        When, in seconds since the epoch (to some milliseconds).
    snapshot:
        The version its process had read.
    paths:
        What it changed.
    reads:
        What its process had read -> the versions that wrote that, ascending; empty where it was
        there before the first commit of the log. None: the engine does not keep them (see the
        setting ``keep_reads``).
    """

    version: int
    process: str | None
    time: float
    snapshot: int
    paths: tuple[str, ...]
    reads: Mapping[str, tuple[int, ...]] | None

    @property
    def causes(self) -> tuple[int, ...]:
        """The versions that wrote something that this one had read, newest first."""
        found = {version for versions in (self.reads or {}).values() for version in versions}
        return tuple(sorted(found, reverse=True))

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        head = f"version {self.version} by {self.process or 'a transaction'} at {moment} UTC"
        lines = [f"{head}: {', '.join(self.paths) or 'nothing'}"]
        if self.reads is None:
            return lines[0]
        for path, versions in self.reads.items():
            by = ", ".join(f"version {version}" for version in versions) or "before the log"
            lines.append(f"  read {path} ({by})")
        return "\n".join(lines)


def _change(history: History, version: int) -> Change | None:
    found = history.commit(version)
    if found is None:
        return None
    process, time, snapshot, paths, kept = found
    reads = None
    if kept is not None:
        reads = MappingProxyType({format_path(path): versions for path, versions in kept})
    return Change(
        version, process, time, snapshot, tuple(format_path(path) for path in paths), reads
    )


def changes_of(history: History, version: int, depth: int | None) -> Iterator[Change]:
    """The commit of a version and those it came from, each once, newest first.

    `depth` bounds how many steps back: 0 is the commit alone, None has no bound.
    """
    waiting = {version: 0} if version else {}
    while waiting:
        newest = max(waiting)
        distance = waiting.pop(newest)
        change = _change(history, newest)
        if change is None:
            continue
        yield change
        if depth is None or distance < depth:
            for cause in change.causes:
                waiting[cause] = min(distance + 1, waiting.get(cause, distance + 1))


def first_bad(versions: range, holds: Callable[[int], object]) -> int | None:
    """The first version for which `holds` is false, if it stays so; None where there is none.

    At most ``ceil(log2(len(versions) + 1))`` calls.
    """
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if holds(versions[middle]):
            low = middle + 1
        else:
            high = middle
    return versions[low] if low < len(versions) else None


# --- JSON Patch ------------------------------------------------------------------------------

_OPERATIONS = {"set": "replace", "insert": "add", "delete": "remove"}


def json_patch(entries: Iterable[DeltaEntry]) -> list[dict[str, Any]]:
    """The entries of a difference as a JSON Patch (RFC 6902).

    Paths are JSON Pointers (RFC 6901); keys that are no texts are spelled as `json` spells them.
    Values are plain JSON, as `TheusEncoder` writes them. Raises TypeError for a key or a value
    that JSON cannot express.
    """
    patch = []
    for entry in entries:
        operation = {"op": _OPERATIONS[entry.op], "path": _pointer(entry.path)}
        if entry.op != "delete":
            operation["value"] = json.loads(json.dumps(entry.new, cls=TheusEncoder))
        patch.append(operation)
    return patch


def _pointer(path: tuple[Any, ...]) -> str:
    return "".join(f"/{_token(key)}" for key in path)


def _token(key: Any) -> str:
    if not isinstance(key, str):
        [key] = json.loads(json.dumps({key: None}))
    return str(key).replace("~", "~0").replace("/", "~1")
