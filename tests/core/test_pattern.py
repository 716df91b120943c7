"""Contract patterns against a slow matcher that follows the words of the documentation."""

from __future__ import annotations

import fnmatch
import gc
import sys
import threading
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from theus._core.pattern import (
    CAN_READ,
    CAN_WRITE,
    Position,
    allowed,
    check,
    compile_patterns,
    covers,
    find,
    is_exact,
    nothing,
    pattern_keys,
    unlimited,
)
from theus.errors import PathError

BELOW = 4
STRICT = 8

NAMES = st.sampled_from(["a", "b", "ab", "x_1", "x_2", "0", "1", "-1", "01", "_p", "c"])
GLOBS = st.sampled_from(["a*", "?b", "[ab]", "x_?", "*_1", "[!a]", "[0-9]", "x*2"])
SEGMENTS = st.one_of(NAMES, GLOBS, st.just("*"), st.just("**"))
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=5).map(tuple)
CONTRACTS = st.lists(PATTERNS, max_size=4)
KEYS = st.one_of(NAMES, st.sampled_from([0, 1, -1, True, None, 1.0, b"a", ("a", 0), "b]"]))
PATHS = st.lists(KEYS, min_size=1, max_size=5).map(tuple)


def fits(segment: str, key: Any) -> bool:
    """Whether one segment that is not `**` matches one key."""
    if segment == "*":
        return True
    if type(key) is int:
        return segment == str(key)
    if type(key) is not str:
        return False
    glob = any(char in segment for char in "*?[")
    return fnmatch.fnmatchcase(key, segment) if glob else segment == key


def matches(segments: tuple[str, ...], keys: tuple[Any, ...]) -> bool:
    """Whether a pattern names exactly this path."""
    if not segments:
        return not keys
    if segments[0] == "**":
        return any(matches(segments[1:], keys[skip:]) for skip in range(len(keys) + 1))
    return bool(keys) and fits(segments[0], keys[0]) and matches(segments[1:], keys[1:])


def oracle(reads: list[tuple[str, ...]], writes: list[tuple[str, ...]], keys: Any) -> int:
    grants = [(pattern, CAN_READ) for pattern in reads]
    grants += [(pattern, CAN_READ | CAN_WRITE) for pattern in writes]
    flags = 0
    for pattern, grant in grants:
        if any(matches(pattern, keys[:size]) for size in range(len(keys) + 1)):
            flags |= grant
    for pattern, grant in grants:
        passes = any(matches(pattern[:size], keys) for size in range(len(pattern)))
        if grant & ~flags and passes:
            flags |= BELOW
    return flags


def texts(patterns: list[tuple[str, ...]]) -> list[str]:
    return [".".join(segments) for segments in patterns]


@settings(max_examples=400)
@given(CONTRACTS, CONTRACTS, st.lists(PATHS, min_size=1, max_size=4))
@example(reads=[], writes=[("[!a]",), ("1", "a")], paths=[(1,)])
def test_every_position_is_as_the_slow_matcher_says(
    reads: list[tuple[str, ...]], writes: list[tuple[str, ...]], paths: list[tuple[Any, ...]]
) -> None:
    root = compile_patterns(texts(reads), texts(writes), strict=False)
    assert root.flags == oracle(reads, writes, ())
    for keys in paths:
        for size in range(1, len(keys) + 1):
            assert find(root, keys[:size]).flags == oracle(reads, writes, keys[:size]), keys[:size]


@given(PATTERNS, PATHS)
def test_covers_is_as_the_slow_matcher_says(pattern: tuple[str, ...], keys: Any) -> None:
    expected = any(matches(pattern, keys[:size]) for size in range(len(keys) + 1))
    assert covers(".".join(pattern), keys) == expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("domain", "domain.user.name", True),
        ("domain.user", "domain.user", True),
        ("domain.user", "domain.users", False),
        ("domain.user.*", "domain.user", False),
        ("domain.user.*", "domain.user.name.first", True),
        ("domain.user.**", "domain.user", True),
        ("**", "anything.at.all", True),
        ("*", "domain.x", True),
        ("**.total", "domain.a.b.total.x", True),
        ("**.total", "domain.a.b", False),
        ("a.**.**.b", "a.b", True),
        ("domain_ctx.x", "domain.x", True),
        ("domain.x", "domain_ctx.x", True),
        ("global_ctx.*", "global_.x", True),
        ("domain.user_*", "domain.user_7.name", True),
        ("domain.user_*", "domain.User_7", False),
        ("domain.rows.0", "domain.rows[0].x", True),
        ("domain.rows[0]", "domain.rows.0", True),
        ("domain.rows[*].x", "domain.rows[17].x", True),
        ("domain.rows[**]", "domain.rows", True),
        ("domain.row_[1-2].x", "domain.row_1.x", True),
        ("domain.row_[12].x", "domain.row_1.x", False),
        ("domain.row_[12].x", "domain.row_[12].x", True),
        ("domain.row_[12]a.x", "domain.row_1a.x", True),
        ("domain.[ab]_x", "domain.a_x", True),
        ('domain["*"]', ("domain", "*"), True),
        ('domain["*"]', "domain.x", False),
        ('domain["a.b"].c', 'domain["a.b"].c', True),
        ("domain.*", ("domain", (1, 2)), True),
        ("domain.[0-9]", "domain[5]", False),
        ("domain.*", "domain", False),
        ("heavy.*", "heavy.frames", True),
    ],
)
def test_examples(pattern: str, path: Any, expected: bool) -> None:
    assert covers(pattern, path) is expected


