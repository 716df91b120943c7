"""What transactions looked at, what commits changed, and when the two collide.

A `Note` is one thing that a transaction has read or means to write, a `Change` one thing that
a commit did. `clash` says for a pair whether the later commit must refuse the transaction
(YES), must not (NO), or may do either (MAYBE). MAYBE stands only where the design leaves the
granularity open; it never excuses a lost update.

Paths are those of the snapshot. That is enough: whoever moves a container changes the keys on
the way to it, and those are notes of everybody who went through them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from tests.oracle.values import Path


class Clash(enum.IntEnum):
    """Answer of the rules for one note and one change."""

    NO = 0
    MAYBE = 1
    YES = 2


class What(enum.Enum):
    """What a note is about."""

    KEY = "value at a key"
    MEMBER = "presence of a key"
    KEYS = "all keys and their order"
    SIZE = "number of entries"
    EMPTY = "whether there are entries"
    ITEMS = "all keys and values, one level"
    TREE = "everything below"
    WRITE = "write of a key"
    STRUCTURE = "write of a whole list"
    APPEND = "write after the end of a list"
    COMMUTE = "operation on the newest value of a key"
    MARK = "element added to or taken from a set"


#: Changes that are not about one key.
LISTWIDE = frozenset({"append", "structure", "order", "cut"})

WRITES = frozenset({What.WRITE, What.STRUCTURE, What.APPEND, What.COMMUTE, What.MARK})


@dataclass(frozen=True)
class Note:
    """One read or write. `soft` notes never force a conflict, `always` ones count everywhere."""

    what: What
    path: Path
    key: Any = None
    soft: bool = False
    always: bool = False
    tracked: Any = None  # for SIZE and EMPTY: the length that was seen


@dataclass(frozen=True)
class Change:
    """One effect of a commit.

    `how` is "set", "insert" or "delete" of a key of a mapping or set, "order" of its keys, "item",
    "append" or "structure" of a list. Not `certain`: the commit wrote there, but nothing differs
    in the end.
    """

    path: Path
    how: str
    key: Any = None
    certain: bool = True

    @property
    def place(self) -> Path:
        """The path that the change is about."""
        return self.path if self.how in LISTWIDE else (*self.path, self.key)


def is_below(path: Path, top: Path) -> bool:
    """Whether `path` is `top` or lies below it."""
    return path[: len(top)] == top


def clash(note: Note, change: Change, ancestors: bool = True) -> Clash:
    """Whether `change`, made after the snapshot, collides with `note`."""
    answer = _clash(note, change, ancestors)
    if answer is Clash.YES and (note.soft or not change.certain):
        return Clash.MAYBE
    return answer


def _clash(note: Note, change: Change, ancestors: bool) -> Clash:
    if note.what is What.TREE and is_below(change.path, note.path):
        return Clash.YES
    if change.path == note.path:
        return _clash_here(note, change)
    if is_below(note.path, change.place):
        if change.how in ("append", "order"):
            return Clash.NO
        if change.how == "cut" and note.path[len(change.path)] < change.key:
            return Clash.NO
        if change.how == "structure" and note.what in WRITES:
            return Clash.MAYBE
        return Clash.YES if ancestors else Clash.NO
    if note.what is What.WRITE and is_below(change.path, (*note.path, note.key)):
        return Clash.YES
    if note.what is What.STRUCTURE and is_below(change.path, note.path):
        return Clash.MAYBE
    return Clash.NO


KEYED = {
    What.KEY: dict.fromkeys(("set", "insert", "delete", "item"), Clash.YES),
    What.MEMBER: {"set": Clash.MAYBE, "insert": Clash.YES, "delete": Clash.YES},
    What.WRITE: dict.fromkeys(("set", "insert", "delete", "item"), Clash.YES),
    What.COMMUTE: {"insert": Clash.MAYBE, "delete": Clash.MAYBE},
}

RESIZING = ("insert", "delete", "append", "cut", "structure")

WIDE = {
    What.KEY: {"structure": Clash.YES},
    What.WRITE: {"structure": Clash.YES},
    What.KEYS: dict.fromkeys((*RESIZING, "order"), Clash.YES),
    What.SIZE: dict.fromkeys((*RESIZING, "order"), Clash.MAYBE),
    What.EMPTY: dict.fromkeys((*RESIZING, "order"), Clash.MAYBE),
    What.ITEMS: dict.fromkeys((*RESIZING, "order", "set", "item"), Clash.YES),
    What.STRUCTURE: dict.fromkeys(("item", "append", "cut", "structure"), Clash.YES),
}


def _clash_here(note: Note, change: Change) -> Clash:
    if change.how == "cut" and note.what in (What.KEY, What.WRITE):
        return Clash.YES if note.key >= change.key else Clash.NO
    keyed = KEYED.get(note.what, {})
    if change.how in keyed:
        return keyed[change.how] if change.key == note.key else Clash.NO
    return WIDE.get(note.what, {}).get(change.how, Clash.NO)
