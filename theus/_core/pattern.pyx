"""Contract patterns, compiled so that a guard asks once per level and never builds a path.

A pattern is a dotted path in which a segment may be ``*`` (any one key), ``**`` (any number
of keys, none included) or a glob over names (``user_*``, ``item_?``, ``[ab]_total``). A
pattern covers what it names and everything below. Names are matched by case. Keys that are
neither names nor integers (None, bytes, tuples) match ``*`` and ``**`` only; an integer
matches the segment that spells it, so that ``rows.0`` and ``rows[0]`` are the same pattern. A
wildcard loses its meaning in quotes: ``counts["*"]``. A bracket that ends a segment and holds
a number, a quoted text or a star is a key; any other is a class of letters.

All patterns of a contract become one automaton by subset construction. A `Position` is one of
its states: what may be done here, and where each key leads. Names that no pattern spells out
share one position, so memory depends on the patterns and not on the keys met.
"""

from cpython.object cimport PyObject
from theus._core.path cimport fold, parse_path, scan

import fnmatch
import re
import reprlib
import threading

from theus.errors import PathError

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object k) except? NULL
    bint PyUnicode_CheckExact(object)
    bint PyUnicode_Check(object)
    bint PyLong_CheckExact(object)
    object PyUnicode_FromObject(object)

CAN_READ = READ
CAN_WRITE = WRITE
CAN_PASS = BELOW
REPORTS = REPORT

cdef enum Kind:
    LITERAL = 0
    STAR = 1
    DEEP = 2
    GLOB = 3

cdef enum:
    MAX_SEGMENTS = 64
    MAX_POSITIONS = 4096
    MEMO = 256
    MEMO_NAME = 256


cdef class Position:
    """What a contract says about one place. Made by `compile_patterns`; immutable outside."""

    def __init__(self):
        raise TypeError("positions are made by compile_patterns()")

    def __repr__(self):
        names = ("READ", "WRITE", "BELOW", "STRICT", "REPORT")
        flags = "|".join([name for bit, name in enumerate(names) if self.flags >> bit & 1])
        return f"<Position {flags or 'NOTHING'}>"

    cdef Position step(self, object key):
        """Where `key` leads; never None, never fails for lack of permission. O(1)."""
        cdef PyObject* found
        if self.kids is None:
            return self
        if PyUnicode_CheckExact(key):
            found = PyDict_GetItemWithError(self.kids, key)
            if found is not NULL:
                return <Position>found
            if self.other is not None:
                return self.other
            return self.plan.match(self, <str>key)
        if PyLong_CheckExact(key):
            found = PyDict_GetItemWithError(self.kids, key)
            return <Position>found if found is not NULL else self.alien
        if PyUnicode_Check(key):
            return self.step(PyUnicode_FromObject(key))
        return self.alien


