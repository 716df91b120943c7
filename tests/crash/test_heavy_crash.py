"""The heavy zone under kills, forks, signals and full file systems: nothing stays, nothing else
goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.isolated import clean_environment, run_isolated
from tests.unit.heavy.helpers import names_of
from tests.unit.heavy.owners import SETUP, LivingOwner
from theus.heavy import HeavyZoneAllocator, MemoryRegistry, scan_zombies
from theus.heavy.names import new_session
from theus.heavy.opening import probe


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "registry"


# --- kills --------------------------------------------------------------------------------

KILLS = """
import os, random, signal, sys, time
import numpy as np
from theus.heavy import HeavyZoneAllocator, MemoryRegistry, scan_zombies

directory, rounds = sys.argv[1], int(sys.argv[2])
random.seed(int(sys.argv[3]))

def work(session):
    registry = MemoryRegistry(session, directory)
    zone = HeavyZoneAllocator(registry=registry, capacity_bytes=8 << 20)
    while True:
        key = f"k{random.randrange(6)}"
        if key in zone and random.random() < 0.4:
            zone.free(key)
        elif random.random() < 0.02:
            zone.cleanup()
        else:
            zone.put(key, np.full(random.randrange(1, 20_000), 7, "u1"))

living = HeavyZoneAllocator(registry=MemoryRegistry(directory=directory))
array = living.put("living", np.arange(1000))
reclaimed = 0
for number in range(rounds):
    session = os.urandom(8).hex()
    child = os.fork()
    if not child:
        random.seed(number)
        work(session)
    time.sleep(random.random() * 0.015)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    report = scan_zombies(directory)
    reclaimed += len(report.reclaimed)
    left = [name for name in os.listdir("/dev/shm") if session in name]
    files = os.listdir(directory)
    assert left == [] and len(files) == 1, (left, files, report)
    assert report.alive == 1 and not report.mismatched and not report.kept, report
assert os.path.exists("/dev/shm/" + array.shm.name) and array.sum() == 499500
living.cleanup()
print(reclaimed, os.listdir(directory))
"""


def test_kills_at_any_moment_leave_nothing_and_touch_nothing_alive(directory):
    done = run_isolated(KILLS, arguments=[str(directory), "60", "1"], warnings="ignore")
    reclaimed, files = done.stdout.split()
    assert int(reclaimed) > 0
    assert files == "[]"
    assert done.stderr == ""


MANY = """
import os, signal, sys, random
import numpy as np
from theus.heavy import HeavyZoneAllocator, MemoryRegistry, scan_zombies

directory, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
for number in range(25):
    zone = HeavyZoneAllocator(registry=MemoryRegistry(directory=directory))
    arrays = [zone.put(f"k{i}", np.full(100, i)) for i in range(random.randrange(1, 5))]
    report = scan_zombies(directory)
    assert report.bad_lines == 0 and not report.mismatched, report
    for i, array in enumerate(arrays):
        assert os.path.exists("/dev/shm/" + array.shm.name)
        assert (array == i).all()
    zone.cleanup()
zone = HeavyZoneAllocator(registry=MemoryRegistry(directory=directory))
zone.alloc("left", 10)
print(zone.session, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_owners_that_start_scan_and_end_at_once_do_not_harm_each_other(directory):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(directory), str(seed)],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(6)
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert [
        (process.returncode, err) for process, (_, err) in zip(started, ended, strict=True)
    ] == [(-signal.SIGKILL, "")] * 6
    scan_zombies(directory)
    assert [names_of(out.strip()) for out, _ in ended] == [set()] * 6
    assert list(directory.iterdir()) == []


# --- forks --------------------------------------------------------------------------------


