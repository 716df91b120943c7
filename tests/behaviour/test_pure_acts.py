"""Promise: a PURE process does nothing to the outside world; what it tries has no effect."""

# ruff: noqa: SIM115

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dbm.dumb
import glob
import http.client
import importlib
import io
import mmap
import os
import pathlib
import runpy
import shelve
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.request
import webbrowser
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from theus import ContractViolationError, OutboxMsg, SemanticType, TheusEngine, process
from theus.errors import TheusError

Act = Callable[[Path, int], Any]
POSIX = os.name == "posix"

ACTS: dict[str, Act] = {
    "open to read": lambda d, _: open(d / "old").read(),
    "open to write": lambda d, _: open(d / "new", "w").write("x"),
    "open to append": lambda d, _: open(d / "old", "a").write("x"),
    "open by descriptor": lambda d, _: os.open(d / "new", os.O_CREAT | os.O_WRONLY),
    "io.open": lambda d, _: open(d / "new", "wb"),
    "io.open_code": lambda d, _: io.open_code(str(d / "old")),
    "io.FileIO": lambda d, _: io.FileIO(d / "new", "w"),
    "Path.read_text": lambda d, _: (d / "old").read_text(),
    "Path.write_text": lambda d, _: (d / "new").write_text("x"),
    "Path.write_bytes": lambda d, _: (d / "new").write_bytes(b"x"),
    "Path.touch": lambda d, _: (d / "new").touch(),
    "Path.unlink": lambda d, _: (d / "old").unlink(),
    "Path.mkdir": lambda d, _: (d / "new").mkdir(),
    "Path.rename": lambda d, _: (d / "old").rename(d / "new"),
    "Path.iterdir": lambda d, _: list(d.iterdir()),
    "Path.glob": lambda d, _: list(d.glob("*")),
    "Path.rglob": lambda d, _: list(d.rglob("*")),
    "glob.glob": lambda d, _: glob.glob(str(d / "*")),
    "os.listdir": lambda d, _: os.listdir(d),
    "os.scandir": lambda d, _: list(os.scandir(d)),
    "os.walk": lambda d, _: list(os.walk(d)),
    "os.remove": lambda d, _: os.remove(d / "old"),
    "os.unlink": lambda d, _: os.unlink(d / "old"),
    "os.rename": lambda d, _: os.rename(d / "old", d / "new"),
    "os.replace": lambda d, _: os.replace(d / "old", d / "new"),
    "os.mkdir": lambda d, _: os.mkdir(d / "new"),
    "os.makedirs": lambda d, _: os.makedirs(d / "new" / "er"),
    "os.rmdir": lambda d, _: os.rmdir(d / "empty"),
    "os.link": lambda d, _: os.link(d / "old", d / "new"),
    "os.symlink": lambda d, _: os.symlink(d / "old", d / "new"),
    "os.truncate": lambda d, _: os.truncate(d / "old", 0),
    "os.chmod": lambda d, _: os.chmod(d / "old", 0o400),
    "os.utime": lambda d, _: os.utime(d / "old", (0, 0)),
    "os.chdir": lambda d, _: os.chdir(d),
    "os.system": lambda d, _: os.system(f"touch {d / 'new'}"),
    "os.popen": lambda d, _: os.popen(f"touch {d / 'new'}").read(),
    "os.putenv": lambda d, _: os.putenv("THEUS_TEST_ACT", "1"),
    "os.environ": lambda d, _: os.environ.update(THEUS_TEST_ACT="1"),
    "os.environ delete": lambda d, _: os.environ.pop("PATH"),
    "os.kill": lambda d, _: os.kill(os.getpid(), 0),
    "subprocess.run": lambda d, _: subprocess.run(["touch", str(d / "new")]),
    "subprocess.Popen": lambda d, _: subprocess.Popen(["touch", str(d / "new")]),
    "subprocess.check_output": lambda d, _: subprocess.check_output(["ls", str(d)]),
    "shutil.copy": lambda d, _: shutil.copy(d / "old", d / "new"),
    "shutil.copyfile": lambda d, _: shutil.copyfile(d / "old", d / "new"),
    "shutil.copytree": lambda d, _: shutil.copytree(d / "empty", d / "new"),
    "shutil.move": lambda d, _: shutil.move(d / "old", d / "new"),
    "shutil.rmtree": lambda d, _: shutil.rmtree(d / "empty"),
    "shutil.make_archive": lambda d, _: shutil.make_archive(str(d / "new"), "zip", d / "empty"),
    "tempfile.mkstemp": lambda d, _: tempfile.mkstemp(dir=d),
    "tempfile.mkdtemp": lambda d, _: tempfile.mkdtemp(dir=d),
    "tempfile.NamedTemporaryFile": lambda d, _: tempfile.NamedTemporaryFile(dir=d, delete=False),
    "zipfile": lambda d, _: zipfile.ZipFile(d / "new", "w"),
    "sqlite3.connect": lambda d, _: sqlite3.connect(d / "new"),
    "sqlite3 in memory": lambda d, _: sqlite3.connect(":memory:"),
    "mmap": lambda d, _: mmap.mmap(-1, 10),
    "ctypes.CDLL": lambda d, _: ctypes.CDLL(None),
    "ctypes.string_at": lambda d, _: ctypes.string_at(id("x"), 1),
    "socket.socket": lambda d, _: socket.socket(),
    "socket.create_connection": lambda d, port: socket.create_connection(("127.0.0.1", port)),
    "socket.getaddrinfo": lambda d, _: socket.getaddrinfo("localhost", 80),
    "socket.gethostbyname": lambda d, _: socket.gethostbyname("localhost"),
    "socket.gethostname": lambda d, _: socket.gethostname(),
    "urllib": lambda d, port: urllib.request.urlopen(f"http://127.0.0.1:{port}/"),
    "urllib of a file": lambda d, _: urllib.request.urlopen((d / "old").as_uri()),
    "http.client": lambda d, port: http.client.HTTPConnection("127.0.0.1", port).request(
        "GET", "/"
    ),
    "smtplib": lambda d, port: smtplib.SMTP("127.0.0.1", port),
    "input": lambda d, _: input(),
    "sys.settrace": lambda d, _: sys.settrace(lambda *_: None),
    "sys.setprofile": lambda d, _: sys.setprofile(lambda *_: None),
    "import of a new module": lambda d, _: importlib.import_module("theus_test_act_module"),
    "import by __import__": lambda d, _: __import__("theus_test_act_module"),
    "runpy": lambda d, _: runpy.run_path(str(d / "theus_test_act_module.py")),
    "import of antigravity": lambda d, _: importlib.import_module("antigravity"),
}
ONLY_POSIX: dict[str, Act] = {
    "os.chown": lambda d, _: os.chown(d / "old", os.getuid(), os.getgid()),
    "os.fork": lambda d, _: os.fork() or os._exit(0),
    "os.posix_spawn": lambda d, _: os.posix_spawn("/bin/true", ["true"], {}),
    "signal.pthread_kill": lambda d, _: signal.pthread_kill(threading.get_ident(), 0),
}
FROM_3_12: dict[str, Act] = {  # Python 3.11 does not tell of new threads
    "start a thread": lambda d, _: threading.Thread(target=(d / "new").touch).start(),
    "a thread pool": lambda d, _: ThreadPoolExecutor(1).submit((d / "new").touch),
}
if POSIX:
    ACTS |= ONLY_POSIX
