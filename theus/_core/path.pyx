"""Dotted paths: text to tuples of keys and back.

A path names a place in the state by its keys from the top: ``domain.user.name``. In text,
keys are separated by dots; a key that contains a dot or a bracket is quoted in brackets, and
an integer in brackets stays an integer:

=====================  ================================
text                   keys
=====================  ================================
``domain.user.name``   ``("domain", "user", "name")``
``domain.rows[0].id``  ``("domain", "rows", 0, "id")``
``domain.rows.0.id``   ``("domain", "rows", "0", "id")``
``domain["a.b"]``      ``("domain", "a.b")``
``domain[(1, 2)]``     ``("domain", (1, 2))``
=====================  ================================

A guard over a list reads the key ``"0"`` as the index 0, so both spellings find an item.
Other spellings of a zone are folded where a path begins: ``domain_ctx`` is ``domain``,
``global_`` and ``global_ctx`` are ``global``.
"""

import reprlib

from theus.errors import PathError, UnsupportedValueError

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(object)
    bint PyUnicode_Check(object)
    bint PyLong_CheckExact(object)
    bint PyBytes_CheckExact(object)
    bint PyFloat_CheckExact(object)
    bint PyBool_Check(object)
    bint PyTuple_CheckExact(object)
    object PyUnicode_FromObject(object)

SPELLINGS = {"domain_ctx": "domain", "global_": "global", "global_ctx": "global"}
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}

# Two generations of parsed paths, 4096 together: a path in use moves on, others fall out.
GENERATION = 2048
LONGEST_CACHED = 256
_young = {}
_old = {}

# One object per name, so that lookups in the state compare pointers. Not `sys.intern`: what
# that takes may live for ever, and programs make up names as they go.
MAX_NAMES = 8192
_names = {}

cdef enum:
    MAX_TUPLE_DEPTH = 32


cdef bint _is_key(object key, int depth) noexcept:
    if (
        PyUnicode_CheckExact(key) or PyLong_CheckExact(key) or PyBytes_CheckExact(key)
        or PyBool_Check(key) or PyFloat_CheckExact(key) or key is None
    ):
        return True
    if not PyTuple_CheckExact(key) or depth >= MAX_TUPLE_DEPTH:
        return False
    for item in <tuple>key:
        if not _is_key(item, depth + 1):
            return False
    return True


cdef bint is_key(object key) noexcept:
    """Whether the state may use `key` in a mapping: hashing it runs no foreign code."""
    return _is_key(key, 0)


cdef int check_key(object key) except -1:
    """Raise UnsupportedValueError where `key` may not be a key of the state."""
    if _is_key(key, 0):
        return 0
    name = type(key).__module__ + "." + type(key).__qualname__
    raise UnsupportedValueError(
        f"cannot use {reprlib.repr(key)} of type {name} as a key: keys are str, int, bytes, bool, "
        f"float, None, or tuples of these, and no subclasses. Use the key's text or number.",
        type_name=name,
    )


cdef object name_of(str text):
    """The one shared object for a name (while the table has room; else `text` itself)."""
    cdef dict names = _names
    if len(text) > LONGEST_CACHED:
        return text
    if len(names) >= MAX_NAMES:
        return names.get(text, text)
    return names.setdefault(text, text)


cdef object malformed(str text, Py_ssize_t at, str why):
    shown = text if len(text) <= 200 else text[:200] + "..."
    return PathError(
        f"malformed path {shown!r} at position {at}: {why}. Write keys with dots between them, "
        f"'domain.user.name', and other keys in brackets: 'rows[0]', 'user[\"first.name\"]'.",
        path=text, position=at,
    )


cdef Py_ssize_t end_of_bracket(str text, Py_ssize_t start) except -2:
    """Index of the bracket that closes the one at `start`; -1 where there is none."""
    cdef Py_ssize_t index = start + 1
    cdef Py_UCS4 char, quote = 0
    cdef int depth = 0
    while index < len(text):
        char = text[index]
        if quote:
            if char == u"\\":
                index += 1
            elif char == quote:
                quote = 0
        elif char == u'"' or char == u"'":
            quote = char
        elif char == u"(":
            depth += 1
        elif char == u")":
            depth -= 1
        elif char == u"]" and depth <= 0:
            return index
        index += 1
    return -1