cdef class Plan:
    """The patterns of one contract and the positions made of them so far."""

    def __init__(self):
        raise TypeError("plans are made by compile_patterns()")

    cdef Position position(self, set states, int flags):
        """The position of a set of (pattern, segment) states; call under the lock."""
        cdef set live = set()
        cdef Position here
        for number, index in states:
            segments = self.patterns[number]
            while index < len(segments) and segments[index][0] == DEEP:
                live.add((number, index))
                index += 1
            if index == len(segments):
                flags |= <int>self.grants[number]
            else:
                live.add((number, index))
        states = {state for state in live if (<int>self.grants[state[0]]) & ~flags}
        key = (frozenset(states), flags)
        found = self.known.get(key)
        if found is not None:
            return <Position>found
        here = Position.__new__(Position)
        here.flags = flags | self.base | (BELOW if states else 0)
        here.states = key[0]
        here.plan = self
        self.known[key] = here
        self.pending.append(here)
        return here

    cdef Position after(self, Position here, object name, set matched):
        """Where a key leads whose name is `name` (None: no name) and that matches `matched`."""
        cdef set states = set()
        for number, index in here.states:
            kind, text, _ = self.patterns[number][index]
            if kind == DEEP:
                states.add((number, index))
            elif kind == STAR or (kind == LITERAL and text == name) or (number, index) in matched:
                states.add((number, index + 1))
        return self.position(states, here.flags & (READ | WRITE))

    cdef set matching(self, Position here, str name):
        cdef set matched = set()
        for number, index in here.states:
            kind, _, matcher = self.patterns[number][index]
            if kind == GLOB and matcher(name) is not None:
                matched.add((number, index))
        return matched

    cdef int expand(self) except -1:
        """Give every new position its children; call under the lock."""
        cdef Position here
        cdef set names
        while self.pending:
            here = <Position>self.pending.pop()
            if not here.states:
                continue
            if len(self.known) > MAX_POSITIONS:
                raise PathError(
                    f"the contract patterns {allowed(here)} are too entangled: each '**' that is "
                    f"followed by many '*' doubles the work. Name more of the path.",
                    path=", ".join(allowed(here)),
                )
            segments = [self.patterns[number][index] for number, index in here.states]
            here.alien = self.after(here, None, set())
            if GLOB in {segment[0] for segment in segments}:
                here.memo = {}
            else:
                here.other = here.alien
            kids = {}
            names = {segment[1] for segment in segments if segment[0] == LITERAL}
            for name in names:
                kids[name] = self.after(here, name, self.matching(here, name))
                number = integer_of(name)
                if number is not None:
                    kids[number] = self.after(here, name, set())
            here.kids = kids
        return 0

    cdef Position match(self, Position here, str name):
        """Where a name leads that is no literal, at a position with globs."""
        cdef PyObject* found = PyDict_GetItemWithError(here.memo, name)
        cdef Position there
        if found is not NULL:
            return <Position>found
        self.lock.acquire()
        try:
            there = self.after(here, name, self.matching(here, name))
            self.expand()
            if len(name) <= MEMO_NAME:
                if len(here.memo) >= MEMO:
                    here.memo.clear()
                here.memo[name] = there
            return there
        finally:
            self.lock.release()


cdef object integer_of(str name):
    digits = name[1:] if name.startswith("-") else name
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
        return None
    number = int(name)
    return number if str(number) == name else None


cdef tuple segment_of(object key, bint literal):
    if PyLong_CheckExact(key):
        return (LITERAL, str(key), None)
    if literal:
        return (LITERAL, key, None)
    if key == "*":
        return (STAR, key, None)
    if key == "**":
        return (DEEP, key, None)
    if "*" in key or "?" in key or "[" in key:
        return (GLOB, key, re.compile(fnmatch.translate(key)).match)
    return (LITERAL, key, None)


cdef tuple segments_of(str pattern):
    cdef list segments = []
    last = None
    for key, _, literal in scan(pattern, True):
        segment = segment_of(key, literal)
        if not segments and segment[0] == LITERAL:
            segment = (LITERAL, fold(segment[1]), None)
        if not (segment[0] == DEEP and last == DEEP):
            segments.append(segment)
        last = segment[0]
    if len(segments) > MAX_SEGMENTS:
        raise PathError(
            f"contract pattern {pattern[:80]!r}...: more than {MAX_SEGMENTS} segments",
            path=pattern,
        )
    return tuple(segments)


def pattern_keys(str pattern not None):
    """The segments of a pattern as texts: names, numbers and globs; raises PathError."""
    return tuple([segment[1] for segment in segments_of(pattern)])


def is_exact(str pattern not None):
    """Whether a pattern is the path of one place (no wildcards); raises PathError."""
    return all([segment[0] == LITERAL for segment in segments_of(pattern)])


