"""Segments: reserved, private, without a tracker, valid as long as they are viewed."""

from __future__ import annotations

import gc
import os
import pickle
import secrets
import stat
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest

from tests.support.isolated import run_isolated
from tests.unit.heavy.helpers import SHM
from theus.errors import HeavyGoneError, HeavyZoneError
from theus.heavy.opening import probe, remove
from theus.heavy.segment import SafeSharedMemory, Segment


@pytest.fixture
def name():
    made = f"theus:{secrets.token_hex(8)}:{os.getpid()}:segment"
    yield made
    remove(made)


def test_it_is_a_shared_memory_with_the_same_fields(name):
    segment = Segment(name, 1000)
    assert isinstance(segment, SharedMemory)
    assert (segment.name, segment.size, len(segment.buf)) == (name, 1000, 1000)
    assert bytes(segment.buf) == bytes(1000)
    assert repr(segment) == f"Segment({name!r}, size=1000)"


def test_mode_is_private_and_pages_are_reserved(name):
    segment = Segment(name, 1 << 20)
    found = os.stat(SHM / name)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_blocks * 512 >= 1 << 20
    assert probe(name) == segment.facts or probe(name).inode == segment.facts.inode


def test_a_taken_name_is_left_to_who_has_it(name):
    first = Segment(name, 10)
    first.buf[0] = 7
    with pytest.raises(FileExistsError):
        Segment(name, 20)
    assert SafeSharedMemory(name).buf[0] == 7


def test_borrowers_read_and_can_never_write(name):
    segment = Segment(name, 80)
    borrowed = SafeSharedMemory(name)
    view = np.frombuffer(borrowed.buf, "f8")
    with pytest.raises(ValueError):
        view.flags.writeable = True
    with pytest.raises(TypeError):
        borrowed.buf[0] = 1
    np.frombuffer(segment.buf, "f8")[3] = 5
    assert view[3] == 5


def test_borrowers_cannot_unlink(name):
    segment = Segment(name, 8)
    for readonly in (True, False):
        with pytest.raises(PermissionError, match="owner"):
            SafeSharedMemory(name, readonly=readonly).unlink()
    assert probe(name) is not None
    segment.unlink()
    segment.unlink()
    assert probe(name) is None


def test_a_writable_borrower_writes_through(name):
    segment = Segment(name, 8)
    SafeSharedMemory(name, readonly=False).buf[1] = 9
    assert segment.buf[1] == 9


def test_a_borrower_does_not_create():
    with pytest.raises(ValueError, match="creates none"):
        SafeSharedMemory(None)
    with pytest.raises(ValueError, match="creates none"):
        SafeSharedMemory("theus_never", create=True, size=10)
    assert probe("theus_never") is None


def test_a_segment_that_is_gone_says_so():
    with pytest.raises(HeavyGoneError, match=r"'frame' \(generation 4\).*current state") as caught:
        SafeSharedMemory("theus:0123456789abcdef:1:frame:4")
    assert caught.value.key == "frame"


def test_views_outlive_close_and_unlink(name):
    segment = Segment(name, 800)
    borrowed = SafeSharedMemory(name)
    mine, theirs = np.frombuffer(segment.buf, "f8"), np.frombuffer(borrowed.buf, "f8")
    mine[:] = 3
    for one in (segment, borrowed):
        one.close()
        one.close()
    segment.unlink()
    del segment, borrowed
    gc.collect()
    assert mine.sum() == theirs.sum() == 300


def test_close_if_idle_waits_for_the_last_view(name):
    Segment(name, 800)
    borrowed = SafeSharedMemory(name)
    view = np.frombuffer(borrowed.buf, "f8")[10:20]
    assert not borrowed.close_if_idle()
    assert view.sum() == 0
    del view
    assert borrowed.close_if_idle()
    assert borrowed.buf is None


def test_pickling_gives_a_borrower(name):
    segment = Segment(name, 8)
    copy = pickle.loads(pickle.dumps(segment))
    assert type(copy) is SafeSharedMemory
    assert copy.name == name