cdef object unquote(str text, Py_ssize_t start, Py_ssize_t stop):
    """The string that is written with its quotes at text[start:stop]."""
    cdef Py_ssize_t index = start + 1
    cdef Py_UCS4 quote = text[start]
    cdef Py_UCS4 char
    cdef list out = []
    cdef dict escapes = ESCAPES
    while index < stop:
        char = text[index]
        if char == quote:
            if index != stop - 1:
                raise malformed(text, index + 1, "text after the closing quote")
            return "".join(out)
        if char == u"\\":
            index += 1
            if index >= stop or text[index] not in escapes:
                raise malformed(text, index, "unknown escape (\\\\ \\\" \\' \\n \\r \\t are known)")
            out.append(escapes[text[index]])
        else:
            out.append(text[index])
        index += 1
    raise malformed(text, start, "a quote that is not closed")


cdef object literal(str text, Py_ssize_t start, Py_ssize_t stop):
    """The key written at text[start:stop], between brackets."""
    if start >= stop:
        raise malformed(text, start, "nothing between the brackets")
    cdef Py_UCS4 first = text[start]
    if first == u'"' or first == u"'":
        return name_of(unquote(text, start, stop))
    cdef str inner = text[start:stop]
    digits = inner[1:] if first == u"-" else inner
    if digits.isascii() and digits.isdigit():
        if len(digits) > 40:
            raise malformed(text, start, "a number of more than 40 digits")
        return int(inner)
    import ast

    try:
        key = ast.literal_eval(inner)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise malformed(text, start, "a bracket holds a number, or text in quotes") from None
    if not _is_key(key, 0):
        raise malformed(text, start, f"{type(key).__name__} cannot be a key")
    return key


cdef bint pattern_bracket(str text, Py_ssize_t start, Py_ssize_t stop) except -1:
    """In patterns, whether a bracket is a key ([0], ["x"], [*]) and no class of letters ([ab])."""
    if text.startswith(('["', "['", "[]"), start):
        return True
    if stop < 0 or not (stop + 1 == len(text) or text[stop + 1] in ".["):
        return False
    inner = text[start + 1:stop]
    if inner in ("*", "**"):
        return True
    digits = inner[1:] if inner.startswith("-") else inner
    return digits.isascii() and digits.isdigit()


cdef Py_ssize_t end_of_name(str text, Py_ssize_t start, bint globs) except -1:
    """Where the name that begins at `start` ends."""
    cdef Py_ssize_t index = start
    cdef Py_ssize_t close
    cdef Py_UCS4 char
    while index < len(text):
        char = text[index]
        if char == u".":
            return index
        if char == u"[":
            close = end_of_bracket(text, index)
            if not globs or pattern_bracket(text, index, close):
                return index
            close = text.find("]", index + 1)
            if close < 0:
                raise malformed(text, index, "a bracket that is not closed")
            index = close
        elif char == u"]":
            raise malformed(text, index, "a closing bracket without an opening one")
        index += 1
    return index


