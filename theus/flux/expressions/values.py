"""Looking up, comparing and asking for truth, without running anyone's code.

Every function takes the `Site` that is to blame; what visits elements takes the names of
the evaluation, too, which hold the count of elements visited so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NoReturn

from theus._yaml import suggestion
from theus.flux.expressions.faults import Site
from theus.flux.expressions.kinds import (
    LIST,
    MAPPING,
    MAPPINGS,
    NULL,
    NUMBER,
    OPAQUE,
    PLAIN,
    RECORD,
    SCALARS,
    SET,
    TEXT,
    TUPLE,
    fields_of,
    kind_of,
    name_of,
    settled,
)
from theus.flux.expressions.limits import TOUCHED, VALUE_DEPTH

__all__ = [
    "ABSENT", "Names", "charge", "contains", "elements_of", "equal", "item", "looked_up",
    "ordered", "size_of", "truth",
]  # fmt: skip

Names = dict[str, Any]
"""What the names of one evaluation stand for; also the counter under ``*``."""

ABSENT: Final = object()
_ATOMS: Final = frozenset([NULL, NUMBER, TEXT])
_SIZED: Final = frozenset([TEXT, LIST, TUPLE, MAPPING, SET])


def charge(names: Names, count: int, site: Site) -> None:
    """Count `count` visited elements; over the limit, fail."""
    total = names.get("*", 0) + count
    if total > TOUCHED:
        site.fail("limit", f"More than {TOUCHED:,} elements visited in one evaluation.")
    names["*"] = total


def truth(value: Any, site: Site) -> bool:
    """Truth as Python has it, for known values only."""
    if value is True or value is False:
        return bool(value)
    kind = kind_of(value)
    if kind in _SIZED:
        return size_of(value, site) != 0
    if kind is OPAQUE:
        site.fail("type", f"Truth is not defined for {name_of(value)}.")
    return True if kind is RECORD else bool(settled(value))


def size_of(value: Any, site: Site) -> int:
    """``len(value)`` of a text or container."""
    value = settled(value)
    if kind_of(value) not in _SIZED:
        site.fail("type", f"There is no length of {name_of(value)}.")
    try:
        return len(value)
    except OverflowError:
        site.fail("limit", "This range is too long.")


def elements_of(value: Any, names: Names, site: Site) -> Iterable[Any]:
    """The elements of a list, tuple or set, or the keys of a mapping; each is charged."""
    if kind_of(value) not in (LIST, TUPLE, SET, MAPPING):
        site.fail("type", f"A list is needed, not {name_of(value)}.")
    charge(names, size_of(value, site), site)
    return value  # type: ignore[no-any-return]


# --- looking up ---------------------------------------------------------------------------


def looked_up(value: Any, key: Any, site: Site) -> Any:
    """The item of a mapping or record under `key`, or ABSENT."""
    key = _key(key, site)
    if kind_of(value) is MAPPING:
        return _found(value, key)
    if type(key) is not str or key not in _fields(value):
        return ABSENT
    return getattr(value, key, ABSENT)


def _found(mapping: Any, key: Any) -> Any:
    """The item, or ABSENT; ``__missing__`` is not called, for it may add the key."""
    if type(mapping) not in MAPPINGS and key not in mapping:
        return ABSENT
    try:
        return mapping[key]
    except LookupError:
        return ABSENT


class _Present(Mapping[Any, Any]):
    """A mapping with a ``__missing__``, read without it."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Mapping[Any, Any]) -> None:
        self._inner = inner

    def __getitem__(self, key: Any) -> Any:
        found = _found(self._inner, key)
        if found is ABSENT:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._inner

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)


