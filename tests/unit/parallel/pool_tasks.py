"""Functions that the tests send to workers; importable there, and on purpose badly behaved."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import functools
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from theus.errors import ContractViolationError

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")
NOT_A_VARIABLE = 1
WARMED = "warmed"


def add(left, right=0):
    return left + right


def double(value):
    return value * 2


def thread_and_process():
    return threading.get_ident(), os.getpid()


def nothing():
    return None


def keywords(**kwargs):
    return kwargs


async def later(value):
    await asyncio.sleep(0)
    return value


def fail(text):
    raise ValueError(text)


class OddError(Exception):
    """Its pickle cannot be rebuilt: it forgets an argument."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def fail_oddly():
    raise OddError("a", "b")


def fail_unpicklable():
    error = RuntimeError("holds a lock")
    error.lock = threading.Lock()
    raise error


def fail_ours():
    raise ContractViolationError("not allowed", path="domain.a", process="p")


def fail_with_cause():
    try:
        fail("inner")
    except ValueError as error:
        raise KeyError("outer") from error


def leave(code):
    sys.exit(code)


def interrupt():
    raise KeyboardInterrupt


def too_deep(level=0):
    return too_deep(level + 1) + 1


def return_lock():
    return threading.Lock()


class Unloadable:
    """Can be pickled; its pickle raises when it is loaded."""

    def __reduce__(self):
        return _refuse_to_load, ()


def _refuse_to_load():
    raise LookupError("will not be loaded")


class EndsItsReader:
    """Its pickle ends the program that loads it."""

    def __reduce__(self):
        return sys.exit, (4,)


def return_unloadable():
    return Unloadable()


def take(_value):
    return "taken"


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def wait_for_file(path, value=None):
    while not Path(path).exists():
        time.sleep(0.002)
    return value


def mark_and_wait(mark, path):
    """Leave a mark that this has begun, then wait for a file."""
    Path(mark).write_text(str(os.getpid()))
    return wait_for_file(path, os.getpid())


def spin_holding_the_interpreter():
    return pow(3, 10**10)


def die(how):
    if how == "exit":
        os._exit(3)
    if how == "zero":
        os._exit(0)
    if how == "abort":
        os.abort()
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(60)


def die_once(mark, value):
    """Kill the worker the first time, answer the second."""
    path = Path(mark)
    if not path.exists():
        path.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def complain_and_die(text):
    os.write(2, text.encode())
    os.kill(os.getpid(), signal.SIGKILL)


def answer_and_die_after(value):
    """Return; the worker dies a moment after it has sent the answer."""
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return value


def big_result_killed_while_sending(size):
    killer = threading.Thread(target=_kill_soon, daemon=True)
    killer.start()
    return b"x" * size


def _kill_soon():
    time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)


def write_into_channel():
    """Write rubbish into every socket, the channel to the parent among them."""
    for fd in range(3, 64):
        try:
            if "socket" in os.readlink(f"/proc/self/fd/{fd}"):
                os.write(fd, b"rubbish" * 20)
        except OSError:
            continue
    time.sleep(60)


def close_everything():
    os.closerange(3, 64)
    time.sleep(60)


def fork_a_child_that_outlives(mark):
    """A grandchild that holds copies of all descriptors while this process dies."""
    pid = os.fork()
    if pid == 0:
        while not Path(mark).exists():
            time.sleep(0.005)
        os._exit(0)
    Path(f"{mark}.pid").write_text(str(pid))
    os.kill(os.getpid(), signal.SIGKILL)


def say(text):
    print(text)
    print(f"error {text}", file=sys.stderr)
    return os.getpid()


def write_much_to_stderr(lines):
    for number in range(lines):
        sys.stderr.write(f"line {number} {'x' * 90}\n")
    return lines


def log_something(name, text):
    logger = logging.getLogger(name)
    logger.debug("hidden %s", text)
    logger.warning("seen %s", text, extra={"unpicklable": threading.Lock()})
    try:
        fail("logged")
    except ValueError:
        logger.exception("with traceback")


def read_variable():
    return VARIABLE.get()


def set_variable(value):
    VARIABLE.set(value)


def modules_loaded(*names):
    return [name in sys.modules for name in names]


def use_context(ctx, factor):
    ctx.local["seen"] = ctx.domain.rows[0]
    ctx.outbox.add({"topic": "done", "process": ctx.process})
    ctx.signal.finished = ctx.version
    ctx.signal["again"] = [1]
    return [one * factor for one in ctx.domain.rows], ctx.domain["user"].name, ctx.global_.rate


def queue_and_fail(ctx):
    ctx.outbox.add("lost")
    raise ValueError("after queueing")


def write_input(ctx):
    ctx.domain.user.name = "changed"


def heavy_sum(ctx, key):
    array = ctx.heavy[key]
    return float(array.sum()), array.flags.writeable, type(array).__name__


def deadline_left(ctx):
    return None if ctx.deadline is None else ctx.deadline - time.monotonic()


def wraps(function):
    @functools.wraps(function)
    def outer(*args):
        return ("outer", function(*args))

    return outer


@wraps
def decorated(value):
    return value


undecorated = decorated.__wrapped__


class Namespace:
    @staticmethod
    def inside(value):
        return ("inside", value)


def copy_of(function):
    copy = type(function)(function.__code__, function.__globals__, function.__name__)
    copy.__qualname__ = function.__qualname__
    return copy


other_nothing = copy_of(nothing)


def nested_pool(value):
    from theus.parallel import ProcessPool

    with ProcessPool(1, spare=0) as pool:
        return pool.submit(double, value).result(timeout=60)


def open_nested_pool_and_leave_it(value):
    from theus.parallel import ProcessPool

    pool = ProcessPool(1, spare=0)
    globals()["kept_pool"] = pool
    return pool.submit(thread_and_process).result(timeout=60)[1]


def queue(ctx, messages):
    for _ in messages:
        ctx.outbox.add(threading.Lock())


class Watched(bytearray):
    """Bytes that can be watched by a weak reference."""


def return_watched():
    return Watched(b"xyz")


KEPT = []


def keep_memory(size):
    KEPT.append(b"x" * size)
    return os.getpid()


def keep_memory_and_be_killed(size, mark):
    KEPT.append(b"x" * size)
    return mark_and_wait(mark, f"{mark}.never")
