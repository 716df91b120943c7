"""What is more than its fields is refused at the door, with its place."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import io
import ipaddress
import logging
import queue
import random
import socket
import sys
import threading
import types
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.support.isolated import run_isolated
from theus import freezers
from theus._core.freeze import RULES, rule_for
from theus._core.state import State
from theus.errors import UnsupportedValueError


class Releases:
    ended: list[int] = []

    def __del__(self) -> None:
        Releases.ended.append(1)


class FromC(random.Random):
    pass


class Number(int):
    def __init__(self, *_: Any) -> None:
        self.note = []


class MyError(Exception):
    pass


async def coroutine() -> None: ...


MAKERS = {
    "lock": threading.Lock,
    "rlock": threading.RLock,
    "event": threading.Event,
    "condition": threading.Condition,
    "thread": threading.Thread,
    "queue": queue.Queue,
    "asyncio lock": asyncio.Lock,
    "generator": lambda: (item for item in []),
    "iterator": lambda: iter([]),
    "function": lambda: coroutine,
    "method": lambda: [].append,
    "lambda": lambda: lambda: 0,
    "partial": lambda: functools.partial(print),
    "class": lambda: Releases,
    "module": lambda: sys,
    "object": object,
    "weak reference": lambda: weakref.ref(Releases),
    "exception": lambda: MyError("x"),
    "buffer": io.BytesIO,
    "logger": logging.getLogger,
    "context": contextvars.Context,
    "deque": collections.deque,
    "bytearray": bytearray,
    "memoryview": lambda: memoryview(b""),
    "finalizer": Releases,
    "C base": FromC,
    "int with attributes": Number,
    "rules of ours": lambda: freezers.SHELF,
}


@pytest.mark.parametrize("name", MAKERS)
def test_refused_with_its_place(name: str) -> None:
    value = MAKERS[name]()
    with pytest.raises(UnsupportedValueError, match=r"domain\.deep\[0\]\.thing") as caught:
        State(data={"domain": {"deep": [{"thing": value}]}})
    assert type(value).__qualname__.rpartition(".")[2] in str(caught.value)


def test_open_handles() -> None:
    with socket.socket() as handle, Path(__file__).open() as file:
        for value in (handle, file):
            with pytest.raises(UnsupportedValueError):
                State(data={"domain": {"handle": value}})


def test_coroutines() -> None:
    started = coroutine()
    with pytest.raises(UnsupportedValueError):
        State(data={"domain": {"c": started}})
    started.close()


def test_looking_at_a_class_runs_none_of_its_code() -> None:
    Releases.ended.clear()
    assert rule_for(Releases) is None
    assert Releases.ended == []

    class Noisy:
        def __new__(cls) -> Noisy:
            raise AssertionError("ran")

        def __init__(self) -> None:
            raise AssertionError("ran")

    assert rule_for(Noisy).kind == "record"


def test_addresses_are_leaves() -> None:
    address = ipaddress.ip_address("10.0.0.1")
    assert State(data={"domain": {"a": address}}).domain.a is address


def test_a_module_of_the_user_may_be_called_like_one_of_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = types.ModuleType("profile")
    module.__file__ = str(tmp_path / "profile.py")
    monkeypatch.setitem(sys.modules, "profile", module)
    cls = type("Profile", (), {"__module__": "profile"})
    assert rule_for(cls).kind == "record"
    for library in ("attrs", "plain"):  # names of kinds here, not of libraries with bases
        assert rule_for(type("Own", (), {"__module__": library + ".x"})).kind == "record"


class Handle:
    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()


def test_a_rule_of_the_users_own() -> None:
    with pytest.raises(UnsupportedValueError, match=r"domain\.h\.lock"):
        State(data={"domain": {"h": Handle(1)}})
    known = dict(RULES)
    try:
        freezers.register_record(
            Handle, lambda value: {"number": value.number}, lambda cls, fields: cls(**fields)
        )
        again = State(data={"domain": {"h": Handle(5)}}).to_dict()["domain"]["h"]
        assert type(again) is Handle
        assert again.number == 5
        freezers.register_leaf(Handle)
        handle = Handle(6)
        assert State(data={"domain": {"h": handle}}).domain.h is handle
        freezers.register_copy(Handle, lambda value: value.number)
        assert State(data={"domain": {"h": handle}}).domain.h == 6
    finally:
        RULES.clear()
        RULES.update(known)


def test_a_library_added_by_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(freezers, "__path__", [*freezers.__path__, str(tmp_path)])
    (tmp_path / "somelib_.py").write_text(
        "from theus._core.freeze import register_copy\n"
        "from theus.freezers import Freezer\n"
        "FREEZER = Freezer(lambda cls: register_copy(cls, lambda value: 'held'))\n"
    )
    base = type("Base", (), {"__module__": "somelib.parts"})
    own = type("Own", (base,), {"__module__": "tests.own"})
    freezers.SHELF.refresh()
    try:
        assert State(data={"domain": {"x": own()}}).domain.x == "held"
    finally:
        monkeypatch.undo()
        freezers.SHELF.refresh()
        sys.modules.pop("theus.freezers.somelib_", None)


def test_no_library_is_loaded_before_a_value_of_it_shows_up() -> None:
    done = run_isolated(
        """
        import dataclasses, sys
        from theus._core.state import State

        assert "theus.freezers" not in sys.modules
        State(data={"domain": {"a": [1, {"b": 2}]}})
        assert "theus.freezers" not in sys.modules

        @dataclasses.dataclass
        class Point:
            x: int

        class Plain:
            pass

        State(data={"domain": {"a": Point(1), "b": Plain()}})
        loaded = {name.partition(".")[0] for name in sys.modules}
        print(sorted(loaded & {"numpy", "pydantic", "attr", "attrs", "asyncio"}))
        """
    )
    assert done.stdout.strip() == "[]"