def as_root(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """What a root may stand for: a mapping whose items are only read."""
    return _Present(mapping) if hasattr(type(mapping), "__missing__") else mapping


def item(value: Any, key: Any, site: Site) -> Any:
    """``value[key]``, which is ``value.key`` too; what is not there is an error."""
    kind = kind_of(value)
    if kind is MAPPING or kind is RECORD:
        found = looked_up(value, key, site)
        return _missing(value, key, site) if found is ABSENT else found
    key = settled(key)
    if kind is NULL:
        site.fail("unknown-path", f"There is no {_shown(key)} in None.")
    value = settled(value)
    if kind_of(value) not in (LIST, TUPLE, TEXT):
        site.fail("type", f"There is nothing to look up in {name_of(value)}.")
    if type(key) is not int:
        site.fail("type", f"A {kind_of(value)} takes an integer, not {_shown(key)}.")
    try:
        return value[key]
    except (IndexError, OverflowError):
        count = size_of(value, site)
        site.fail("unknown-path", f"There is no element {_shown(key)}: it has {count}.")


def _key(key: Any, site: Site) -> Any:
    key = settled(key)
    if type(key) is tuple and all(type(part) in SCALARS for part in key):
        return key
    if type(key) not in SCALARS and type(key) is not bytes:
        site.fail("type", f"A key cannot be {name_of(key)}.")
    if type(key) is str and key.startswith("_"):
        site.fail("not-allowed", f"{key[:40]!r}: names that begin with _ are private.")
    return key


def _fields(value: Any) -> Iterable[str]:
    cls = type(value)
    fields = fields_of(cls)
    return vars(value) if fields is None else fields


def _shown(key: Any) -> str:
    text = repr(key) if type(key) in (str, float, bool) else name_of(key)
    if type(key) is int:
        text = str(key) if key.bit_length() < 128 else "so large an index"
    return text if len(text) <= 60 else text[:57] + "..."


def _missing(value: Any, key: Any, site: Site) -> NoReturn:
    known = value if kind_of(value) is MAPPING else _fields(value)
    names = [name for name in islice(known, 200) if type(name) is str and len(name) <= 60]
    hint = suggestion(key, names) if type(key) is str and len(key) <= 60 else ""
    site.fail(
        "unknown-path",
        f"There is no {_shown(key)} here.{hint} To ask, write .get({_shown(key)}).",
    )


# --- comparing ----------------------------------------------------------------------------


def equal(left: Any, right: Any, names: Names, site: Site, level: int = 0) -> bool:
    """``left == right``, element by element; a list is not equal to a tuple."""
    left, right = settled(left), settled(right)
    one, other = kind_of(left), kind_of(right)
    if one in _ATOMS and other in _ATOMS:
        return bool(left == right)
    if {one, other} <= {PLAIN, NUMBER}:
        return _equal_plain(left, right, site)
    if OPAQUE in (one, other) or RECORD in (one, other):
        return _same_object(left, right, site)
    if one is not other:
        return False
    if level > VALUE_DEPTH:
        site.fail("limit", f"Values nested deeper than {VALUE_DEPTH} levels.")
    count = size_of(left, site)
    if count != size_of(right, site):
        return False
    charge(names, count + 1, site)
    if one is MAPPING:
        return _equal_mappings(left, right, names, site, level + 1)
    if one is SET:
        return all(_is_among(each, right, site) for each in left)
    return all(equal(a, b, names, site, level + 1) for a, b in zip(left, right, strict=False))


def _equal_plain(left: Any, right: Any, site: Site) -> bool:
    try:
        return bool(left == right)
    except ArithmeticError:
        site.fail("type", f"Cannot compare {name_of(left)} with {name_of(right)}.")


def _same_object(left: Any, right: Any, site: Site) -> bool:
    if left is right:
        return True
    if left is None or right is None:
        return False
    site.fail("type", f"Cannot compare {name_of(left)} with {name_of(right)}.")


def _equal_mappings(left: Any, right: Any, names: Names, site: Site, level: int) -> bool:
    for key in left:
        mine, theirs = _found(left, key), _found(right, key)
        if mine is ABSENT or theirs is ABSENT:
            return False
        if not equal(mine, theirs, names, site, level):
            return False
    return True


def contains(container: Any, element: Any, names: Names, site: Site) -> bool:
    """``element in container``: substring, element, or key."""
    container, element = settled(container), settled(element)
    kind = kind_of(container)
    if kind is TEXT:
        if type(element) is not str:
            site.fail("type", f"Only a text can be in a text, not {name_of(element)}.")
        return element in container
    if kind is MAPPING or kind is SET:
        return _is_among(element, container, site)
    if kind is RECORD:
        return type(element) is str and element in _fields(container)
    return any(equal(each, element, names, site) for each in elements_of(container, names, site))


def _is_among(element: Any, container: Any, site: Site) -> bool:
    """Whether a set or the keys of a mapping have `element`."""
    parts = element if type(element) is tuple else (element,)
    if not all(type(part) in SCALARS or kind_of(part) is PLAIN for part in parts):
        site.fail("type", f"Cannot look for {name_of(element)} in {name_of(container)}.")
    return element in container


def ordered(
    left: Any,
    right: Any,
    compare: Callable[[Any, Any], Any],
    names: Names,
    site: Site,
    level: int = 0,
) -> bool:
    """``left < right`` and the like, by `compare` from `operator`."""
    left, right = settled(left), settled(right)
    one, other = kind_of(left), kind_of(right)
    if one is other and one in (NUMBER, TEXT):
        return bool(compare(left, right))
    if PLAIN in (one, other) and {one, other} <= {PLAIN, NUMBER}:
        try:
            return bool(compare(left, right))
        except (TypeError, ArithmeticError):
            return _unordered(left, right, site)
    if one is not other or one not in (LIST, TUPLE) or level > VALUE_DEPTH:
        _unordered(left, right, site)
    charge(names, min(size_of(left, site), size_of(right, site)) + 1, site)
    for a, b in zip(left, right, strict=False):
        if not equal(a, b, names, site, level + 1):
            return ordered(a, b, compare, names, site, level + 1)
    return bool(compare(size_of(left, site), size_of(right, site)))


def _unordered(left: Any, right: Any, site: Site) -> NoReturn:
    site.fail("type", f"Cannot order {name_of(left)} and {name_of(right)}.")
