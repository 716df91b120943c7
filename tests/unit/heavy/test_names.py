"""Names: readable where the platform takes them, short elsewhere, never given out twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus.heavy import names

SESSION = "0123456789abcdef"


def test_a_session_is_64_random_bits():
    made = {names.new_session() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in made)


def test_the_readable_name_is_the_segment_name_where_it_can_be():
    assert names.segment_name(SESSION, 42, "img.1-a_B", portable=False) == (
        f"theus:{SESSION}:42:img.1-a_B"
    )


def test_later_generations_have_names_of_their_own():
    assert names.segment_name(SESSION, 42, "x", 3, portable=False) == f"theus:{SESSION}:42:x:3"
    assert names.parse_name(f"theus:{SESSION}:42:x:3") == names.NameParts(SESSION, 42, "x", 3)
    assert names.parse_name(f"theus:{SESSION}:42:x") == names.NameParts(SESSION, 42, "x", 1)


@pytest.mark.parametrize("key", ["a/b", "..\n", "dữ_liệu", "a:2", "x" * 300, "a b", "\U0001f600"])
def test_keys_the_platform_would_refuse_get_a_short_name(key):
    name = names.segment_name(SESSION, 42, key, portable=False)
    assert re.fullmatch(r"th[0-9a-f]{8}_[0-9a-v]{12}", name)


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_every_key_has_a_portable_name_of_at_most_30_characters(key):
    name = names.segment_name(SESSION, 42, names.check_key(key), portable=True)
    assert len(name) <= 30
    assert name.isascii()
    assert names.check_segment_name(name) == name


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.integers(1, 10**6))
def test_what_a_logical_name_says_is_read_back(key, generation):
    name = names.segment_name(SESSION, 42, key, generation, portable=False)
    assert len(name) <= 250
    parts = names.parse_name(name)
    if parts is None:
        assert names.is_unique_name(name)
        assert name.startswith("th") and not name.startswith("theus:")
    else:
        assert parts == names.NameParts(SESSION, 42, key, generation)


def test_the_longest_names_still_fit_the_file_system():
    name = names.segment_name("s" * 40, 4194304, "k" * 200, 10**18, portable=False)
    assert len(name) <= 250


def test_only_names_with_our_random_bits_count_as_unique():
    assert names.is_unique_name(f"theus:{SESSION}:1:x")
    assert names.is_unique_name(names.short_name(SESSION))
    assert not names.is_unique_name("theus:chosen:1:x")
    assert not names.is_unique_name("psm_1234abcd")


@pytest.mark.parametrize("key", ["", "a\0b"])
def test_keys_that_name_nothing_are_refused(key):
    with pytest.raises(ValueError, match="heavy key"):
        names.check_key(key)


@pytest.mark.parametrize("key", [None, 1, b"x", ("a",)])
def test_keys_that_are_no_text_are_refused(key):
    with pytest.raises(TypeError, match="heavy key"):
        names.check_key(key)


@pytest.mark.parametrize("session", ["", "a:b", "a/b", "ü", "s" * 41, None, 7])
def test_sessions_that_cannot_be_part_of_a_name_are_refused(session):
    with pytest.raises(ValueError, match="session"):
        names.check_session(session)


@pytest.mark.parametrize("name", ["", "/x", "a/b", "..", ".", "x\0", "é", "x" * 255, None, "a\n"])
def test_names_no_segment_of_ours_can_have_are_refused(name):
    with pytest.raises(ValueError, match="segment"):
        names.check_segment_name(name)
