"""Whole programs with a pool: how they end, whatever happens to them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.isolated import clean_environment

WAIT = 60

HEAD = """
import os, sys, time, threading
from pathlib import Path
from theus.parallel import ProcessPool

def double(value):
    return value * 2

def pid():
    return os.getpid()

def nap(mark):
    Path(mark).write_text(str(os.getpid()))
    time.sleep(600)

def compute(mark):
    Path(mark).write_text(str(os.getpid()))
    return pow(3, 10**10)

class Thing:
    def __init__(self, value):
        self.value = value

def thing(value):
    return Thing(value)

"""


@pytest.fixture
def program(tmp_path):
    """Write a script and start it; ends what the test leaves running."""
    started = []

    def start(body, *arguments, head=HEAD):
        script = tmp_path / "program.py"
        script.write_text(head + body)
        process = subprocess.Popen(
            [sys.executable, script, *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def text_of(path):
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(f"{path.name} was not written")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids):
    deadline = time.monotonic() + WAIT
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left == []


def ends(process, code=0):
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == code, err
    return out, err


def test_functions_and_classes_of_a_script(program):
    out, err = ends(
        program("""
if __name__ == "__main__":
    with ProcessPool(2) as pool:
        print([pool.submit(double, one).result() for one in range(3)])
        print(type(pool.submit(thing, 5).result()) is Thing)
""")
    )
    assert out == "[0, 2, 4]\nTrue\n"
    assert err == ""


def test_what_a_task_prints_is_printed(program):
    out, err = ends(
        program("""
def say(text):
    print("out", text)
    print("err", text, file=sys.stderr)

if __name__ == "__main__":
    with ProcessPool(1) as pool:
        for text in ("one", "two"):
            pool.submit(say, text).result()
        os.write(1, b"after\\n")
""")
    )
    assert out == "out one\nout two\nafter\n"
    assert err == "err one\nerr two\n"


def test_much_standard_error_is_passed_on_whole(program):
    out, err = ends(
        program("""
def complain(count):
    for number in range(count):
        sys.stderr.write(f"line {number} {'x' * 100}\\n")

if __name__ == "__main__":
    with ProcessPool(2) as pool:
        for future in [pool.submit(complain, 3000) for _ in range(2)]:
            future.result()
""")
    )
    lines = err.splitlines()
    assert len(lines) == 6000
    assert out == ""


def test_what_a_worker_left_waits_for_the_reader_of_standard_error(program, tmp_path):
    """The pipe is full when the workers of both attempts die: what they wrote is passed on once
    somebody reads."""
    process = program(
        """
def leave():
    os.write(2, b"y" * 30_000)
    os._exit(1)

if __name__ == "__main__":
    with ProcessPool(1) as pool:
        pool.submit(pid).result()
        os.set_blocking(2, False)
        try:
            while True:
                os.write(2, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(2, True)
        print(type(pool.submit(leave).exception()).__name__, flush=True)
        while not Path(sys.argv[1]).exists():
            time.sleep(0.01)
""",
        tmp_path / "read",
    )
    assert process.stdout.readline() == "WorkerDiedError\n"
    text = b""
    while text.count(b"y") < 2 * 30_000:
        assert select.select([process.stderr], [], [], WAIT)[0], len(text)
        piece = os.read(process.stderr.fileno(), 65536)
        assert piece, len(text)
        text += piece
    (tmp_path / "read").touch()
    assert ends(process) == ("", "")


def test_a_program_that_does_not_read_its_standard_error_stops_only_the_writer(program, tmp_path):
    """Nobody reads the pipe: the worker that writes waits, the rest of the pool works on."""
    process = program(
        """
def complain(mark):
    Path(mark).touch()
    os.write(2, b"x" * (1 << 20))

if __name__ == "__main__":
    with ProcessPool(2) as pool:
        writer = pool.submit(complain, sys.argv[1])
        while not Path(sys.argv[1]).exists():
            time.sleep(0.01)
        print(sum(pool.submit(double, one).result(30) for one in range(200)), flush=True)
        print(writer.done(), flush=True)
        writer.result()
""",
        tmp_path / "mark",
    )
    assert process.stdout.readline() == "39800\n"
    assert process.stdout.readline() == "False\n"
    _, err = ends(process)
    assert len(err) == 1 << 20


def test_a_function_of_a_program_that_is_no_file_is_refused():
    code = """
from theus.parallel import ProcessPool
def f(): return 1
if __name__ == "__main__":
    with ProcessPool(1) as pool:
        try:
            pool.submit(f)
        except TypeError as error:
            print(error)
        import math
        print(pool.submit(math.sqrt, 4).result())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=WAIT,
    )
    assert "Cannot send the function __main__.f to a worker: the main program is no file" in (
        done.stdout
    )
    assert done.stdout.endswith("2.0\n")
    assert done.stderr == ""