def test_more_than_there_is_is_a_clear_error_and_leaves_nothing():
    done = run_isolated(
        """
        import os, resource
        from theus.errors import HeavyZoneFullError
        from theus.heavy.opening import probe
        from theus.heavy.segment import Segment
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # whatever happens
        room = os.statvfs("/dev/shm")
        asked = room.f_blocks * room.f_frsize + (1 << 30)
        name = f"theus:{os.urandom(8).hex()}:4:huge"
        try:
            Segment(name, asked)
        except HeavyZoneFullError as error:
            print(error.asked == asked, 0 < error.free < asked, isinstance(error, MemoryError))
            print(probe(name), error)
        """
    )
    first, second = done.stdout.splitlines()
    assert first == "True True True"
    assert second.startswith("None no shared memory for heavy array 'huge': ")
    assert "have no room for it" in second
    assert "remount" in second and "--shm-size" in second


def test_a_reservation_that_fails_half_way_leaves_nothing():
    done = run_isolated(
        """
        import os, resource
        from theus.errors import HeavyZoneFullError
        from theus.heavy.opening import probe
        from theus.heavy.segment import Segment
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, resource.RLIM_INFINITY))
        name = f"theus:{os.urandom(8).hex()}:1:limited"
        try:
            Segment(name, 30 << 20)
        except HeavyZoneFullError as error:
            print(error.asked, probe(name), type(error.__cause__).__name__)
        """
    )
    assert done.stdout.split() == [str(30 << 20), "None", "OSError"]
    assert done.stderr == ""


def test_signals_do_not_stop_a_reservation():
    done = run_isolated(
        """
        import os, signal
        from theus.heavy.segment import Segment
        ticks = []
        signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        segment = Segment(f"theus:{os.urandom(8).hex()}:2:ticked", 64 << 20)
        segment.unlink()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(len(segment.buf), bool(ticks))
        """
    )
    assert done.stdout.split() == [str(64 << 20), "True"]


def test_sizes_below_one_byte_are_refused(name):
    for size in (0, -1):
        with pytest.raises(ValueError, match="at least 1 byte"):
            Segment(name, size)
    assert probe(name) is None


def test_what_others_may_write_is_refused(name):
    Segment(name, 8)
    os.chmod(SHM / name, 0o622)
    with pytest.raises(HeavyZoneError, match="others may write"):
        SafeSharedMemory(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_segments_of_other_users_are_refused(name):
    Segment(name, 8)
    os.chown(SHM / name, 12345, 12345)
    with pytest.raises(HeavyZoneError, match="user 12345"):
        SafeSharedMemory(name)


def test_a_segment_that_is_too_small_is_refused(name):
    Segment(name, 8)
    with pytest.raises(HeavyZoneError, match="8 bytes and 16"):
        SafeSharedMemory(name, size=16)


def test_a_second_mapping_of_a_standard_segment_outlives_it():
    plain = SharedMemory(create=True, size=64)
    try:
        plain.buf[0] = 4
        over = SafeSharedMemory.over(plain)
        plain.close()
        over.buf[1] = 5
        assert bytes(over.buf[:2]) == b"\4\5"
        with pytest.raises(ValueError, match="closed"):
            SafeSharedMemory.over(plain)
    finally:
        plain.unlink()


def test_descriptors_per_segment(name):
    def opened():
        return len(os.listdir("/proc/self/fd"))

    Segment(name, 8)
    before = opened()
    borrowed = [SafeSharedMemory(name) for _ in range(20)]
    assert opened() - before <= 20
    for one in borrowed:
        one.close()
    assert opened() == before


def test_an_error_while_mapping_leaves_no_name():
    done = run_isolated(
        """
        import os, resource
        from theus.heavy.opening import probe
        from theus.heavy.segment import Segment
        from theus.errors import HeavyZoneFullError
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), resource.RLIM_INFINITY))
        name = f"theus:{os.urandom(8).hex()}:3:unmapped"
        try:
            Segment(name, 64 << 20)
        except HeavyZoneFullError as error:
            print(probe(name), "address space" in str(error))
        """
    )
    assert done.stdout.split() == ["None", "True"]