def test_a_write_pattern_allows_reading() -> None:
    root = compile_patterns(["domain.a"], ["domain.b"])
    assert check(root, "domain.b.c", CAN_READ | CAN_WRITE)
    assert check(root, "domain.a", CAN_READ)
    assert not check(root, "domain.a", CAN_WRITE)
    assert not check(root, "domain", CAN_READ)


def test_private_names_are_refused_under_a_strict_contract_only() -> None:
    strict = compile_patterns(["domain"], ["domain"])
    assert not check(strict, "domain._secret", CAN_READ)
    assert not check(strict, "domain._secret.x", CAN_WRITE)
    assert check(compile_patterns(["domain"], [], strict=False), "domain._secret", CAN_READ)
    assert find(strict, "domain.x").flags & STRICT
    assert not check(unlimited(True), "domain._secret", CAN_READ)
    assert check(unlimited(False), "domain._secret", CAN_READ | CAN_WRITE)


def test_unlimited_and_nothing_lead_to_themselves() -> None:
    everything = unlimited(True)
    assert find(everything, "a.b.c") is everything
    assert everything.flags == CAN_READ | CAN_WRITE | STRICT
    closed = nothing()
    assert find(closed, "a.b") is closed
    assert not closed.flags & (CAN_READ | CAN_WRITE | BELOW)
    assert find(compile_patterns([], []), "a.b").flags == STRICT


def test_a_covering_position_leads_to_itself() -> None:
    root = compile_patterns(["domain"], ["domain.out"])
    inside = find(root, "domain.out")
    assert find(root, "domain.out.x[3].y") is inside
    assert find(root, "domain.other") is not inside


def test_names_that_no_pattern_spells_share_one_position() -> None:
    root = compile_patterns(["domain.*.x", "domain.user_*.y"], [])
    gc.collect()
    before = sum(type(item) is Position for item in gc.get_objects())
    first = find(root, "domain.k0")
    for number in range(20_000):
        assert find(root, ("domain", f"k{number}")) is first
        find(root, ("domain", f"user_{number}", "y"))
    after = sum(type(item) is Position for item in gc.get_objects())
    assert after - before <= 4
    parent = find(root, "domain")
    sizes = [len(item) for item in gc.get_referents(parent) if type(item) is dict]
    assert max(sizes) <= 256


def test_allowed_names_the_patterns_of_the_contract() -> None:
    root = compile_patterns(["domain.a", "domain.b"], ["domain.b", "domain.c"])
    assert allowed(root) == ("domain.a", "domain.b", "domain.c")
    assert allowed(find(root, "domain.zzz"), CAN_WRITE) == ("domain.b", "domain.c")
    assert allowed(unlimited(True)) == ("**",)
    assert allowed(nothing()) == ()


@pytest.mark.parametrize(
    "bad", ["", "a..b", "a.", ".a", "a[", "a]", "a.[ab", 'a["x]', "a[0].", "a[]"]
)
def test_malformed_patterns_are_refused(bad: str) -> None:
    with pytest.raises(PathError):
        compile_patterns([bad], [])


@pytest.mark.parametrize("bad", ["domain.x", b"domain.x", [5], [None], [("domain", "x")]])
def test_what_is_no_list_of_texts_is_refused(bad: Any) -> None:
    with pytest.raises(PathError):
        compile_patterns(bad, [])


def test_entangled_patterns_are_refused_instead_of_eating_memory() -> None:
    with pytest.raises(PathError, match="too entangled"):
        compile_patterns(["**.a" + ".*" * 30], [])
    with pytest.raises(PathError, match="64 segments"):
        compile_patterns([".".join("a" * 65)], [])


def test_many_patterns_stay_small() -> None:
    root = compile_patterns([f"domain.table_{n}.rows.*.id" for n in range(500)], ["domain.out.**"])
    assert check(root, "domain.table_499.rows[3].id", CAN_READ)
    assert not check(root, "domain.table_500.rows[3].id", CAN_READ)


def test_keys_that_cannot_be_hashed_lead_nowhere() -> None:
    root = compile_patterns(["domain.a"], [])
    with pytest.raises(TypeError):
        Position()
    assert repr(root) == "<Position BELOW|STRICT>"
    assert repr(find(root, "x")) == "<Position STRICT>"


@pytest.mark.parametrize(
    ("pattern", "keys", "exact"),
    [
        ("domain_ctx.rows[0]", ("domain", "rows", "0"), True),
        ("domain.user_*", ("domain", "user_*"), False),
        ("domain.**", ("domain", "**"), False),
        ('domain["*"]', ("domain", "*"), True),
    ],
)
def test_segments_of_a_pattern(pattern: str, keys: tuple[str, ...], exact: bool) -> None:
    assert pattern_keys(pattern) == keys
    assert is_exact(pattern) is exact


def test_threads_may_meet_new_names_at_once() -> None:
    root = compile_patterns(["domain.user_*.**.x", "domain.*_log.y"], [])
    wrong: list[object] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        start.wait()
        for number in range(2000):
            name = f"user_{number % 700}_log"
            if not check(root, ("domain", name, "y"), CAN_READ):
                wrong.append(name)
            if not check(root, ("domain", name, f"deep{seed}", "x"), CAN_READ):
                wrong.append((name, "x"))
            if check(root, ("domain", f"log_{number}", "y"), CAN_READ):
                wrong.append(number)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not wrong
