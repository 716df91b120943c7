"""Refused accesses: the error with its place and the change that would allow it, or a report of it."""

from theus._core.path cimport format_path
from theus._core.pattern cimport REPORT, Position
from theus._core.zone cimport APPEND, DELETE, FIXED, NO_APPEND, NO_DELETE, NO_UPDATE

import os
import sys

from theus._core.pattern import allowed
from theus.errors import ContractViolationError
from theus.zones import ContextZone, zone_rule

LIBRARY = os.path.dirname(os.__file__) + os.sep
PACKAGES = ("site-packages", "dist-packages")
SPELLED = (str, int)
ANY = object()


cpdef bint is_library(object frame):
    """Whether a frame runs code of Python's own library."""
    cdef str file = frame.f_code.co_filename
    if file.startswith("<frozen "):
        return True
    return file.startswith(LIBRARY) and not file.startswith(PACKAGES, len(LIBRARY))


cpdef bint is_own(object frame):
    """Whether a frame runs code of Theus."""
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and (name == "theus" or name.startswith("theus."))


cpdef tuple place_of(object frame):
    """(file, line) of the innermost frame that is neither of Theus nor of Python's library."""
    while frame is not None and (is_own(frame) or is_library(frame)):
        frame = frame.f_back
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


cpdef tuple place():
    """(file, line) of the code that is making the access right now; ("", 0) where there is none.

    Walks the frames: for the way of an error only.
    """
    return place_of(sys._getframe())


def place_raised(error):
    """(file, line) where an error was raised, or where it was let out of a library."""
    place = ("", 0)
    step = error.__traceback__
    while step is not None:
        if not is_own(step.tb_frame) and not is_library(step.tb_frame):
            place = (step.tb_frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return place


def at_place(str file, int line):
    """The place as a part of a sentence: " at file:line"; "" where it is not known."""
    return f" at {file}:{line}" if file else ""


cdef str pattern_of(tuple parts):
    """The narrowest pattern that covers a path: a key that no pattern can spell becomes `*`."""
    cdef str text = ""
    for key in parts:
        if key is ANY or type(key) not in SPELLED:
            text += ".*" if text else "*"
        else:
            piece = format_path((key,))
            if piece == key and ("*" in piece or "?" in piece):
                piece = f"[{piece!r}]"
            text += piece if not text or piece.startswith("[") else "." + piece
    return text or "**"


cpdef object access_refused(object process, bint pure, str action, tuple parts, bint items, Position pos):
    """The error of an access. `items`: to what is in the container at `parts`, whichever key."""
    cdef int line
    cdef str file
    path = format_path(parts) if parts else "the whole state"
    file, line = place()
    where = f"{path!r}{at_place(file, line)}"
    who = f"process {process!r}" if process else "this code"
    patterns = allowed(pos)
    change = None
    if action == "private":
        text = (
            f"Illegal Access to {where}: permission denied for {who}. Names that start with '_' or "
            f"'internal_' are private in strict mode: use another name, or `with AdminTransaction(ctx):`."
        )
    elif action == "write" and pure:
        text = (
            f"Illegal Write to {where}: permission denied, {who} is PURE and cannot write in "
            f"place. Return the new value for a declared output instead."
        )
        change = ("semantic", "effect")
    else:
        verb, clause = ("Read of", "inputs") if action == "read" else ("Write to", "outputs")
        change = (clause, pattern_of(parts + (ANY,) if items else parts))
        text = (
            f"Illegal {verb} {where}: permission denied for {who}. Its contract allows: "
            f"{', '.join(patterns) if patterns else 'nothing'}. Add {change[1]!r} to its {clause}, or do "
            f"not touch it."
        )
    return ContractViolationError(
        text, process=process, path=path, action=action, allowed=patterns, file=file, line=line,
        change=change,
    )


cpdef object zone_refused(object process, int act, tuple parts, int limits, object marks):
    """The error of a change that the zone of a place does not allow."""
    cdef int line
    cdef str file
    path = format_path(parts)
    file, line = place()
    who = f"process {process!r}" if process else "this code"
    may = [
        verb for verb, bit in (("read", 0), ("added to", NO_APPEND), ("replaced", NO_UPDATE), ("deleted", NO_DELETE))
        if not limits & bit
    ]
    title = "Append" if act == APPEND else "Delete" if act == DELETE else "Update"
    way = "" if limits & FIXED else (
        " Do that, annotate the field of the context class with `Mutable`, or write in "
        "`with AdminTransaction(ctx):`."
    )
    return ContractViolationError(
        f"Illegal {title} of {path!r}{at_place(file, line)}: permission denied for {who}. "
        f"{zone_of(parts, marks)}: what is there may be {', '.join(may)}, and no more.{way}",
        process=process, path=path, action=title.lower(), allowed=tuple(may), file=file, line=line,
        change=None,
    )


cdef str zone_of(tuple parts, object marks):
    """What limits a place, as the beginning of a sentence."""
    fields = {} if marks is None else marks.get(parts[0], {})
    for index, key in enumerate(parts):
        if index == 1 and key in fields:
            return f"The field {format_path(parts[:2])!r} is annotated so"
        if isinstance(key, str) and zone_rule(key).zone is not ContextZone.DATA:
            return f"{key!r} belongs to the zone {zone_rule(key).zone.name}"
    return f"The policy of the namespace {parts[0]!r} says so"


cdef object act_refused(object process, Position pos, str phrase, str event, str subject, tuple place):
    """The error of something that a PURE process does beside computing."""
    file, line = place
    shown = f"{event}: {subject}" if subject else event
    return ContractViolationError(
        f"PURE process {process!r} may not {phrase} ({shown}){at_place(file, line)}: permission denied, "
        f"what it computes depends on its inputs alone. Do it in a process with "
        f"semantic=SemanticType.EFFECT, which puts into the state what this one needs.",
        process=process, path=subject, action=event, allowed=allowed(pos), file=file, line=line,
        change=("semantic", "effect"),
    )


cpdef int raise_or_report(object report, int flags, object error) except -1:
    """Raise an error, or hand it to `report` where the flags of a position say so."""
    if flags & REPORT and report is not None:
        report(error)
        return 0
    raise error
