"""Signals on event loops: awaiting, bursts, loss, closing, several threads and loops."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from theus.errors import SignalClosedError, SignalLaggedError
from theus.signals import SignalHub, SignalReceiver, publish_signals, signal_text

JOIN = 30


async def settle():
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_subscribing_gives_a_receiver_of_the_hub():
    hub = SignalHub()
    receiver = hub.subscribe()
    assert isinstance(receiver, SignalReceiver)
    assert (hub.capacity, receiver.capacity, hub.subscribe(7).capacity) == (100, 100, 7)
    assert hub.publish("x") == 1
    assert receiver.recv() == "x"


def test_awaiting_a_message_that_is_there_does_not_touch_the_loop():
    hub = SignalHub()
    receiver = hub.subscribe()
    hub.publish("x")
    coroutine = receiver.recv_async()
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value == "x"


def test_awaiting_wakes_on_a_message():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()
        task = asyncio.create_task(receiver.recv_async())
        await settle()
        assert not task.done()
        hub.publish("x")
        return await task

    assert asyncio.run(main()) == "x"


def test_outside_a_loop_there_is_nothing_to_wait_on():
    coroutine = SignalHub().subscribe().recv_async()
    with pytest.raises(RuntimeError, match="loop"):
        coroutine.send(None)


def test_a_batch_is_all_that_is_there():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()
        task = asyncio.create_task(receiver.recv_batch_async())
        await settle()
        hub.publish_many("abc")
        first = await task
        hub.publish_many("defg")
        return first, await receiver.recv_batch_async(3), await receiver.recv_batch_async()

    assert asyncio.run(main()) == (["a", "b", "c"], ["d", "e", "f"], ["g"])


@pytest.mark.parametrize("receive", ["recv_async", "recv_batch_async", "__anext__"])
def test_loss_is_reported_once_then_receiving_goes_on(receive):
    async def main():
        hub = SignalHub(3)
        receiver = hub.subscribe()
        hub.publish_many(range(10))
        with pytest.raises(SignalLaggedError) as caught:
            await getattr(receiver, receive)()
        return caught.value.missed, await receiver.recv_batch_async()

    assert asyncio.run(main()) == (7, [7, 8, 9])


@pytest.mark.parametrize("receive", ["recv_async", "recv_batch_async"])
@pytest.mark.parametrize("end", ["hub", "receiver"])
def test_closing_ends_a_wait(receive, end):
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()
        task = asyncio.create_task(getattr(receiver, receive)())
        await settle()
        (hub if end == "hub" else receiver).close()
        with pytest.raises(SignalClosedError):
            await task
        with pytest.raises(SignalClosedError):
            await getattr(receiver, receive)()

    asyncio.run(main())


def test_async_iteration_ends_with_the_hub():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()

        async def listen():
            return [message async for message in receiver]

        task = asyncio.create_task(listen())
        for number in range(5):
            hub.publish(number)
            await asyncio.sleep(0)
        hub.close()
        return await task

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_a_cancelled_wait_loses_nothing_and_leaves_nothing():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await receiver.recv_async()
        waiters = [each for each in gc.get_referents(hub) if type(each) is dict]
        hub.publish("x")
        return waiters, await receiver.recv_async()

    assert asyncio.run(main()) == ([{}], "x")


def test_a_wait_cancelled_together_with_a_message_leaves_the_message():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()
        task = asyncio.create_task(receiver.recv_async())
        await settle()
        hub.publish("x")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return receiver.try_recv()

    assert asyncio.run(main()) == "x"


def test_tasks_that_share_a_receiver_get_each_message_once():
    async def main():
        hub = SignalHub(1000)
        receiver = hub.subscribe()
        got = []

        async def listen():
            async for message in receiver:
                got.append(message)

        tasks = [asyncio.create_task(listen()) for _ in range(4)]
        for number in range(500):
            hub.publish(number)
            if number % 7 == 0:
                await asyncio.sleep(0)
        hub.close()
        await asyncio.gather(*tasks)
        return got

    assert sorted(asyncio.run(main())) == list(range(500))


def test_another_thread_wakes_the_loop():
    hub = SignalHub()
    waiting = threading.Event()

    class Watched(SignalReceiver):
        def enlist(self, wake):
            super().enlist(wake)
            waiting.set()

    def publish():
        assert waiting.wait(JOIN)
        hub.publish("from a thread")

    async def main():
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            return await asyncio.wait_for(Watched(hub).recv_async(), JOIN)
        finally:
            thread.join()

    assert asyncio.run(main()) == "from a thread"


def test_several_loops_and_threads_hear_all_in_order():
    hub = SignalHub(5000)
    results = {}
    receivers = {name: hub.subscribe() for name in ("loop 1", "loop 2", "thread")}

    async def listen(name):
        return [message async for message in receivers[name]]

    def run(name):
        results[name] = asyncio.run(listen(name)) if "loop" in name else list(receivers[name])

    threads = [threading.Thread(target=run, args=(name,)) for name in receivers]
    publishers = [
        threading.Thread(target=lambda who=who: [hub.publish((who, n)) for n in range(500)])
        for who in range(3)
    ]
    for thread in [*threads, *publishers]:
        thread.start()
    for thread in publishers:
        thread.join(JOIN)
    hub.close()
    for thread in threads:
        thread.join(JOIN)
    assert len(results) == 3
    assert all(result == results["thread"] for result in results.values())
    for who in range(3):
        assert [n for w, n in results["thread"] if w == who] == list(range(500))


def test_a_loop_that_has_gone_does_not_hinder_publishing():
    hub = SignalHub()
    receiver = hub.subscribe()
    loop = asyncio.new_event_loop()
    coroutine = receiver.recv_async()

    async def start():
        coroutine.send(None)

    loop.run_until_complete(start())
    loop.close()
    assert hub.publish("x") == 1
    assert receiver.recv() == "x"
    coroutine.close()


def test_a_loop_that_is_not_running_hears_it_when_it_runs_again():
    hub = SignalHub()
    receiver = hub.subscribe()
    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(receiver.recv_async())
        loop.run_until_complete(settle())
        hub.publish("x")
        assert loop.run_until_complete(task) == "x"
    finally:
        loop.close()


def test_the_debug_mode_of_asyncio_finds_nothing():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe()
        task = asyncio.create_task(receiver.recv_async())
        await settle()
        thread = threading.Thread(target=hub.publish, args=("x",))
        thread.start()
        try:
            return await asyncio.wait_for(task, JOIN)
        finally:
            thread.join()

    assert asyncio.run(main(), debug=True) == "x"


def test_signals_of_a_commit_go_out_in_order_as_text():
    hub = SignalHub()
    receiver = hub.subscribe()
    woken = []
    receiver.enlist(lambda: woken.append(receiver.pending))
    assert publish_signals(hub, {"started": 1, "stop": None}.items()) == 1
    assert receiver.drain() == ["started:1", "stop:None"]
    assert woken == [2]
    assert signal_text("topic", {"a": 1}) == "topic:{'a': 1}"


def test_a_payload_without_text_stops_no_other_signal(caplog):
    class Silent:
        def __str__(self):
            raise ZeroDivisionError

    hub = SignalHub()
    receiver = hub.subscribe()
    with caplog.at_level("CRITICAL", "theus.signals"):
        assert publish_signals(hub, [("a", 1), ("b", Silent()), ("c", 3)]) == 1
    assert receiver.drain() == ["a:1", "b:<Silent>", "c:3"]


def test_importing_signals_loads_no_asyncio(run_isolated):
    run_isolated(
        """
        import sys
        from theus.signals import SignalHub
        hub = SignalHub()
        receiver = hub.subscribe()
        hub.publish("x")
        assert receiver.recv() == "x"
        assert "asyncio" not in sys.modules
        """
    )
