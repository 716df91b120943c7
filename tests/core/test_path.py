"""Paths: text to keys and back."""

from __future__ import annotations

import math
import pickle
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus._core import path as module
from theus._core.path import format_path, parse_path
from theus.errors import PathError, TheusError, UnsupportedValueError

SCALARS = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.binary(max_size=6),
    st.booleans(),
    st.floats(allow_nan=False),
    st.none(),
)
KEYS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
TRICKY = st.text(alphabet="ab.[]\"'\\\n\t0*(", max_size=6)
PATHS = st.lists(KEYS | TRICKY, min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("domain", ("domain",)),
        ("domain.user.name", ("domain", "user", "name")),
        ("domain.rows[0].id", ("domain", "rows", 0, "id")),
        ("domain.rows[-1]", ("domain", "rows", -1)),
        ("domain.rows.0.id", ("domain", "rows", "0", "id")),
        ('a["x.y"].b', ("a", "x.y", "b")),
        ("a['x.y'][0][1]", ("a", "x.y", 0, 1)),
        ('["a.b"].c', ("a.b", "c")),
        ('a["\\n\\t\\r\\\\\\"\\\'"]', ("a", "\n\t\r\\\"'")),
        ('a[""]', ("a", "")),
        ("a[None][True][1.5]", ("a", None, True, 1.5)),
        ("a[(1, 'x]', b'y')]", ("a", (1, "x]", b"y"))),
        ("first name.x", ("first name", "x")),
        ("a*b.c?", ("a*b", "c?")),
        ("größe.ключ", ("größe", "ключ")),
    ],
)
def test_text_is_parsed(text: str, keys: tuple[Any, ...]) -> None:
    assert parse_path(text) == keys
    assert [type(key) for key in parse_path(text)] == [type(key) for key in keys]


@pytest.mark.parametrize("spelling", ["domain", "domain_ctx"])
def test_spellings_of_the_domain_are_one(spelling: str) -> None:
    assert parse_path(spelling + ".x") == ("domain", "x")
    assert parse_path((spelling, "x")) == ("domain", "x")


@pytest.mark.parametrize("spelling", ["global", "global_", "global_ctx"])
def test_spellings_of_the_global_zone_are_one(spelling: str) -> None:
    assert parse_path(spelling + ".x") == ("global", "x")
    assert parse_path([spelling, "x"]) == ("global", "x")


def test_only_the_first_key_is_folded() -> None:
    assert parse_path("domain.domain_ctx") == ("domain", "domain_ctx")
    assert parse_path("data.domain_ctx") == ("data", "domain_ctx")


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("", 0, "empty"),
        (".a", 0, "empty segment"),
        ("a.", 2, "empty segment"),
        ("a..b", 2, "empty segment"),
        ("a[", 1, "not closed"),
        ("a[0", 1, "not closed"),
        ('a["x]', 1, "not closed"),
        ("a[]", 2, "nothing between"),
        ("a]", 1, "without an opening"),
        ("a[0]b", 4, "expected a dot"),
        ("a[0].", 5, "empty segment"),
        ("a[0].[1]", 5, "bracket after a dot"),
        ("a.[0]", 2, "bracket after a dot"),
        ('a["x"y]', 5, "after the closing quote"),
        ('a["\\q"]', 4, "unknown escape"),
        ("a[name]", 2, "number, or text in quotes"),
        ("a[{}]", 2, "dict cannot be a key"),
        ("a[" + "9" * 50 + "]", 2, "40 digits"),
    ],
)
def test_malformed_text_says_where(text: str, position: int, why: str) -> None:
    with pytest.raises(PathError, match=why) as caught:
        parse_path(text)
    assert caught.value.position == position
    assert caught.value.path == text
    assert f"position {position}" in str(caught.value)


@pytest.mark.parametrize("path", [(), [], None, 5, b"a.b", {"a"}, {"a": 1}])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(PathError):
        parse_path(path)


