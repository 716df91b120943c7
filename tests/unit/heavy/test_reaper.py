"""scan_zombies: what the dead left goes, what the living own stays."""

from __future__ import annotations

import os
import time

import pytest

from tests.unit.heavy.helpers import names_of
from tests.unit.heavy.owners import LivingOwner, only_file, rewrite
from theus.errors import HeavyZoneError
from theus.heavy import HeavyZoneAllocator, MemoryRegistry, scan_zombies
from theus.heavy.identity import current_identity
from theus.heavy.names import new_session
from theus.heavy.opening import probe, remove
from theus.heavy.reaper import ScanReport, _try_lock
from theus.heavy.records import encode_line
from theus.heavy.segment import Segment

KILLED = "for i in range(5): zone.alloc(f'k{i}', 1000)\ndie()"


@pytest.fixture
def dead(directory, forge):
    """The session of an owner that was killed with five arrays."""
    session = forge.killed(directory, KILLED)
    yield session
    for name in names_of(session):
        remove(name)


def test_an_empty_directory_is_fine(directory):
    report = scan_zombies(directory)
    assert (report.reclaimed, report.bytes, report.alive, report.bad_lines) == ([], 0, 0, 0)


def test_what_a_killed_owner_left_is_reclaimed(directory, dead):
    left = names_of(dead)
    assert len(left) == 5
    report = scan_zombies(directory)
    assert set(report.reclaimed) == left
    assert report.bytes == 5 * 8000
    assert names_of(dead) == set()
    assert list(directory.iterdir()) == []
    assert scan_zombies(directory).reclaimed == []


def test_the_next_start_does_it_by_itself(directory, dead):
    with HeavyZoneAllocator(registry=MemoryRegistry(directory=directory)) as zone:
        zone.alloc("x", 1)
        assert len(zone.registry.report.reclaimed) == 5
        assert names_of(dead) == set()
        assert len(names_of(zone.session)) == 1


def test_a_registry_can_be_asked_to_scan(directory, dead):
    registry = MemoryRegistry(directory=directory, scan=False)
    assert len(registry.scan_zombies().reclaimed) == 5
    assert registry.report.bytes == 5 * 8000


def test_reclaiming_is_logged_and_nothing_is_printed(directory, dead, caplog, capfd):
    with caplog.at_level("INFO", "theus.heavy"):
        scan_zombies(directory)
    assert "reclaimed 5 segments (40000 bytes)" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_living_owner_is_left_alone(directory, dead, zone):
    mine = zone.alloc("x", 10)
    with LivingOwner(directory) as owner:
        report = scan_zombies(directory)
        assert len(names_of(owner.session)) == 1
        assert report.alive == 1 + (zone.registry.path is not None)
    assert probe(mine.shm.name) is not None
    assert names_of(owner.session) == set()


def test_a_reused_process_id_does_not_save_a_zombie(directory, dead):
    path = only_file(directory)
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))  # start times are told in ticks: not in the same one
    with LivingOwner(directory.with_name("elsewhere")) as stranger:
        rewrite(path, pid=stranger.process.pid)  # that id now belongs to another process
        assert len(scan_zombies(directory).reclaimed) == 5
        assert len(names_of(stranger.session)) == 1
    assert names_of(dead) == set()


def test_a_changed_start_time_is_proof_of_death(directory, dead):
    me = current_identity()
    rewrite(only_file(directory), pid=me.pid, start=me.start - 1)
    assert len(scan_zombies(directory).reclaimed) == 5


@pytest.mark.parametrize("start", ["same", "unknown"])
def test_without_proof_of_death_it_is_kept(directory, dead, start):
    me = current_identity()
    path = only_file(directory)
    rewrite(path, pid=me.pid, start=me.start if start == "same" else None)
    report = scan_zombies(directory)
    assert report.kept == [str(path)]
    assert len(names_of(dead)) == 5
    assert path.exists()


def test_an_owner_whose_lock_was_lost_is_judged_by_its_life(directory):
    lost = "zone.alloc('x', 10); os.closerange(3, 200)"
    with LivingOwner(directory, lost) as owner:
        report = scan_zombies(directory)
        assert report.kept == [str(only_file(directory))]
        assert len(names_of(owner.session)) == 1
        owner.process.kill()
        owner.process.wait()
    assert len(scan_zombies(directory).reclaimed) == 1


def test_an_owner_that_waits_for_its_parent_is_dead(directory):
    with LivingOwner(directory) as owner:
        owner.process.kill()
        deadline = time.monotonic() + 30
        while not (report := scan_zombies(directory)).reclaimed and time.monotonic() < deadline:
            time.sleep(0.001)
        assert owner.process.returncode is None
        assert len(report.reclaimed) == 1
    assert names_of(owner.session) == set()


def test_another_boot_is_proof_but_segments_must_still_match(directory, dead):
    path = only_file(directory)
    rewrite(path, boot="another", pid=os.getpid(), start=current_identity().start)
    lines = path.read_bytes().splitlines(keepends=True)
    name = next(iter(sorted(names_of(dead))))
    facts = probe(name)
    other = {"op": "made", "name": name, "size": 8000, "device": facts.device, "inode": 1}
    path.write_bytes(b"".join(lines) + encode_line(other))
    report = scan_zombies(directory)
    assert report.mismatched == [name]
    assert len(report.reclaimed) == 4
    assert names_of(dead) == {name}
    assert not path.exists()


