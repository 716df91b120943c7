"""Arrays that have no room in shared memory: in files, where that was asked for."""

from __future__ import annotations

import gc
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest

from tests.unit.heavy.helpers import names_of
from tests.unit.heavy.owners import Forge
from tests.unit.heavy.test_processes import read_cell
from theus import TheusEngine
from theus.errors import HeavyGoneError, HeavyZoneError, HeavyZoneFullError
from theus.heavy import HeavyZoneAllocator, MemoryRegistry, scan_zombies
from theus.heavy.carrying import carrying
from theus.heavy.names import check_segment_name, file_name, file_of

MB = 1 << 20


@pytest.fixture
def spill(tmp_path):
    return tmp_path / "spill"


@pytest.fixture
def zone(directory, spill):
    registry = MemoryRegistry(directory=str(directory), scan=False)
    with HeavyZoneAllocator(registry=registry, capacity_bytes=MB, spill_dir=spill) as made:
        yield made


def files(spill: Path) -> list[Path]:
    return sorted(spill.iterdir())


def test_what_has_no_room_lies_in_a_file_and_is_the_same(zone, spill, echo):
    small = zone.put("small", np.arange(10.0))
    big = zone.put("big", np.arange(MB))
    assert files(spill) == [Path(file_of(big.shm.name))]
    found = files(spill)[0].stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_blocks * 512 >= 8 * MB  # reserved
    assert names_of(zone.session) == {small.shm.name}
    assert echo.call(read_cell, big[5:], 1) == 6
    assert pickle.loads(pickle.dumps(big)).shm.name == big.shm.name
    stats = zone.stats()
    assert (stats.spilled, stats.used) == (8 * MB, 4096)
    zone.free("big")
    assert files(spill) == []
    assert big[-1] == MB - 1
    assert zone.stats().spilled == 0
    assert zone.stats().lingering == 0


def test_leases_spill_too(zone, spill, echo):
    lease = zone.lease(MB, key="x")
    lease.array[:] = 3
    kept = lease.array[5:]
    sealed = lease.seal()
    kept[:] = 9  # detached, in a file as well
    assert len(files(spill)) == 1
    with carrying():
        assert echo.call(read_cell, sealed, 7) == 3
    assert sealed[7] == 3
    del lease, sealed, kept
    gc.collect()
    assert zone.trim() > 8 * MB
    assert files(spill) == []


def test_everything_goes_with_the_zone(zone, spill):
    zone.put("a", np.zeros(MB))
    zone.lease(MB).array[:] = 1
    assert len(files(spill)) == 2
    zone.cleanup()
    assert files(spill) == []
    assert zone.stats().spilled == 0


def test_a_killed_owner_leaves_nothing_after_the_next_scan(directory, spill):
    code = (
        "zone = HeavyZoneAllocator(registry=registry, capacity_bytes=0,"
        f" spill_dir={str(spill)!r})\n"
        "zone.alloc('a', 1000)\nzone.alloc('b', 1000)\ndie()"
    )
    with Forge() as forge:
        forge.killed(directory, code)
    assert len(files(spill)) == 2
    (spill / "th00000000_000000000000").write_text("of somebody else")
    report = scan_zombies(directory)
    assert len(report.reclaimed) == 2
    assert [one.name for one in files(spill)] == ["th00000000_000000000000"]


@pytest.mark.parametrize(
    "name",
    [
        "file:/etc/passwd",
        "file:relative/th00000000_000000000000",
        "file:/tmp/../tmp/th00000000_000000000000",
        "file:/tmp//th00000000_000000000000",
        "file:/tmp/th00000000_00000000000",
        "file:/tmp/\0/th00000000_000000000000",
        "file:/",
    ],
)
def test_a_passport_leads_to_no_other_file(name):
    assert file_of(name) is None
    with pytest.raises(ValueError, match="not the name of a segment"):
        check_segment_name(name)


def test_a_link_is_not_followed(zone, spill, echo):
    big = zone.put("big", np.zeros(MB))
    path = Path(file_of(big.shm.name))
    moved = path.with_name("moved")
    path.rename(moved)
    path.symlink_to(moved)
    with pytest.raises((HeavyZoneError, OSError)):
        echo.call(read_cell, big, 0)
    path.unlink()
    with pytest.raises(HeavyGoneError):
        echo.call(read_cell, big, 0)


def test_names_are_made_of_a_directory_and_a_short_name():
    name = file_name("s", "/var/tmp")
    assert file_of(name).startswith("/var/tmp/th")
    assert check_segment_name(name) == name


def test_a_directory_that_cannot_be_used_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HeavyZoneError, match="spill directory"):
        HeavyZoneAllocator(spill_dir=tmp_path / "file" / "below")


def test_without_a_directory_no_room_is_an_error(directory):
    registry = MemoryRegistry(directory=str(directory))
    with HeavyZoneAllocator(registry=registry, capacity_bytes=MB) as zone:
        with pytest.raises(HeavyZoneFullError):
            zone.alloc("big", MB)


def test_the_engine_takes_the_directory_as_an_option(tmp_path):
    with TheusEngine({"domain": {}}, heap_mb=1, spill_dir=str(tmp_path / "s")) as engine:
        engine.heavy.alloc("big", MB)
        assert engine.heavy.stats().spilled == 8 * MB
    assert os.listdir(tmp_path / "s") == []