if sys.version_info >= (3, 12):
    ACTS |= FROM_3_12


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a file, an empty directory, and a module that acts when imported."""
    (tmp_path / "old").write_text("old")
    (tmp_path / "empty").mkdir()
    (tmp_path / "theus_test_act_module.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'new')!r}).touch()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Something to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def seen(place: Path) -> dict[str, Any]:
    """What acts could change."""
    tree = {
        str(path.relative_to(place)): (
            path.stat().st_mode,
            path.stat().st_mtime,
            path.stat().st_nlink,
        )
        for path in sorted(place.rglob("*"))
    }
    return {
        "tree": tree,
        "content": (place / "old").read_text(),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "threads": {thread.name for thread in threading.enumerate()},
        "tracing": (sys.gettrace(), sys.getprofile()),
        "modules": {"antigravity", "theus_test_act_module"} & set(sys.modules),
    }


def test_there_are_enough_acts() -> None:
    assert len(ACTS) >= 60


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_refused_and_has_no_effect(name: str, place: Path, server: socket.socket) -> None:
    act = ACTS[name]

    @process(inputs=["domain.n"], outputs=["domain.m"], semantic=SemanticType.PURE, name="tries")
    def tries(ctx: Any) -> Any:
        act(place, port)
        return ctx.domain.n

    port = server.getsockname()[1]
    tracing = sys.gettrace()
    with TheusEngine({"domain": {"n": 1}}) as engine:
        before = seen(place)
        with pytest.raises(ContractViolationError) as caught:
            engine.run(tries)
        assert seen(place) == before
        with pytest.raises(BlockingIOError):
            server.accept()
        assert engine.state.version == 1
    assert sys.gettrace() is tracing
    error = caught.value
    code = getattr(act, "__code__", None)
    assert code is not None
    assert (error.process, error.file, error.change) == ("tries", __file__, ("semantic", "effect"))
    assert error.line == code.co_firstlineno
    text = str(error)
    assert "permission" in text
    assert f"{__file__}:{error.line}" in text
    assert error.action in text
    assert "SemanticType.EFFECT" in text


def refused(body: Callable[..., Any], *args: Any, **contract: Any) -> TheusError:
    pure = process(**{"semantic": "pure", "inputs": ["domain.n"], "name": "pure", **contract})(body)
    with (
        TheusEngine({"domain": {"n": 1}}) as engine,
        pytest.raises(ContractViolationError) as caught,
    ):
        engine.run(pure, *args)
    return caught.value


def test_an_import_that_is_refused_leaves_no_module(place: Path) -> None:
    def body(ctx: Any) -> None:
        import theus_test_act_module  # noqa: F401

    error = refused(body)
    assert error.action == "import"
    assert "theus_test_act_module" in error.path


HIDDEN: dict[str, Act] = {
    # the backends in C (dbm.gnu, dbm.ndbm) open files without an event
    "shelve": lambda d, _: shelve.Shelf(dbm.dumb.open(d / "new")),
    "webbrowser": lambda d, port: webbrowser.open(f"http://127.0.0.1:{port}/"),
    "sys.addaudithook": lambda d, _: sys.addaudithook(lambda *_: (d / "new").touch()),
    "a handler of its own": lambda d, _: _tried((d / "new").touch),
}


def _tried(act: Callable[[], Any]) -> None:
    with contextlib.suppress(OSError):
        act()


@pytest.mark.parametrize("name", HIDDEN)
def test_where_a_refusal_is_hidden_there_is_no_effect_either(
    name: str, place: Path, server: socket.socket
) -> None:
    act, port = HIDDEN[name], server.getsockname()[1]
    body = process(inputs=["domain.n"], semantic="pure")(lambda ctx: act(place, port) and None)
    before = seen(place)
    with TheusEngine({"domain": {"n": 1}}) as engine, contextlib.suppress(Exception):
        engine.run(body)
    assert seen(place) == before
    with pytest.raises(BlockingIOError):
        server.accept()


def test_a_refused_import_works_afterwards(place: Path) -> None:
    refused(lambda ctx: importlib.import_module("theus_test_act_module"))
    importlib.import_module("theus_test_act_module")
    del sys.modules["theus_test_act_module"]
    assert (place / "new").exists()


def test_in_a_helper_the_place_is_the_helper(place: Path) -> None:
    def helper() -> str:
        return (place / "old").read_text()

    error = refused(lambda ctx: helper())
    assert (error.file, error.line) == (__file__, helper.__code__.co_firstlineno + 1)


def test_async_bodies_are_watched_before_and_after_they_wait(place: Path) -> None:
    async def early(ctx: Any) -> None:
        (place / "new").touch()

    async def late(ctx: Any) -> None:
        await asyncio.sleep(0)
        (place / "new").touch()

    for body in (early, late):
        assert refused(body).action == "open"
    assert not (place / "new").exists()


def test_who_waits_beside_a_pure_process_may_act(place: Path) -> None:
    @process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")
    async def pure(ctx: Any) -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return ctx.domain.n  # type: ignore[no-any-return]

    async def beside() -> None:
        for number in range(5):
            (place / f"beside{number}").touch()
            await asyncio.sleep(0)

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(engine.execute(pure), beside())

    with TheusEngine({"domain": {"n": 1}}) as engine:
        asyncio.run(main(engine))
        assert engine.state.domain.m == 1
    assert len(list(place.glob("beside*"))) == 5


def test_a_thread_of_the_engine_is_watched(place: Path) -> None:
    pure = process(inputs=["domain.n"], semantic="pure")(lambda ctx: (place / "new").touch())

    async def main(engine: TheusEngine) -> None:
        await engine.execute(pure)

    with TheusEngine({"domain": {"n": 1}}) as engine, pytest.raises(ContractViolationError):
        asyncio.run(main(engine))
    assert not (place / "new").exists()


def test_a_pure_process_inside_another_is_watched(place: Path) -> None:
    with TheusEngine({"domain": {"n": 1}}) as engine:
        inner = process(inputs=["domain.n"], semantic="pure")(lambda ctx: (place / "new").touch())

        @process(inputs=["domain.n"], outputs=["domain.m"])
        def outer(ctx: Any) -> None:
            with pytest.raises(ContractViolationError):
                engine.run(inner)
            (place / "outer").touch()

        engine.run(outer)
    assert (place / "outer").exists()
    assert not (place / "new").exists()


def test_a_pure_process_calls_pure_ones_only() -> None:
    with TheusEngine({"domain": {"n": 1}}) as engine:
        pure = process(inputs=["domain.n"], semantic="pure", name="p")(lambda ctx: ctx.domain.n + 1)
        effect = process(outputs=["domain.n"], name="writer")(lambda ctx: 5)

        @process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")
        def good(ctx: Any) -> Any:
            return engine.run(pure) * 2

        @process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")
        def bad(ctx: Any) -> Any:
            return engine.run(effect)

        engine.run(good)
        assert engine.state.domain.m == 4
        with pytest.raises(ContractViolationError, match="writer"):
            engine.run(bad)
        assert engine.state.domain.n == 1


def test_another_engine_is_out_of_reach() -> None:
    with TheusEngine({"domain": {"n": 1}}) as engine, TheusEngine({"domain": {"n": 1}}) as other:
        write = process(outputs=["domain.n"])(lambda ctx: 5)
        acts: tuple[Callable[[Any], Any], ...] = (
            lambda ctx: other.run(write),
            lambda ctx: other.transaction(),
            lambda ctx: other.compare_and_swap(1, data={"domain": {"n": 5}}),
            lambda ctx: engine.compare_and_swap(1, data={"domain": {"n": 5}}),
        )
        for number, act in enumerate(acts):
            pure = process(inputs=["domain.n"], semantic="pure", name=f"pure{number}")(act)
            with pytest.raises(ContractViolationError):
                engine.run(pure)
        assert (engine.state.domain.n, other.state.domain.n) == (1, 1)


def test_a_pure_process_has_no_outbox() -> None:
    with TheusEngine({"domain": {"n": 1}}) as engine:
        body = process(inputs=["domain.n"], semantic="pure")(
            lambda ctx: ctx.outbox.add(OutboxMsg("t", 1))
        )
        with pytest.raises(AttributeError, match="outbox"):
            engine.run(body)
        assert len(engine.outbox) == 0


# --- arguments ----------------------------------------------------------------------------------

CHANGES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "list": ([1], lambda x: x.append(2)),
    "dict": ({"a": 1}, lambda x: x.update(a=2)),
    "set": ({1}, lambda x: x.add(2)),
    "bytearray": (bytearray(b"a"), lambda x: x.extend(b"b")),
    "inside a list": ([[1]], lambda x: x[0].append(2)),
    "inside a dict": ({"a": [1]}, lambda x: x["a"].clear()),
    "inside a tuple": (([1],), lambda x: x[0].pop()),
}


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("what", CHANGES)
def test_arguments_stay_as_they_are(what: str, by_name: bool) -> None:
    value, change = CHANGES[what]
    before = repr(value)

    @process(inputs=["domain.n"], semantic="pure", name="pure")
    def body(ctx: Any, given: Any) -> None:
        change(given)

    with (
        TheusEngine({"domain": {"n": 1}}) as engine,
        pytest.raises(ContractViolationError, match="argument") as caught,
    ):
        engine.run(body, given=value) if by_name else engine.run(body, value)
    assert repr(value) == before
    assert caught.value.action == "argument"
    assert caught.value.file == __file__


def test_arguments_may_be_read_and_returned() -> None:
    loop: list[Any] = [1]
    loop.append(loop)

    @process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")
    def body(ctx: Any, given: Any, other: Any) -> Any:
        assert other[1] is other
        return [*given, ctx.domain.n]

    with TheusEngine({"domain": {"n": 1}}) as engine:
        engine.run(body, [5], other=loop)
        assert list(engine.state.domain.m) == [5, 1]


def test_a_container_of_the_state_as_an_argument_is_a_copy() -> None:
    with TheusEngine({"domain": {"xs": [1]}}) as engine:

        @process(inputs=["domain.n"], semantic="pure")
        def inner(ctx: Any, given: Any) -> None:
            given.append(2)

        @process(outputs=["domain.xs"])
        def outer(ctx: Any) -> None:
            engine.run(inner, ctx.domain.xs)

        with pytest.raises(ContractViolationError):
            engine.run(outer)
        assert list(engine.state.domain.xs) == [1]


# --- what is allowed -----------------------------------------------------------------------------


def test_a_direct_call_is_not_watched(place: Path) -> None:
    @process(inputs=["domain.n"], semantic="pure")
    def pure(ctx: Any) -> str:
        return (place / "old").read_text()

    with TheusEngine({"domain": {"n": 1}}) as engine:
        engine.register(pure)
        assert pure(None) == "old"


def test_where_contracts_are_off_nobody_looks(place: Path) -> None:
    pure = process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")(
        lambda ctx, xs: (xs.append(1), (place / "old").read_text())[1]
    )
    given: list[int] = []
    with TheusEngine({"domain": {"n": 1}}, contracts="off") as engine:
        engine.run(pure, given)
        assert (engine.state.domain.m, given) == ("old", [1])


def test_reported_acts_happen(place: Path) -> None:
    pure = process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure", name="reader")(
        lambda ctx: (place / "old").read_text()
    )
    with TheusEngine({"domain": {"n": 1}}, contracts="report") as engine:
        engine.run(pure)
        assert engine.state.domain.m == "old"
        (found,) = engine.violations
        assert (found.process, found.action, found.file) == ("reader", "open", __file__)


CLEAN: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda ctx: ctx.domain.n + 1,
    "modules of Python's own": lambda ctx: importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0),
    "dates": lambda ctx: __import__("datetime").datetime.strptime("2020", "%Y").year,
    "encodings": lambda ctx: "x".encode("cp037"),
    "json": lambda ctx: __import__("json").dumps({"a": [1]}),
    "a log message": lambda ctx: ctx.log.warning("%s", ctx.domain.n),
    "text buffers": lambda ctx: io.StringIO("x").read(),
    "paths without a look": lambda ctx: str(pathlib.PurePath("a") / "b"),
    "hashing": lambda ctx: __import__("hashlib").sha256(b"x").hexdigest(),
    "named tuples": lambda ctx: __import__("collections").namedtuple("T", "a")(1).a,
    "compiling": lambda ctx: compile("1 + 1", "text", "eval").co_consts,
    "an exception": lambda ctx: _caught(),
    "local": lambda ctx: ctx.local.update(a=1),
}


def _caught() -> str:
    try:
        raise ValueError("x")
    except ValueError:
        return __import__("traceback").format_exc()


@pytest.mark.parametrize("what", CLEAN)
def test_computing_is_allowed(what: str) -> None:
    for module in ("colorsys", "encodings.cp037"):
        sys.modules.pop(module, None)
    body = process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")(
        lambda ctx: repr(CLEAN[what](ctx))
    )
    with TheusEngine({"domain": {"n": 1}}) as engine:
        engine.run(body)
        assert engine.state.version == 2


def test_arrays_of_the_heavy_zone_are_inputs() -> None:
    body = process(inputs=["heavy.big"], outputs=["domain.m"], semantic="pure")(
        lambda ctx: float(ctx.heavy["big"].sum())
    )
    with TheusEngine({"domain": {"n": 1}}) as engine:
        array = engine.heavy.alloc("big", (10,), "float64")
        array[:] = 3.0
        engine.compare_and_swap(1, heavy={"big": array.descriptor()})
        del array
        engine.run(body)
        assert engine.state.domain.m == 30.0


def test_destructors_that_happen_to_run_may_act(place: Path) -> None:
    class Cleans:
        def __init__(self) -> None:
            self.file = open(place / "kept", "w")

        def __del__(self) -> None:
            self.file.close()
            os.remove(place / "kept")

    held = [Cleans()]
    body = process(inputs=["domain.n"], outputs=["domain.m"], semantic="pure")(
        lambda ctx: (held.clear(), ctx.domain.n)[1]
    )
    with TheusEngine({"domain": {"n": 1}}) as engine:
        engine.run(body)
    assert not (place / "kept").exists()
