"""Signals on event loops: awaiting, bursts, loss, closing, several threads and loops."""

from __future__ import annotations

import asyncio
import threading

import pytest

from theus.errors import SignalClosedError, SignalFullError, SignalLaggedError
from theus.signals import Signal, SignalHub, SignalReceiver

JOIN = 30


async def settle():
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_subscribing_gives_a_receiver_of_the_hub():
    hub = SignalHub()
    receiver = hub.subscribe()
    assert isinstance(receiver, SignalReceiver)
    assert (hub.capacity, receiver.capacity, hub.subscribe(capacity=7).capacity) == (100, 100, 7)
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
        waiters = len(hub.waiters)
        hub.publish("x")
        return waiters, await receiver.recv_async()

    assert asyncio.run(main()) == (0, "x")


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


# --- topics, policies and forms on event loops ------------------------------------------------


def test_subscribing_with_options_gives_what_they_say():
    hub = SignalHub()
    receiver = hub.subscribe(
        "orders.*", "stop", capacity=5, policy="coalesce", key="id", typed=True
    )
    assert (receiver.capacity, receiver.policy, receiver.typed) == (5, "coalesce", True)
    assert hub.subscribe().policy == "drop_oldest"
    hub.publish(Signal("orders.new", {"id": 1}))
    hub.publish("other:1")
    assert receiver.recv() == Signal("orders.new", {"id": 1})
    assert receiver.try_recv() is None


@pytest.mark.parametrize("options", [{}, {"policy": "coalesce"}, {"policy": "block"}], ids=str)
def test_awaiting_a_message_of_a_topic(options):
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe("a", "c", **options)
        task = asyncio.create_task(receiver.recv_async())
        await settle()
        hub.publish("b:1")
        await settle()
        assert not task.done()
        hub.publish("a:1")
        first = await task
        hub.publish_many(["c:1", "b:1", "a:2"])
        rest = await receiver.recv_batch_async()
        hub.close()
        return [first, *rest, *[message async for message in receiver]]

    assert asyncio.run(main()) == ["a:1", "c:1", "a:2"]


def test_a_cancelled_wait_on_a_mailbox_loses_nothing():
    async def main():
        hub = SignalHub()
        receiver, kept = hub.subscribe("a"), []
        for number in range(20):
            task = asyncio.create_task(receiver.recv_async())
            await settle()
            if number % 2:
                hub.publish(f"a:{number}")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            kept += receiver.drain()
        return kept

    assert asyncio.run(main()) == [f"a:{number}" for number in range(1, 20, 2)]


def test_awaited_publishing_waits_for_room_and_loses_nothing():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe(policy="block", capacity=2)
        most = 0

        async def publish():
            for number in range(50):
                assert await hub.publish_async(number) == 1

        task = asyncio.create_task(publish())
        received = []
        while len(received) < 50:
            await settle()
            most = max(most, receiver.pending)
            received.append(await receiver.recv_async())
        await task
        return most, receiver.missed, received

    assert asyncio.run(main()) == (3, 0, list(range(50)))


def test_a_cancelled_publisher_has_published():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe(policy="block", capacity=1)
        hub.publish(1)
        task = asyncio.create_task(hub.publish_async(2))
        await settle()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return receiver.drain(), len(hub.mailboxes[0].writers)

    assert asyncio.run(main()) == ([1, 2], 0)


def test_awaited_publishing_gives_up_after_the_timeout():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe(policy="block", capacity=1, timeout=0.01)
        await hub.publish_async(1)
        await hub.publish_async(2)
        with pytest.raises(SignalLaggedError, match="missed 1"):
            receiver.recv()
        return receiver.drain()

    assert asyncio.run(main()) == [2]


def test_publishing_on_a_loop_without_await_never_blocks_it():
    async def main():
        hub = SignalHub()
        receiver = hub.subscribe(policy="block", capacity=2, timeout=None)
        for number in range(5):
            assert hub.publish(number) == 1
        with pytest.raises(SignalLaggedError, match="missed 3"):
            receiver.recv()
        return receiver.drain()

    assert asyncio.run(main()) == [3, 4]


def test_awaited_publishing_tells_of_full_receivers():
    async def main():
        hub = SignalHub()
        full = hub.subscribe("a", policy="error", capacity=1)
        assert await hub.publish_async("a:1") == 1
        with pytest.raises(SignalFullError) as caught:
            await hub.publish_async("a:2")
        return caught.value.topics, full.drain()

    assert asyncio.run(main()) == (("a",), ["a:1"])


def test_a_thread_is_held_up_by_a_receiver_on_a_loop():
    hub = SignalHub()
    receiver = hub.subscribe("n", policy="block", capacity=3, typed=True)
    thread = threading.Thread(target=lambda: [hub.publish(Signal("n", k)) for k in range(300)])

    async def main():
        return [(await receiver.recv_async()).payload for _ in range(300)]

    thread.start()
    assert asyncio.run(main()) == list(range(300))
    thread.join(JOIN)
    assert receiver.missed == 0


def test_a_publisher_in_a_forked_child_does_not_wait_for_receivers_of_its_parent(run_isolated):
    run_isolated(
        """
        import os
        import threading
        from theus.signals import SignalHub

        hub = SignalHub()
        held = hub.subscribe(policy="block", capacity=1, timeout=None)
        listening = hub.subscribe()

        def listen():
            assert listening.recv() == "from the parent"

        thread = threading.Thread(target=listen)
        thread.start()
        while not len(hub.waiters):
            pass
        child = os.fork()
        if child == 0:
            for number in range(3):
                hub.publish(number)
            os._exit(0 if held.pending == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        hub.publish("from the parent")
        thread.join(30)
        assert held.drain() == ["from the parent"]
        """,
        warnings="ignore",
    )


def test_an_interpreter_ends_although_somebody_listens(run_isolated):
    run_isolated(
        """
        import threading
        from theus.signals import SignalHub

        hub = SignalHub()
        receivers = [hub.subscribe(), hub.subscribe("a"), hub.subscribe(policy="block")]
        for receiver in receivers:
            threading.Thread(target=receiver.recv, daemon=True).start()
        """
    )