def test_a_function_that_workers_do_not_define_is_named(program):
    out, _ = ends(
        program("""
if __name__ == "__main__":
    def late():
        return 1
    with ProcessPool(1) as pool:
        print(pool.submit(late).exception())
""")
    )
    assert "Cannot find the function __main__.late in the worker" in out
    assert 'if __name__ == "__main__":' in out


def test_a_script_without_its_guard_fails_with_a_reason(program):
    process = program("""
with ProcessPool(1, spare=0) as pool:
    print(pool.submit(double, 1).result())
""")
    out, err = ends(process, 1)
    assert out == ""
    assert "could not be started" in err
    assert "before it was ready" in err


@pytest.mark.parametrize("task", ["nap", "compute", None])
def test_the_parent_killed_leaves_no_workers(program, tmp_path, task):
    mark, pids = tmp_path / "mark", tmp_path / "pids"
    process = program(
        """
if __name__ == "__main__":
    pool = ProcessPool(2, spare=1)
    pool.start(wait=True)
    while len(pool.pids()) < 3:
        time.sleep(0.01)
    task = sys.argv[1]
    if task != "None":
        pool.submit(globals()[task], sys.argv[2])
        while not Path(sys.argv[2]).exists():
            time.sleep(0.01)
    Path(sys.argv[3] + ".new").write_text(" ".join(map(str, pool.pids())))
    os.rename(sys.argv[3] + ".new", sys.argv[3])
    time.sleep(600)
""",
        task,
        mark,
        pids,
    )
    workers = [int(pid) for pid in text_of(pids).split()]
    assert len(workers) == 3
    assert all(alive(pid) for pid in workers)
    process.kill()
    assert gone(workers)


def test_the_parent_killed_while_workers_start_leaves_none(program, tmp_path):
    process = program(
        """
if __name__ == "__main__":
    ProcessPool(3, spare=0).start()
    Path(sys.argv[1]).write_text("started")
    time.sleep(600)
""",
        tmp_path / "mark",
    )
    text_of(tmp_path / "mark")
    process.kill()
    assert nobody_left(process.pid)