def test_a_forked_child_owns_nothing(directory):
    done = run_isolated(
        """
        import os, sys
        import numpy as np
        from theus.errors import HeavyZoneError
        from theus.heavy import HeavyZoneAllocator, MemoryRegistry, attach_array
        zone = HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1]))
        array = zone.put("x", np.arange(10.0))
        name = array.shm.name

        def child(end):
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0 or end == "raise", end
                assert os.path.exists("/dev/shm/" + name), end
                assert zone.get("x") is array
                return
            for call in (lambda: zone.alloc("y", 1), lambda: zone.put("y", [1]),
                         lambda: zone.free("x")):
                try:
                    call()
                except HeavyZoneError as error:
                    assert f"process {os.getppid()}" in str(error)
                else:
                    os._exit(7)
            try:
                array.shm.unlink()
                os._exit(8)
            except PermissionError:
                pass
            zone.cleanup()
            view = zone.get("x")
            assert view.tolist() == list(range(10)) and not view.flags.writeable
            with HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1])) as own:
                assert own.put("mine", [1.0]).shm.name != name
            if end == "_exit":
                os._exit(0)
            if end == "raise":
                sys.excepthook = lambda *_: None
                raise RuntimeError
            sys.exit(0)

        for end in ("exit", "_exit", "raise"):
            child(end)
        zone.alloc("z", 3)
        zone.cleanup()
        print(sorted(os.listdir(sys.argv[1])), os.path.exists("/dev/shm/" + name))
        """,
        arguments=[str(directory)],
        warnings="ignore",
    )
    assert done.stdout.strip() == "[] False"
    assert done.stderr == ""


def test_a_forked_child_that_lives_does_not_keep_a_dead_owner_alive(directory):
    code = """
import warnings
warnings.simplefilter("ignore")
zone.alloc("x", 100)
there, here = os.pipe()
if not os.fork():
    os.write(here, b"!")
    signal.pause()
    os._exit(0)
os.read(there, 1)
"""
    with LivingOwner(directory, code) as owner:
        pid = owner.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert scan_zombies(directory).alive == 1
        owner.process.kill()
        owner.process.wait()
        try:
            report = scan_zombies(directory)
            assert os.path.exists(f"/proc/{child}")
            assert len(report.reclaimed) == 1
        finally:
            os.kill(int(child), signal.SIGKILL)
    assert names_of(owner.session) == set()


def test_multiprocessing_by_fork_shares_and_leaves_no_warning(directory):
    done = run_isolated(
        """
        import multiprocessing, sys
        import numpy as np
        from theus.heavy import HeavyZoneAllocator, MemoryRegistry

        def total(array):
            try:
                array[0] = 1
            except ValueError:
                return float(array.sum())

        if __name__ == "__main__":
            with HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1])) as zone:
                array = zone.put("x", np.arange(100.0))
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    print(pool.map(total, [array, array[::2]]), array[0])
        """,
        arguments=[str(directory)],
        warnings="ignore",
    )
    assert done.stdout.strip() == "[4950.0, 2450.0] 0.0"
    assert done.stderr == ""


# --- ways to end --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("sys.exit(0)", 0),
        ("pass", 0),
        ("raise KeyError", 1),
        ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
        ("import threading; t = threading.Thread(target=sys.exit); t.start(); t.join()", 0),
    ],
)
def test_an_ordinary_end_leaves_nothing(directory, end, code):
    session = new_session()
    program = f"{SETUP}\narray = zone.alloc('x', 1000)\nkeep = array[3:]\n{end}\n"
    done = run_isolated(program, arguments=[session, str(directory)], check=False)
    assert done.returncode == code
    assert "tracker" not in done.stderr
    assert names_of(session) == set()
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGTERM)", "os._exit(3)", "os.abort()"]
)
def test_a_sudden_end_leaves_nothing_after_the_next_start(directory, end):
    session = new_session()
    run_isolated(
        f"{SETUP}\nzone.alloc('x', 1000)\n{end}\n",
        arguments=[session, str(directory)],
        check=False,
    )
    assert len(names_of(session)) == 1
    with HeavyZoneAllocator(registry=MemoryRegistry(directory=directory)) as zone:
        zone.alloc("x", 1)
    assert names_of(session) == set()


# --- strangers ----------------------------------------------------------------------------