cdef list scan(str text, bint globs):
    """Parts of a path as (key, position, quoted) tuples.

    With `globs`, text is a pattern: brackets that hold no key are classes of letters and stay
    in their segment, and a star in brackets is the wildcard. Raises PathError.
    """
    cdef Py_ssize_t index = 0
    cdef Py_ssize_t end
    cdef list parts = []
    if not text:
        raise malformed(text, 0, "the path is empty")
    while True:
        if index < len(text) and text[index] == u"[":
            end = end_of_bracket(text, index)
            if not globs or pattern_bracket(text, index, end):
                if end < 0:
                    raise malformed(text, index, "a bracket that is not closed")
                inner = text[index + 1:end]
                if globs and inner in ("*", "**"):
                    parts.append((inner, index, False))
                else:
                    parts.append((literal(text, index + 1, end), index, True))
                index = end + 1
                if index == len(text):
                    return parts
                if text[index] == u".":
                    index += 1
                    if index < len(text) and text[index] == u"[" and not globs:
                        raise malformed(text, index, "a bracket after a dot")
                elif text[index] != u"[":
                    raise malformed(text, index, "expected a dot or a bracket")
                continue
        end = end_of_name(text, index, globs)
        if end == index:
            raise malformed(text, index, "an empty segment")
        parts.append((name_of(text[index:end]), index, False))
        if end == len(text):
            return parts
        index = end
        if text[end] == u".":
            index = end + 1
            if index < len(text) and text[index] == u"[" and not globs:
                raise malformed(text, index, "a bracket after a dot")


cdef object fold(object key):
    """The first key of a path, in the one spelling the state uses."""
    return SPELLINGS.get(key, key) if PyUnicode_CheckExact(key) else key


cdef tuple folded(list keys):
    keys[0] = fold(keys[0])
    return tuple(keys)


cdef tuple parse_text(str text):
    global _young, _old
    cdef dict young = _young
    found = young.get(text)
    if found is not None:
        return <tuple>found
    found = _old.get(text)
    if found is None:
        found = folded([part[0] for part in scan(text, False)])
    if len(text) <= LONGEST_CACHED:
        if len(young) >= GENERATION:
            _old = young
            _young = young = {}
        young[text] = found
    return <tuple>found


cpdef tuple parse_path(object path):
    """Keys of a path.

    Parameters
    ----------
    path:
        Dotted text, or a tuple or list of keys (checked, and returned as a tuple).

    Raises
    ------
    PathError
        The text is malformed (``position`` says where), or the path is empty or no path.
    UnsupportedValueError
        A key in a tuple or list cannot be a key of the state.

    Notes
    -----
    Thread-safe. A dict lookup for text parsed before (the last few thousand are kept), else
    O(length).
    """
    cdef list keys
    if PyUnicode_CheckExact(path):
        return parse_text(<str>path)
    if isinstance(path, (tuple, list)):
        keys = list(path)
        if not keys:
            raise PathError("a path needs at least one key; this one is empty", path="")
        for key in keys:
            check_key(key)
        return folded(keys)
    if PyUnicode_Check(path):
        return parse_text(<str>PyUnicode_FromObject(path))
    raise PathError(
        f"a path is dotted text or a tuple of keys, not {type(path).__name__} {reprlib.repr(path)}",
        path=reprlib.repr(path),
    )


cdef str quoted(str name):
    cdef str text = name.replace("\\", "\\\\").replace('"', '\\"')
    return '["' + text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"]'


cdef str key_text(object key):
    if PyTuple_CheckExact(key):
        inner = ", ".join([key_text(item) for item in <tuple>key])
        return f"({inner},)" if len(<tuple>key) == 1 else f"({inner})"
    if PyFloat_CheckExact(key) and key - key != 0 and key == key:
        return "1e999" if key > 0 else "-1e999"
    return repr(key)


cdef bint needs_quotes(str name) except -1:
    for char in name:
        if char in u".[]\n\r\t":
            return True
    return not name


cpdef str format_path(object parts):
    """Text of a path: the inverse of `parse_path` (text is returned as it is).

    Keys that are no plain names are written in brackets: ``rows[0]``, ``user["first.name"]``.
    O(length); thread-safe.
    """
    cdef list out = []
    if PyUnicode_Check(parts):
        return PyUnicode_FromObject(parts)
    for part in parts:
        if not PyUnicode_Check(part):
            out.append(f"[{key_text(part)}]")
        elif needs_quotes(PyUnicode_FromObject(part)):
            out.append(quoted(PyUnicode_FromObject(part)))
        else:
            if out:
                out.append(".")
            out.append(part)
    return "".join(out)
