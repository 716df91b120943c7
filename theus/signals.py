"""Signals: what happened, told to whoever listens, after the commit that made it so.

The hub and its receivers are compiled (`theus._core.channel`); this module adds the forms
that are awaited on an event loop and the text form of a signal. asyncio is imported when a
receiver first has to wait for one. Any number of threads and event loops may share a hub.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from theus._core.channel import Hub, Receiver
from theus.errors import SignalClosedError

if TYPE_CHECKING:
    import asyncio

__all__ = ["SignalHub", "SignalReceiver", "publish_signals", "signal_text"]

_NOTHING: Final = object()

log = logging.getLogger("theus.signals")


class SignalHub(Hub):
    """Broadcasts messages to every subscriber. Safe to use from any thread and loop.

    A publisher never waits: a receiver that is more than its capacity behind loses the oldest
    messages and is told how many. The hub does not keep its receivers alive.

    Parameters
    ----------
    capacity:
        How many messages a receiver may be behind, unless it subscribes with its own number.

    Raises
    ------
    SettingsError
        The capacity is no positive integer.
    """

    __slots__ = ()

    def subscribe(self, capacity: int | None = None) -> SignalReceiver:
        """A new receiver of what is published from now on; it lives as long as you hold it.

        Raises
        ------
        SignalClosedError
            The hub is closed.
        SettingsError
            The capacity is no positive integer.
        """
        return SignalReceiver(self, capacity)


class SignalReceiver(Receiver):
    """One subscription to a hub: blocking, awaited and immediate forms of receiving.

    All forms give each message once, in the order of publication, and raise
    `SignalLaggedError` once after messages were lost. Iterating (`for` blocks, `async for`
    awaits) ends when the hub closes.
    """

    __slots__ = ()

    async def recv_async(self) -> Any:
        """The next message; awaits it on the running event loop.

        Cancelling loses nothing; `asyncio.timeout` limits the wait. Raises like `recv`.
        """
        message = self.try_recv(_NOTHING)
        while message is _NOTHING:
            await self._arrival()
            message = self.try_recv(_NOTHING)
        return message

    async def recv_batch_async(self, limit: int | None = None) -> list[Any]:
        """At least one message, and with it all that are there (`limit` at most), as a list.

        The cheapest way to receive bursts: the event loop is asked once per burst. Raises
        like `recv`.
        """
        while not (batch := self.drain(limit)):
            if self.closed:
                raise SignalClosedError("closed, and everything was received")
            await self._arrival()
        return batch

    async def _arrival(self) -> None:
        """Wait until something was published or closed since the last look."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        wake = partial(_wake, loop, future)
        self.enlist(wake)
        try:
            if not self.waiting():
                await future
        finally:
            self.withdraw(wake)

    def __aiter__(self) -> SignalReceiver:
        """Receive until the hub closes."""
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.recv_async()
        except SignalClosedError:
            raise StopAsyncIteration from None


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    """Complete `future` from whatever thread the publisher is on."""
    from asyncio import _get_running_loop

    if _get_running_loop() is loop:
        _complete(future)
        return
    try:
        loop.call_soon_threadsafe(_complete, future)
    except RuntimeError:
        if not loop.is_closed():  # with its loop the coroutine that waited has gone too
            raise


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def signal_text(topic: str, payload: Any) -> str:
    """The text in which a signal is sent: `"topic:payload"`."""
    return f"{topic}:{payload}"


def publish_signals(hub: Hub, signals: Iterable[tuple[str, Any]]) -> int:
    """Send the signals of one commit, in order, and wake each receiver once.

    Call it after the commit. A payload without a text (its `__str__` raises) is sent as
    `topic:<type>` and logged, because the commit can no longer be refused. Returns the number
    of subscribers.
    """
    return hub.publish_many([_safe_text(topic, payload) for topic, payload in signals])


def _safe_text(topic: str, payload: Any) -> str:
    try:
        return signal_text(topic, payload)
    except Exception:
        log.exception("the payload of signal %r has no text; its type is sent instead", topic)
        return f"{topic}:<{type(payload).__name__}>"