def test_another_namespace_is_reported_and_kept(directory, dead):
    path = only_file(directory)
    rewrite(path, namespace=1)
    assert scan_zombies(directory).foreign == [str(path)]
    assert len(names_of(dead)) == 5


def test_a_newer_format_is_reported_and_kept(directory, dead):
    path = only_file(directory)
    rewrite(path, format=2)
    assert scan_zombies(directory).foreign == [str(path)]
    assert len(names_of(dead)) == 5


def test_a_name_that_has_a_new_segment_is_left_alone(directory, dead):
    name = next(iter(sorted(names_of(dead))))
    keeper = open(f"/dev/shm/{name}", "rb")  # noqa: SIM115 - keeps the inode from being reused
    remove(name)
    newer = Segment(name, 10)
    report = scan_zombies(directory)
    assert report.mismatched == [name]
    assert len(report.reclaimed) == 4
    assert probe(name) is not None
    keeper.close()
    newer.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_segment_that_became_another_users_is_left_alone(directory, dead):
    name = next(iter(sorted(names_of(dead))))
    os.chown(f"/dev/shm/{name}", 12345, -1)
    report = scan_zombies(directory)
    assert report.mismatched == [name]
    assert len(report.reclaimed) == 4


def test_segments_that_went_otherwise_are_no_trouble(directory, dead):
    name = next(iter(sorted(names_of(dead))))
    remove(name)
    report = scan_zombies(directory)
    assert report.gone == [name]
    assert len(report.reclaimed) == 4


@pytest.mark.parametrize("junk", [b"\xff\x00\n", b'{"op":"made","na', b"{}\n[]\n"])
def test_damaged_lines_are_skipped_and_counted(directory, dead, junk):
    path = only_file(directory)
    path.write_bytes(path.read_bytes() + junk)
    report = scan_zombies(directory)
    assert report.bad_lines == junk.count(b"\n") or report.bad_lines == 1
    assert len(report.reclaimed) == 5


def test_a_file_without_a_readable_owner_is_kept_if_it_records_segments(directory, dead):
    path = only_file(directory)
    path.write_bytes(b"torn" + path.read_bytes())
    report = scan_zombies(directory)
    assert report.kept == [str(path)]
    assert len(names_of(dead)) == 5


@pytest.mark.parametrize("newer", [True, False])
def test_a_file_that_was_replaced_since_it_was_opened_is_not_judged(tmp_path, newer):
    path = tmp_path / "0123456789abcdef.1.jsonl"
    path.touch()
    with open(path, "rb") as opened:
        assert _try_lock(opened.fileno(), path, ScanReport())
        path.unlink()
        if newer:
            path.touch()
        assert not _try_lock(opened.fileno(), path, ScanReport())


@pytest.mark.parametrize("content", [b"", b'{"op":"own'])
def test_a_file_torn_at_its_birth_goes(directory, content):
    directory.mkdir(mode=0o700)
    path = directory / "0123456789abcdef.99999.jsonl"
    path.write_bytes(content)
    scan_zombies(directory)
    assert not path.exists()


def test_an_unfinished_compaction_goes_with_its_owner(directory, dead):
    rest = only_file(directory).with_suffix(".fresh")
    rest.write_bytes(b"half")
    scan_zombies(directory)
    assert list(directory.iterdir()) == []


def test_strange_things_in_the_directory_are_left_alone(directory, dead):
    (directory / "a.jsonl").symlink_to("/etc/hostname")
    (directory / "dir.jsonl").mkdir()
    (directory / "notes.txt").write_text("mine")
    report = scan_zombies(directory)
    assert len(report.reclaimed) == 5
    assert sorted(report.foreign) == [str(directory / "a.jsonl"), str(directory / "dir.jsonl")]
    assert (directory / "notes.txt").read_text() == "mine"


# --- killed half-way ----------------------------------------------------------------------


def test_killed_after_the_intent_before_the_segment(directory, forge):
    session = forge.killed(directory, "registry.intent(f'theus:{session}:1:x', 10); die()")
    report = scan_zombies(directory)
    assert report.gone == [f"theus:{session}:1:x"]
    assert list(directory.iterdir()) == []


def test_killed_after_the_segment_before_its_record(directory, forge):
    session = forge.killed(directory, "registry.made = lambda *_: die()\nzone.alloc('x', 10)")
    assert len(names_of(session)) == 1
    assert len(scan_zombies(directory).reclaimed) == 1
    assert names_of(session) == set()


def test_killed_after_the_intent_for_a_name_that_a_stranger_has(directory, forge):
    session = new_session()
    name = f"theus:{session}:1:x"
    stranger = Segment(name, 10)
    time.sleep(0.1)
    forge.killed(directory, f"registry.intent({name!r}, 10); die()")
    report = scan_zombies(directory)
    assert report.mismatched == [name]
    assert probe(name) is not None
    stranger.unlink()


def test_killed_after_the_unlink_before_its_record(directory, forge):
    session = forge.killed(
        directory, "zone.alloc('x', 10)\nregistry.freed = lambda *_: die()\nzone.free('x')"
    )
    report = scan_zombies(directory)
    assert len(report.gone) == 1
    assert names_of(session) == set()


def test_the_directory_is_checked(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(HeavyZoneError, match="symbolic link"):
        scan_zombies(tmp_path / "link")


def test_a_thousand_dead_segments(directory, forge):
    code = "for i in range(1000): zone.alloc(f'k{i}', 1)\ndie()"
    code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))\n" + code
    session = forge.killed(directory, code)
    report = scan_zombies(directory)
    assert len(report.reclaimed) == 1000
    assert names_of(session) == set()
