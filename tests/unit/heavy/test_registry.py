"""MemoryRegistry: one private file per owner, whole lines, locked, compacted, removed."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.isolated import run_isolated
from theus import __version__
from theus.errors import HeavyZoneError
from theus.heavy import MemoryRegistry, scan_zombies
from theus.heavy.directory import default_directory, prepare_directory
from theus.heavy.identity import current_identity
from theus.heavy.records import encode_line, read_ledger

NAME = "theus:0123456789abcdef:1:x"


@pytest.fixture
def registry(directory):
    made = MemoryRegistry(directory=directory)
    yield made
    for name in made.entries:
        made.freed(name)
    made.close()
    assert list(directory.iterdir()) == []


def ledger_of(registry):
    return read_ledger(registry.path.read_bytes())


def locked_by_another(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# --- the file -----------------------------------------------------------------------------


def test_the_file_is_made_with_the_first_record(registry, directory):
    assert registry.path is None
    assert not directory.exists()
    registry.intent(NAME, 10)
    assert registry.path == directory / f"{registry.session}.{os.getpid()}.jsonl"
    assert stat.S_IMODE(registry.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert locked_by_another(registry.path)


def test_its_first_line_says_who_owns_it(registry):
    registry.intent(NAME, 10)
    first = json.loads(registry.path.read_text().splitlines()[0])
    assert first["version"] == __version__
    assert ledger_of(registry).identity == current_identity()


def test_records_follow_the_life_of_a_segment(registry):
    registry.intent(NAME, 10)
    assert ledger_of(registry).entries[NAME].inode is None
    registry.made(NAME, 5, 77)
    entry = ledger_of(registry).entries[NAME]
    assert (entry.size, entry.device, entry.inode) == (10, 5, 77)
    assert registry.entries == (NAME,)
    registry.freed(NAME)
    registry.freed(NAME)
    assert ledger_of(registry).entries == {}
    assert registry.entries == ()


def test_closing_waits_for_the_last_segment(registry, directory):
    registry.intent(NAME, 10)
    registry.close()
    assert locked_by_another(registry.path)
    registry.freed(NAME)
    registry.close()
    registry.close()
    assert registry.path is None
    assert list(directory.iterdir()) == []


def test_it_can_be_used_again_after_closing(registry):
    for _ in range(3):
        registry.intent(NAME, 10)
        registry.freed(NAME)
        registry.close()
    registry.intent(NAME, 10)
    assert locked_by_another(registry.path)


def test_a_scan_that_meets_a_file_at_its_birth_does_no_harm(directory):
    prepare_directory(directory)
    ended = threading.Event()

    def scan():
        while not ended.is_set():
            scan_zombies(directory)

    threads = [threading.Thread(target=scan) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(150):
            registry = MemoryRegistry(directory=directory, scan=False)
            registry.intent(NAME, 10)
            assert set(ledger_of(registry).entries) == {NAME}
            assert locked_by_another(registry.path)
            registry.freed(NAME)
            registry.close()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert list(directory.iterdir()) == []


def test_a_long_file_is_compacted_and_stays_locked(registry, directory):
    registry.intent("theus_kept", 10)
    registry.made("theus_kept", 5, 77)
    for index in range(1000):
        registry.intent(f"theus_{index}", 10)
        registry.freed(f"theus_{index}")
    assert len(registry.path.read_bytes().splitlines()) < 1100
    assert locked_by_another(registry.path)
    assert list(directory.iterdir()) == [registry.path]
    found = ledger_of(registry)
    assert found.identity == current_identity()
    assert set(found.entries) == {"theus_kept"}
    assert found.entries["theus_kept"].inode == 77
    assert found.bad_lines == 0


def test_a_file_that_cannot_be_written_is_an_error_and_goes_on_later(directory):
    done = run_isolated(
        """
        import resource, sys
        from theus.errors import HeavyZoneError
        from theus.heavy import MemoryRegistry, scan_zombies
        from theus.heavy.records import read_ledger
        registry = MemoryRegistry(directory=sys.argv[1])
        registry.intent("theus_first", 1)
        soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (registry.path.stat().st_size + 20, -1))
        try:
            registry.intent("theus_refused", 1)
        except HeavyZoneError as error:
            print("cannot be written" in str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, -1))
        registry.intent("theus_later", 1)
        found = read_ledger(registry.path.read_bytes())
        print(sorted(found.entries), found.bad_lines, registry.entries)
        """,
        arguments=[str(directory)],
    )
    assert done.stdout.splitlines() == [
        "True",
        "['theus_first', 'theus_later'] 1 ('theus_first', 'theus_later')",
    ]


@pytest.mark.parametrize("session", ["a:b", "", "x/y"])
def test_sessions_are_checked(session):
    with pytest.raises(ValueError, match="session"):
        MemoryRegistry(session)


# --- the directory ------------------------------------------------------------------------


def test_a_symbolic_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(HeavyZoneError, match=r"symbolic link.*THEUS_REGISTRY"):
        prepare_directory(tmp_path / "link")


def test_a_directory_that_others_may_write_is_refused(tmp_path):
    tmp_path.chmod(0o770)
    with pytest.raises(HeavyZoneError, match="others may write"):
        prepare_directory(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path):
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(HeavyZoneError, match="user 12345"):
        prepare_directory(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(HeavyZoneError, match="registry directory"):
            prepare_directory(path)


def test_missing_parents_are_made(tmp_path):
    made = prepare_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_the_default_is_private_and_not_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = default_directory()
    assert found in (
        tmp_path / f"theus-{os.geteuid()}",
        prepare_directory(f"/run/user/{os.geteuid()}/theus") if found.parent != tmp_path else None,
    )
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_a_read_only_working_directory_and_no_home_do_not_matter(tmp_path):
    done = run_isolated(
        """
        import os
        from theus.heavy import HeavyZoneAllocator
        os.environ.pop("HOME", None)
        with HeavyZoneAllocator() as zone:
            zone.put("x", [1.0])
            print(zone.registry.path is not None, os.listdir("."))
        """,
        cwd="/proc/self",
        env={"TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.stdout.startswith("True")
    assert done.stderr == ""


# --- lines --------------------------------------------------------------------------------

OWNER = encode_line({"op": "owner", "format": 1, **current_identity().to_dict()})
MADE = encode_line({"op": "made", "name": NAME, "size": 1, "device": 2, "inode": 3})


@given(st.binary(max_size=200), st.integers(0, 3))
def test_junk_never_stops_reading(junk, where):
    lines = [OWNER, MADE]
    lines.insert(min(where, 2), junk + b"\n")
    found = read_ledger(b"".join(lines))
    assert found.identity is not None
    assert set(found.entries) == {NAME}


@given(st.integers(0, len(OWNER + MADE) - 1))
def test_a_torn_end_loses_at_most_the_last_line(length):
    found = read_ledger((OWNER + MADE)[:length])
    assert found.bad_lines <= 1
    assert (found.identity is not None) == (length >= len(OWNER) - 1)
    assert (NAME in found.entries) == (length == len(OWNER + MADE) - 1)


@given(st.integers(0, len(MADE) - 2), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place, change):
    damaged = bytearray(MADE)
    damaged[place] ^= change
    found = read_ledger(OWNER + bytes(damaged))
    same = found.entries.get(NAME)
    assert found.bad_lines >= 1 or (same is not None and (same.device, same.inode) == (2, 3))


@pytest.mark.parametrize(
    "record",
    [
        {"op": "made", "name": NAME, "size": 1, "device": 2},
        {"op": "made", "name": NAME, "size": 1, "device": "2", "inode": 3},
        {"op": "made", "size": 1, "device": 2, "inode": 3},
        {"op": "made", "name": "../x", "size": 1, "device": 2, "inode": 3},
        {"op": "made", "name": 5, "size": 1, "device": 2, "inode": 3},
        {"op": "intent", "name": NAME, "size": 1},
        {"op": "unheard of", "name": NAME},
        {"name": NAME},
        {},
    ],
    ids=str,
)
def test_records_with_missing_or_wrong_fields_are_counted(record):
    found = read_ledger(OWNER + encode_line(record))
    assert (found.entries, found.bad_lines) == ({}, 1)


def test_a_line_that_is_no_record_is_counted():
    assert read_ledger(b"[1,2]\n3\nnull\n\n" + b"[" * 100_000).bad_lines == 4