def nobody_left(group):
    """Whether the processes of a group, helpers of multiprocessing included, all end."""
    deadline = time.monotonic() + WAIT
    while (left := members(group)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left == []


def members(group):
    """Living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("pass", 0),
        ("sys.exit(5)", 5),
        ("raise ValueError('the end')", 1),
        ("threading.Thread(target=lambda: (time.sleep(0.2), print(future.result()))).start()", 0),
        ("del pool", 0),
        ("os._exit(4)", 4),
    ],
)
def test_a_program_may_end_without_closing_its_pool(program, end, code):
    process = program(f"""
if __name__ == "__main__":
    pool = ProcessPool(2)
    future = pool.submit(double, 2)
    future.result()
    pool.submit(double, 3)
    {end}
""")
    out, err = ends(process, code)
    assert nobody_left(process.pid)
    assert out == ("4\n" if "Thread" in end else "")
    assert err.count("Traceback") == ("ValueError" in end)


def test_a_program_may_end_while_tasks_run(program, tmp_path):
    process = program(
        """
if __name__ == "__main__":
    pool = ProcessPool(1, grace=0.2)
    pool.submit(compute, sys.argv[1])
    while not Path(sys.argv[1]).exists():
        time.sleep(0.01)
""",
        tmp_path / "mark",
    )
    out, err = ends(process)
    assert (out, err) == ("", "")
    assert nobody_left(process.pid)


def test_control_c_interrupts_the_parent_once(program, tmp_path):
    process = program(
        """
if __name__ == "__main__":
    pool = ProcessPool(2)
    with pool:
        pool.submit(nap, sys.argv[1])
        futures = [pool.submit(time.sleep, 0.01) for _ in range(100000)]
""",
        tmp_path / "mark",
    )
    text_of(tmp_path / "mark")
    os.killpg(process.pid, signal.SIGINT)
    _, err = ends(process, -signal.SIGINT)
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert nobody_left(process.pid)


def test_control_c_during_a_map_ends_it_once(program, tmp_path):
    process = program(
        """
if __name__ == "__main__":
    with ProcessPool(2) as pool:
        for _ in pool.map(nap, [sys.argv[1]] * 4, chunk=1):
            pass
""",
        tmp_path / "mark",
    )
    text_of(tmp_path / "mark")
    os.killpg(process.pid, signal.SIGINT)
    _, err = ends(process, -signal.SIGINT)
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert nobody_left(process.pid)


def test_control_c_while_workers_start_shows_no_traceback_of_theirs(program, tmp_path):
    process = program(
        """
if __name__ == "__main__":
    with ProcessPool(3) as pool:
        pool.start()
        Path(sys.argv[1]).write_text("started")
        while True:  # one long sleep may miss a signal that comes just before it
            time.sleep(0.01)
""",
        tmp_path / "mark",
    )
    text_of(tmp_path / "mark")
    os.killpg(process.pid, signal.SIGINT)
    _, err = ends(process, -signal.SIGINT)
    assert err.count("Traceback") == 1
    assert nobody_left(process.pid)


def test_a_fork_of_the_parent_takes_nothing_with_it(program, tmp_path):
    """The copy can neither use nor end the pool, and does not keep its workers alive."""
    process = program(
        """
if __name__ == "__main__":
    import warnings
    warnings.simplefilter("ignore")
    pool = ProcessPool(1, spare=0)
    worker = pool.submit(pid).result()
    if os.fork() == 0:
        try:
            pool.submit(double, 1)
        except RuntimeError as error:
            print("copy:", error, flush=True)
        pool.shutdown()
        del pool
        sys.exit(0)
    os.wait()
    print("parent:", pool.submit(pid).result() == worker, flush=True)
    if os.fork() == 0:
        Path(sys.argv[1]).write_text(str(worker))
        time.sleep(600)
    time.sleep(600)
""",
        tmp_path / "mark",
    )
    assert "belongs to another process" in process.stdout.readline()
    assert process.stdout.readline() == "parent: True\n"
    worker = int(text_of(tmp_path / "mark"))
    process.kill()
    assert gone([worker])
    os.killpg(process.pid, signal.SIGKILL)
    assert process.stderr.read() == ""


def test_a_worker_that_leaves_a_pool_open_ends_all_the_same(program):
    process = program("""
def nested():
    global kept
    kept = ProcessPool(1, spare=0)
    return kept.submit(pid).result()

if __name__ == "__main__":
    with ProcessPool(1, spare=0, grace=30.0) as pool:
        inner = pool.submit(nested).result()
        outer = pool.submit(pid).result()
        began = time.monotonic()
    print(inner != outer, time.monotonic() - began < 25)
""")
    out, err = ends(process)
    assert out == "True True\n"
    assert err == ""
    assert nobody_left(process.pid)


def test_a_thread_left_in_a_worker_does_not_keep_it(program):
    process = program("""
def leave_a_thread():
    threading.Thread(target=time.sleep, args=(600,)).start()

if __name__ == "__main__":
    with ProcessPool(1, spare=0, grace=0.2) as pool:
        pool.submit(leave_a_thread).result()
""")
    assert ends(process) == ("", "")
    assert nobody_left(process.pid)