cdef tuple texts_of(object patterns):
    if isinstance(patterns, (str, bytes)):
        raise PathError(
            f"contract patterns are a list of texts, not one text: write [{patterns!r}]",
            path=str(patterns),
        )
    cdef list texts = []
    for pattern in patterns:
        if not PyUnicode_Check(pattern):
            raise PathError(
                f"a contract pattern is text, not {type(pattern).__name__} "
                f"{reprlib.repr(pattern)}", path=reprlib.repr(pattern),
            )
        texts.append(PyUnicode_FromObject(pattern))
    return tuple(texts)


cpdef Position compile_patterns(object reads, object writes, bint strict=True, bint report=False):
    """The position at the top of the state (above ``domain``, ``heavy`` ...).

    Parameters
    ----------
    reads, writes:
        Patterns. What may be written may be read.
    strict:
        Whether names that begin with an underscore are refused (flag STRICT everywhere).
    report:
        Whether what is not allowed is reported and let through (flag REPORT everywhere).

    Raises
    ------
    PathError
        A pattern is malformed, or the patterns are too entangled to compile (many ``**`` that
        are each followed by many ``*``).

    Notes
    -----
    O(segments) for patterns without ``**``. The result may be shared by threads.
    """
    cdef Plan plan = Plan.__new__(Plan)
    cdef Position top
    plan.reads = texts_of(reads)
    plan.writes = texts_of(writes)
    plan.patterns = tuple([segments_of(text) for text in plan.reads + plan.writes])
    plan.grants = (READ,) * len(plan.reads) + (READ | WRITE,) * len(plan.writes)
    plan.base = (STRICT if strict else 0) | (REPORT if report else 0)
    plan.known = {}
    plan.pending = []
    plan.lock = threading.RLock()
    top = plan.position({(number, 0) for number in range(len(plan.patterns))}, 0)
    plan.expand()
    return top


cdef Position constant(tuple patterns, bint strict, int flags):
    cdef Plan plan = Plan.__new__(Plan)
    cdef Position here = Position.__new__(Position)
    plan.reads = plan.writes = patterns
    here.plan = plan
    here.states = frozenset()
    here.flags = flags | (STRICT if strict else 0)
    return here


cpdef Position unlimited(bint strict, bint report=False):
    """A position where everything is allowed, and everywhere below."""
    return constant(("**",), strict, READ | WRITE | (REPORT if report else 0))


cpdef Position nothing():
    """A position where nothing is allowed, and nowhere below."""
    return constant((), True, 0)


EVERYTHING = unlimited(False)
cdef dict FREE = {
    flags: constant(("**",), flags & STRICT, READ | WRITE | flags & REPORT)
    for flags in (0, STRICT, REPORT, STRICT | REPORT)
}


cdef Position unlimited_as(Position pos):
    """Everything is allowed, with names and modes looked at as in another contract."""
    return <Position>FREE[pos.flags & (STRICT | REPORT)]


def allowed(Position position not None, int flag=READ):
    """The patterns of the contract that `position` belongs to, for messages.

    With CAN_WRITE those that allow writing; with CAN_READ also those that allow reading.
    """
    cdef Plan plan = position.plan
    if flag & WRITE:
        return plan.writes
    return tuple(dict.fromkeys(plan.reads + plan.writes))


def find(Position root not None, object path):
    """The position at a path (text or keys), from `root`. O(keys)."""
    cdef Position here = root
    for key in parse_path(path):
        here = here.step(key)
    return here


def check(Position root not None, object path, int flag):
    """Whether everything in `flag` (CAN_READ, CAN_WRITE) is allowed at `path`.

    Under a strict contract a path through a name that begins with an underscore is refused.
    Raises PathError for a malformed path. O(keys); thread-safe.
    """
    cdef Position here = root
    cdef bint strict = root.flags & STRICT
    for key in parse_path(path):
        if strict and PyUnicode_Check(key) and key.startswith("_"):
            return False
        here = here.step(key)
    return here.flags & flag == flag


def covers(object pattern, object path):
    """Whether one pattern covers a path (private names included).

    Compiles the pattern; to ask often, compile once and use `check`.
    """
    return check(compile_patterns((pattern,), (), False), path, READ)
