"""The threads that run sync processes called from an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import leftovers
from tests.support.isolated import run_isolated
from theus.engine.threads import Threads
from theus.errors import EngineClosedError

NAME = contextvars.ContextVar("NAME", default="")


@pytest.fixture
def threads() -> Iterator[Threads]:
    before = leftovers.threads()
    made = Threads("lane", 3)
    yield made
    made.close()
    assert not leftovers.settle(leftovers.threads, before)


def fail(error: BaseException) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call


async def until(reached: Callable[[], object]) -> None:
    while not reached():
        await asyncio.sleep(0.001)


def test_many_calls_share_few_threads(threads: Threads) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(threads.run(threading.get_ident) for _ in range(200)))

    used = set(asyncio.run(main()))
    assert 1 <= len(used) <= 3
    assert threading.get_ident() not in used


def test_context_variables_of_the_caller(threads: Threads) -> None:
    async def main() -> tuple[str, str]:
        NAME.set("caller")
        inside = await threads.run(lambda: (NAME.get(), NAME.set("thread"))[0])
        return inside, NAME.get()

    assert asyncio.run(main()) == ("caller", "caller")


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_call_raises_reaches_who_waits(threads: Threads, error: BaseException) -> None:
    async def main() -> BaseException:
        try:
            await threads.run(fail(error))
        except BaseException as raised:  # noqa: BLE001 - it is what is tested
            return raised
        raise AssertionError("nothing was raised")

    assert asyncio.run(main()) is error


def test_stop_iteration_comes_as_an_error_that_can_be_awaited(threads: Threads) -> None:
    async def main() -> None:
        await threads.run(fail(StopIteration(1)))

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        asyncio.run(main())
    assert isinstance(caught.value.__cause__, StopIteration)


def test_a_cancelled_call_that_has_not_begun_never_runs(threads: Threads) -> None:
    gate, ran = threading.Event(), []

    async def main() -> None:
        busy = [threads.run(gate.wait) for _ in range(3)]
        queued = threads.run(lambda: ran.append(1))
        queued.cancel()
        gate.set()
        await asyncio.gather(*busy)
        await threads.run(lambda: None)

    asyncio.run(main())
    assert not ran


def test_a_cancelled_call_that_runs_goes_on_and_its_thread_is_used_again(threads: Threads) -> None:
    gate, ran = threading.Event(), []

    async def main() -> None:
        running = threads.run(lambda: (ran.append("begun"), gate.wait(), ran.append("ended")))
        await until(lambda: ran)
        running.cancel()
        gate.set()
        await until(lambda: len(ran) == 2)
        assert await asyncio.gather(*(threads.run(lambda: 1) for _ in range(9))) == [1] * 9

    asyncio.run(main())


def test_closing_refuses_what_waits_and_lets_end_what_runs(threads: Threads) -> None:
    gate, ended = threading.Event(), []

    def work() -> None:
        gate.wait()
        ended.append(1)

    async def main() -> None:
        running = [threads.run(work) for _ in range(3)]
        await until(lambda: threads._free == 0 and threads._jobs.empty())
        queued = [threads.run(work) for _ in range(4)]
        closing = threading.Thread(target=threads.close)
        closing.start()
        await asyncio.wait(queued)
        gate.set()
        await asyncio.gather(*running)
        closing.join()
        assert {type(each.exception()) for each in queued} == {EngineClosedError}
        with pytest.raises(EngineClosedError):
            threads.run(work)

    asyncio.run(main())
    assert ended == [1, 1, 1]


def test_loops_in_several_threads(threads: Threads) -> None:
    totals = []

    async def main() -> int:
        return sum(await asyncio.gather(*(threads.run(lambda: 1) for _ in range(100))))

    def loop() -> None:
        totals.append(asyncio.run(main()))

    callers = [threading.Thread(target=loop) for _ in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert totals == [100] * 4


def test_a_call_that_outlives_its_loop(threads: Threads) -> None:
    gate = threading.Event()

    async def main() -> None:
        threads.run(gate.wait)

    asyncio.run(main())
    gate.set()

    async def again() -> int:
        return await threads.run(lambda: 2)

    assert asyncio.run(again()) == 2


def test_closing_from_one_of_the_threads_and_twice(threads: Threads) -> None:
    async def main() -> None:
        assert await threads.run(threads.close) is None

    asyncio.run(main())
    threads.close()


def test_an_ended_call_is_not_kept(threads: Threads) -> None:
    class Thing:
        pass

    async def called() -> list[weakref.ref[Any]]:
        thing = Thing()
        future = threads.run(lambda: [thing])
        assert (await future)[0] is thing
        return [weakref.ref(thing), weakref.ref(future)]

    async def main() -> list[weakref.ref[Any]]:
        refs = await called()
        await threads.run(int)
        gc.collect()
        return refs

    assert [ref() for ref in asyncio.run(main())] == [None, None]


def test_a_thread_that_cannot_be_started_is_not_counted(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                threads.run(int)
        assert await threads.run(lambda: 3) == 3

    asyncio.run(main())


ENGINE = """
import asyncio, os, sys, threading, time
from theus import TheusEngine, process

engine = TheusEngine({"domain": {"n": 0}})


@process(outputs=["domain.n"])
def count(ctx):
    time.sleep(0.01)
    ctx.incr("domain.n")


async def main():
    await asyncio.gather(*(engine.execute(count) for _ in range(8)))


asyncio.run(main())
"""


def test_an_engine_that_is_never_shut_down_lets_the_interpreter_end() -> None:
    start = time.monotonic()
    done = run_isolated(ENGINE + "print(engine.state.domain['n'])", timeout=30)
    assert (done.stdout.strip(), done.stderr) == ("8", "")
    assert time.monotonic() - start < 30


def test_a_forked_child_has_threads_of_its_own() -> None:
    done = run_isolated(
        ENGINE
        + """
child = os.fork()
asyncio.run(main())
if child == 0:
    os._exit(engine.state.domain["n"])
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), engine.state.domain["n"])
""",
        warnings="ignore",
        timeout=30,
    )
    assert done.stdout.strip() == "16 16"


def test_the_interpreter_waits_for_a_body_that_runs_at_its_end() -> None:
    done = run_isolated("""
        import asyncio, atexit, threading
        from theus import TheusEngine, process

        begun, let = threading.Event(), threading.Event()

        @process
        def body(ctx):
            begun.set()
            let.wait(60)
            print("ended")

        async def main():
            task = asyncio.ensure_future(engine.execute(body))
            while not begun.is_set():
                await asyncio.sleep(0)
            task.cancel()

        engine = TheusEngine()
        asyncio.run(main())
        print("leaving")
        atexit.register(let.set)
    """)
    assert done.stdout == "leaving\nended\n"
