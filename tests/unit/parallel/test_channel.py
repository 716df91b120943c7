"""Messages over a pipe: whole, in order, at any cut, without blocking."""

from __future__ import annotations

import os
import random
import socket
import threading

import pytest

from theus.errors import ParallelError
from theus.parallel.channel import Inbox, Kind, Message, Outlet

SIZES = [0, 1, 23, 24, 100, 65511, 65512, 65513, 65535, 65536, 65537, 300_000, 3_000_000]


@pytest.fixture
def ends():
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def read_all(inbox):
    """All messages that are there; the descriptor must not block."""
    found = []
    while not inbox.ended:
        try:
            inbox.read()
        except BlockingIOError:
            break
        while (message := inbox.next()) is not None:
            found.append(message)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_a_message_arrives_whole(ends, size):
    left, right = ends
    data = os.urandom(size)
    sender = threading.Thread(target=Outlet(left.fileno()).send, args=(Kind.TASK, 7, data))
    sender.start()
    message = Inbox(right.fileno()).wait()
    sender.join()
    assert message == Message(Kind.TASK, 7, data)
    assert isinstance(message.kind, Kind)


def test_without_blocking_the_rest_waits_and_order_is_kept(ends):
    left, right = ends
    left.setblocking(False)
    right.setblocking(False)
    chance = random.Random(5)
    sent = [os.urandom(chance.choice(SIZES[:-1])) for _ in range(60)]
    outlet, inbox = Outlet(left.fileno()), Inbox(right.fileno())
    whole = [outlet.send(Kind.OUTCOME, number, data) for number, data in enumerate(sent)]
    assert False in whole
    assert whole[0]
    found = read_all(inbox)
    while not outlet.flush():
        found += read_all(inbox)
    found += read_all(inbox)
    assert [(one.number, bytes(one.data)) for one in found] == list(enumerate(sent))


@pytest.mark.parametrize("step", [1, 7, 24, 25, 1000])
def test_any_cut_of_the_stream_gives_the_same_messages(ends, step):
    left, right = ends
    reader, writer = os.pipe()
    outlet = Outlet(writer)
    outlet.send(Kind.LOG, 1, b"first" * 20)
    outlet.send(Kind.READY, 2)
    outlet.send(Kind.OUTCOME, 3, b"third")
    os.close(writer)
    stream = b""
    while piece := os.read(reader, 1 << 16):
        stream += piece
    os.close(reader)
    inbox, found = Inbox(right.fileno()), []
    for start in range(0, len(stream), step):
        left.sendall(stream[start : start + step])
        inbox.read()
        while (message := inbox.next()) is not None:
            found.append((message.kind, message.number, bytes(message.data)))
    assert found == [
        (Kind.LOG, 1, b"first" * 20),
        (Kind.READY, 2, b""),
        (Kind.OUTCOME, 3, b"third"),
    ]


def test_the_end_of_the_other_side(ends):
    left, right = ends
    inbox = Inbox(right.fileno())
    Outlet(left.fileno()).send(Kind.TASK, 1, b"last")
    left.sendall(b"half a head")
    left.close()
    assert inbox.wait() == Message(Kind.TASK, 1, b"last")
    assert inbox.wait() is None
    assert inbox.ended


def test_an_end_with_something_unread_is_an_end(ends):
    left, right = ends
    right.sendall(b"never read")
    left.close()
    inbox = Inbox(right.fileno())
    assert inbox.wait() is None
    assert inbox.ended


@pytest.mark.parametrize("junk", [b"rubbish" * 10, b"\0" * 24, b"PTHU" + b"\x63" + b"\0" * 19])
def test_what_is_no_message_is_refused(ends, junk):
    left, right = ends
    left.sendall(junk)
    inbox = Inbox(right.fileno())
    with pytest.raises(ParallelError, match="damaged"):
        inbox.wait()


def test_sending_to_nobody_is_an_error(ends):
    left, right = ends
    right.close()
    with pytest.raises(OSError):
        Outlet(left.fileno()).send(Kind.TASK, 1, b"x" * 100)
