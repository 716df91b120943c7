"""The queue between commits and the worker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from inspect import isawaitable, iscoroutinefunction
from time import monotonic

from theus.errors import OutboxError, ReentryError, SettingsError
from theus.outbox.message import OutboxMsg
from theus.outbox.relay import Relay

__all__ = ["Outbox", "OutboxWorker"]

OutboxWorker = Callable[[OutboxMsg], object]
"""What delivers: called with one message; returning means delivered, raising means not."""


class Outbox:
    """The queue between commits and the worker. Safe to use from any thread.

    One message is delivered at a time, in the order in which `publish` was called. The worker
    runs on the thread that delivers, without any lock that `publish` needs, so it may call the
    engine; what it queues that way is delivered in the next round.
    """

    def __init__(self) -> None:
        self._queue: deque[OutboxMsg] = deque()
        self._worker: OutboxWorker | None = None
        self._delivering = threading.Lock()
        self._deliverer: int | None = None
        self._delivered = 0
        self._relay: Relay | None = None
        self._relay_change = threading.Lock()

    # --- filling -----------------------------------------------------------------------

    def publish(self, messages: Iterable[OutboxMsg]) -> None:
        """Append the messages of one commit, next to each other. O(messages).

        Never waits for a worker and cannot fail; call it in the order of the commits.
        """
        batch = tuple(messages)
        if not batch:
            return
        self._queue.extend(batch)
        relay = self._relay
        if relay is not None:
            relay.wake.set()

    def __len__(self) -> int:
        """How many messages wait for delivery."""
        return len(self._queue)

    def __iter__(self) -> Iterator[OutboxMsg]:
        """Over the messages that wait now, oldest first."""
        return iter(self._queue.copy())

    @property
    def delivered(self) -> int:
        """How many messages were delivered since the start."""
        return self._delivered

    # --- delivering --------------------------------------------------------------------

    @property
    def worker(self) -> OutboxWorker | None:
        """What delivers, if something is attached."""
        return self._worker

    def attach_worker(self, worker: OutboxWorker | None) -> None:
        """Set what delivers the messages; None takes it away, and messages wait.

        Raises
        ------
        SettingsError
            It cannot be called, or is an `async def` function (which nobody would await).
        """
        call = getattr(worker, "__call__", None)  # noqa: B004 - objects with async __call__
        if worker is not None and (
            not callable(worker) or iscoroutinefunction(worker) or iscoroutinefunction(call)
        ):
            raise SettingsError(
                f"the outbox worker must be an ordinary callable that takes one message, not "
                f"{worker!r}. For asynchronous delivery hand the message to your loop with "
                "`asyncio.run_coroutine_threadsafe(...).result()`.",
                option="worker",
                value=worker,
            )
        self._worker = worker
        relay = self._relay
        if relay is not None:
            relay.wake.set()

    def process_outbox(self, limit: int | None = None) -> int:
        """Deliver what waits now (`limit` at most); returns how many this call delivered.

        0 if no worker is attached: the messages stay. A call made while another thread is
        delivering waits for it.

        Raises
        ------
        OutboxError
            The worker raised (its exception is the cause). The message stays first in the
            queue. Fields: `message_id`, `topic`, `delivered` (by this call, before it).
        ReentryError
            Called by the worker itself.
        """
        me = threading.get_ident()
        if self._deliverer == me:
            raise ReentryError(
                "process_outbox() was called by the outbox worker itself; return from the "
                "worker, what it queued is delivered after that"
            )
        with self._delivering:
            self._deliverer = me
            try:
                waiting = len(self._queue)
                return self._deliver(waiting if limit is None else min(limit, waiting))
            finally:
                self._deliverer = None

    def _deliver(self, count: int) -> int:
        for done in range(count):
            worker = self._worker
            if worker is None:
                return done
            message = self._queue[0]
            try:
                result = worker(message)
            except Exception as error:
                raise self._failure(message, done, f"raised {error!r}") from error
            if isawaitable(result):
                getattr(result, "close", lambda: None)()
                raise self._failure(message, done, "returned an awaitable, which nobody awaits")
            self._queue.popleft()
            self._delivered += 1
        return count

    def _deliver_next(self) -> bool:
        return self.process_outbox(1) == 1

    def _failure(self, message: OutboxMsg, done: int, what: str) -> OutboxError:
        return OutboxError(
            f"the outbox worker {what} for message {message.id} (topic {message.topic!r}). "
            f"The message stays queued, with {len(self._queue) - 1} behind it; {done} were "
            "delivered before it. Mend the worker and call process_outbox() again.",
            message_id=message.id,
            topic=message.topic,
            delivered=done,
        )

    # --- in the background ---------------------------------------------------------------

    @property
    def relay_running(self) -> bool:
        """Whether a background thread delivers."""
        relay = self._relay
        return relay is not None and relay.thread.is_alive()

    @property
    def relay_error(self) -> OutboxError | None:
        """Why the relay's last delivery failed; None after a success."""
        relay = self._relay
        return None if relay is None else relay.error

    def start_relay(self, *, retry_delay: float = 0.05, longest_delay: float = 5.0) -> None:
        """Deliver from a background thread as soon as messages come.

        After a failure it tries the same message again, first after `retry_delay` seconds,
        then twice as long each time up to `longest_delay`, and logs each failure. Does nothing
        where a relay already runs.

        Raises
        ------
        SettingsError
            The delays are not `0 < retry_delay <= longest_delay`.
        """
        if not 0 < retry_delay <= longest_delay:
            raise SettingsError(
                "the relay needs 0 < retry_delay <= longest_delay, not "
                f"{retry_delay!r} and {longest_delay!r}",
                option="retry_delay",
                value=retry_delay,
            )
        with self._relay_change:
            if not self.relay_running:
                self._relay = Relay(self._deliver_next, retry_delay, longest_delay)
                self._relay.thread.start()

    def stop_relay(self, *, drain: bool = True, timeout: float = 10.0) -> int:
        """Stop the background thread; returns how many messages still wait.

        Parameters
        ----------
        drain:
            Deliver first what waits, as long as no delivery fails.
        timeout:
            Seconds to wait for the thread. If the worker is still busy with a message then,
            the thread ends by itself after that message.

        Raises
        ------
        ReentryError
            Called by the worker on the relay's own thread.
        """
        with self._relay_change:
            relay = self._relay
            if relay is None:
                return len(self._queue)
            if relay.thread is threading.current_thread():
                raise ReentryError("stop_relay() was called by the worker that the relay runs")
            self._relay = None
            relay.stop(drain=drain, deadline=monotonic() + timeout)
        relay.thread.join(timeout)
        return len(self._queue)

    def __repr__(self) -> str:
        worker = "no worker" if self._worker is None else "worker attached"
        return f"<Outbox {len(self)} waiting, {self._delivered} delivered, {worker}>"
