"""Who is alive: id and start time together, dead only on proof."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.support.isolated import run_isolated
from theus.heavy.identity import (
    Identity,
    Life,
    current_identity,
    identity_from,
    life_of,
    start_ticks,
)


def gone_pid():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_this_process_is_alive():
    me = current_identity()
    assert (me.pid, me.uid) == (os.getpid(), os.geteuid())
    assert None not in (me.boot, me.namespace, me.start)
    assert life_of(me) is Life.ALIVE


def test_a_process_that_is_gone_is_dead():
    assert life_of(replace(current_identity(), pid=gone_pid())) is Life.DEAD


def test_a_reused_id_is_not_the_same_process():
    me = current_identity()
    assert life_of(replace(me, start=me.start - 1)) is Life.DEAD
    assert life_of(replace(me, pid=1, start=me.start)) is Life.DEAD


def test_without_a_start_time_it_counts_as_alive():
    assert life_of(replace(current_identity(), start=None)) is Life.ALIVE


def test_another_boot_is_proof():
    assert life_of(replace(current_identity(), boot="another")) is Life.DEAD
    assert life_of(replace(current_identity(), boot=None)) is Life.ALIVE


def test_another_namespace_cannot_be_judged():
    me = current_identity()
    for namespace in (me.namespace + 1, None):
        assert life_of(replace(me, pid=gone_pid(), namespace=namespace)) is Life.FOREIGN


def test_one_that_ended_and_waits_for_its_parent_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = replace(current_identity(), pid=child.pid, start=start_ticks(child.pid))
    assert life_of(identity) is Life.ALIVE
    child.kill()
    deadline = time.monotonic() + 30
    while life_of(identity) is Life.ALIVE and time.monotonic() < deadline:
        time.sleep(0.001)
    try:
        assert start_ticks(child.pid) == identity.start  # still listed, as a zombie
        assert life_of(identity) is Life.DEAD
    finally:
        child.communicate()


def test_a_command_name_with_brackets_and_blanks_does_not_confuse():
    done = run_isolated(
        """
        import os
        from pathlib import Path
        from theus.heavy.identity import start_ticks
        before = start_ticks(os.getpid())
        Path("/proc/self/comm").write_text(") R 1 (2) x")
        print(before == start_ticks(os.getpid()) is not None, Path("/proc/self/comm").read_text())
        """
    )
    assert done.stdout.split()[0] == "True"
    assert ") R 1 (2) x" in done.stdout


def test_identities_are_read_back():
    me = current_identity()
    assert identity_from(me.to_dict()) == me
    assert identity_from({"pid": 3, "uid": 0}) == Identity(None, None, 3, None, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"pid": None},
        {"pid": 0},
        {"pid": -1},
        {"pid": 2**31},
        {"pid": "3"},
        {"pid": True},
        {"uid": None},
        {"boot": 3},
        {"namespace": "x"},
        {"start": 1.5},
    ],
    ids=str,
)
def test_records_with_wrong_parts_name_nobody(change):
    assert identity_from(current_identity().to_dict() | change) is None