def test_the_error_can_be_caught_as_builtin_and_pickled() -> None:
    with pytest.raises(ValueError, match="empty segment") as caught:
        parse_path("a..b")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.position == 2
    assert isinstance(again, LookupError)


class Text(str):
    """A str that would run code when hashed."""

    def __hash__(self) -> int:
        raise AssertionError("hashed")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")


class Number(int):
    pass


@pytest.mark.parametrize(
    "key", [Text("a"), Number(3), object(), 1j, frozenset(), (1, Text("a")), [1], (1, [2])]
)
def test_keys_whose_hash_runs_foreign_code_are_refused(key: Any) -> None:
    with pytest.raises(UnsupportedValueError) as caught:
        parse_path(("a", key))
    assert type(key).__name__ in str(caught.value) or "tuple" in str(caught.value)


def test_a_key_whose_repr_fails_is_still_named_by_its_type() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(UnsupportedValueError, match="Rude"):
        parse_path(("a", Rude()))


def test_a_subclass_of_str_as_path_is_read_by_content() -> None:
    assert parse_path(Text("a.b")) == ("a", "b")
    assert all(type(key) is str for key in parse_path(Text("a.b")))


def test_deep_tuples_are_refused_without_recursion() -> None:
    key: Any = ()
    for _ in range(100_000):
        key = (key,)
    with pytest.raises(UnsupportedValueError):
        parse_path(("a", key))
    while key:  # take it apart by hand: its destructor recurses, too
        (key,) = key


@given(PATHS)
def test_round_trip(keys: tuple[Any, ...]) -> None:
    parsed = parse_path(keys)
    again = parse_path(format_path(parsed))
    assert again == parsed
    assert [type(key) for key in again] == [type(key) for key in parsed]


@given(st.text(alphabet="ab.[]0\"'\\*() -", max_size=12))
def test_any_text_is_parsed_or_refused_with_a_position(text: str) -> None:
    try:
        keys = parse_path(text)
    except PathError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert parse_path(format_path(keys)) == keys


def test_nan_can_be_shown() -> None:
    assert format_path(("a", math.nan)) == "a[nan]"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("a", "b"), "a.b"),
        (("a", 0, "b"), "a[0].b"),
        (("a", "x.y"), 'a["x.y"]'),
        (("a", ""), 'a[""]'),
        (("a", "line\nbreak"), 'a["line\\nbreak"]'),
        ((0, "a"), "[0].a"),
        ((), ""),
        ("a.b", "a.b"),
    ],
)
def test_keys_are_shown(keys: Any, text: str) -> None:
    assert format_path(keys) == text


def test_names_are_shared_between_paths() -> None:
    first = parse_path("share.some_common_name")[1]
    second = parse_path("other.some_common_name")[1]
    assert first is second


def test_caches_are_bounded() -> None:
    for number in range(3 * (module.GENERATION + module.MAX_NAMES)):
        parse_path(f"bounded.name_{number}")
    young, old, names = module._young, module._old, module._names  # type: ignore[attr-defined]
    assert len(young) <= module.GENERATION
    assert len(old) <= module.GENERATION
    assert len(names) <= module.MAX_NAMES
    long = "x" * 10_000
    assert parse_path(f"a.{long}") == ("a", long)
    assert all(len(text) <= module.LONGEST_CACHED for text in [*young, *names])


def test_a_path_in_use_survives_in_the_cache() -> None:
    kept = parse_path("survivor.of.many")
    for number in range(4 * module.GENERATION):
        parse_path(f"passing.by_{number}")
        if number % 100 == 0:
            assert parse_path("survivor.of.many") is kept


def test_threads_may_parse_the_same_new_paths() -> None:
    wrong: list[object] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for number in range(5000):
            if parse_path(f"threads.n{number}[0]") != ("threads", f"n{number}", 0):
                wrong.append(number)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not wrong


def test_every_error_is_of_theus() -> None:
    for bad in ("a..b", (), ("a", object())):
        with pytest.raises(TheusError):
            parse_path(bad)
