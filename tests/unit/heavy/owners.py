"""Owners in processes of their own: killed, alive, or with a registry that was tampered with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.isolated import clean_environment
from theus.heavy.names import new_session
from theus.heavy.records import encode_line

SETUP = """
import os, signal, sys
import numpy as np
from theus.heavy import HeavyZoneAllocator, MemoryRegistry
registry = MemoryRegistry(sys.argv[1], sys.argv[2])
zone = HeavyZoneAllocator(registry=registry)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""


FORGE = """
import json, os, signal, sys
from theus.heavy import HeavyZoneAllocator, MemoryRegistry, scan_zombies
def die():
    os.kill(os.getpid(), signal.SIGKILL)
for line in sys.stdin:
    session, directory, code = json.loads(line)
    child = os.fork()
    if not child:
        registry = MemoryRegistry(session, directory)
        names = dict(globals(), registry=registry, zone=HeavyZoneAllocator(registry=registry))
        exec(code, names)
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forge:
    """Makes owners that kill themselves, as forks of one process that has all loaded."""

    def __enter__(self) -> Forge:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORGE],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        out, err = self._process.communicate(timeout=30)
        assert (out, err, self._process.returncode) == ("", "", 0)

    def killed(self, directory: Path, code: str, session: str | None = None) -> str:
        """Run code with a `zone` and a `registry` until it kills itself; return its session."""
        session = session or new_session()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([session, str(directory), code]) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "-9\n"
        return session


class LivingOwner:
    """An owner with some arrays that waits until it is told to end, or killed."""

    def __init__(self, directory: Path, code: str = "zone.alloc('x', 1000)") -> None:
        self.session = new_session()
        script = f"{SETUP}\n{code}\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, self.session, str(directory)],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    def __enter__(self) -> LivingOwner:
        assert self.first == "ready\n", self.process.communicate(timeout=30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        out, err = self.process.communicate("", timeout=30)
        if kind is None:
            assert (out, err) == ("", "")


def only_file(directory: Path) -> Path:
    """The one registry file of a directory."""
    (path,) = directory.glob("*.jsonl")
    return path


def rewrite(path: Path, **changes: Any) -> None:
    """Change fields of the owner's line of a registry file, check value included."""
    first, *rest = path.read_bytes().splitlines(keepends=True)
    record = json.loads(first)
    del record["~"]
    path.write_bytes(encode_line(record | changes) + b"".join(rest))