def test_a_foreign_program_that_attaches_and_ends_takes_nothing_away(directory):
    with HeavyZoneAllocator(registry=MemoryRegistry(directory=directory)) as zone:
        array = zone.put("x", [1.0, 2.0, 3.0])
        run_isolated(
            """
            import sys
            from multiprocessing.shared_memory import SharedMemory
            segment = SharedMemory(sys.argv[1])
            assert segment.buf[7] == 63
            segment.close()
            """,
            arguments=[array.shm.name],
            check=False,  # its own tracker may complain; that is its business
        )
        assert probe(array.shm.name) is not None
        assert array.sum() == 6


def test_a_name_that_a_stranger_took_away_harms_nobody_who_has_it(directory):
    with HeavyZoneAllocator(registry=MemoryRegistry(directory=directory)) as zone:
        array = zone.put("x", [1.0, 2.0, 3.0])
        os.unlink(f"/dev/shm/{array.shm.name}")
        assert array.sum() == 6
        assert zone.get("x")[1] == 2
        zone.free("x")
        assert zone.put("x", [4.0])[0] == 4


# --- full ---------------------------------------------------------------------------------


def with_shm_of(size: str, program: str, directory: Path) -> list[str]:
    """Run a program with a shared-memory file system of its own; return what it printed."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs a mount of its own")
    mount = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-c", program, str(directory)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount allowed here: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_full_file_system_is_an_error_and_no_crash(directory):
    program = """
import os, sys
import numpy as np
from theus.errors import HeavyZoneFullError
from theus.heavy import HeavyZoneAllocator, MemoryRegistry
with HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1])) as zone:
    zone.put("half", np.ones(600_000, "u1"))
    try:
        zone.put("more", np.ones(600_000, "u1"))
    except HeavyZoneFullError as error:
        print(error.asked, 0 < error.free < 600_000, len(os.listdir("/dev/shm")), list(zone))
    zone.free("half")
    print(int(zone.put("more", np.ones(600_000, "u1")).sum()))
"""
    found = with_shm_of("1m", program, directory)
    assert found == ["600000 True 1 ['half']", "600000"]


def test_more_than_the_machine_has_is_refused_before_it_hurts(directory):
    program = """
import os, resource, sys
from theus.errors import HeavyZoneFullError
from theus.heavy import HeavyZoneAllocator, MemoryRegistry
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # whatever happens
registry = MemoryRegistry(directory=sys.argv[1])
with HeavyZoneAllocator(registry=registry, capacity_bytes=1 << 60) as zone:
    try:
        zone.alloc("x", 1 << 46, "u1")
    except HeavyZoneFullError as error:
        room = os.statvfs("/dev/shm")
        print(error.free < room.f_bavail * room.f_frsize, "memory" in str(error), list(zone))
        print(os.listdir("/dev/shm"), registry.entries)
"""
    assert with_shm_of("100t", program, directory) == ["True True []", "[] ()"]


def test_a_registry_that_fills_up_between_intent_and_record_leaves_nothing(directory):
    done = run_isolated(
        """
        import os, resource, sys
        from theus.errors import HeavyZoneError
        from theus.heavy import HeavyZoneAllocator, MemoryRegistry
        with HeavyZoneAllocator(registry=MemoryRegistry(directory=sys.argv[1])) as zone:
            zone.alloc("a", 1)
            path = zone.registry.path
            intent = len(path.read_bytes().splitlines(keepends=True)[1])
            limit = path.stat().st_size + intent + 5
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                zone.alloc("b", 1)
            except HeavyZoneError as error:
                print("cannot be written" in str(error))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            print(list(zone), sum(zone.session in name for name in os.listdir("/dev/shm")))
            print(zone.put("b", [3.0]), zone.stats().used // 4096)
        print(os.listdir(sys.argv[1]))
        """,
        arguments=[str(directory)],
    )
    assert done.stdout.splitlines() == ["True", "['a'] 1", "[3.] 2", "[]"]
    assert done.stderr == ""
