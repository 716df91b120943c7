"""Signals: what happened, told to whoever listens, after the commit that made it so.

The hub, its receivers and `Signal` are compiled (`theus._core.channel`, `receiver`, `mailbox`,
`signal`); this module adds the forms that are awaited on an event loop. asyncio is imported when
a receiver or a publisher first has to wait for one. Any number of threads and event loops may
share a hub.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from theus._core.channel import Hub
from theus._core.receiver import Receiver
from theus._core.signal import Signal
from theus.errors import SignalClosedError

if TYPE_CHECKING:
    import asyncio

    from theus._core.mailbox import Mailbox, Waiters

__all__ = ["Signal", "SignalHub", "SignalReceiver"]

_NOTHING: Final = object()


class SignalHub(Hub):
    """Broadcasts messages to every subscriber. Safe to use from any thread and loop.

    The engine publishes the signals of its commits here, as `Signal` objects; anything else may
    be published by hand. The hub does not keep its receivers alive.

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

    def subscribe(
        self,
        *topics: str,
        capacity: int | None = None,
        policy: Literal["drop_oldest", "block", "coalesce", "error"] = "drop_oldest",
        key: str | None = None,
        timeout: float | None = 30.0,
        typed: bool = False,
    ) -> SignalReceiver:
        """A new receiver of what is published from now on; it lives as long as you hold it.

        Parameters
        ----------
        topics:
            What to hear: topics (`orders.new`) or patterns of them, as in contracts, but exact:
            `*` is one level, `**` any number of levels, `ord*` matches in a level. None: all.
        capacity:
            How many messages it may be behind; the hub's own number unless given.
        policy:
            What happens to a message for which there is no room. "drop_oldest": the oldest goes,
            and the receiver is told how many it missed. "block": the publisher waits, after its
            commit and after all others have the message. "coalesce": it replaces the one of the
            same topic (and `key`) in its place. "error": it is not taken, and the publisher gets
            a SignalFullError; a commit stays done.
        key:
            With "coalesce": the path, in the payload, of what tells messages of a topic apart.
        timeout:
            With "block": how many seconds a publisher waits at most (None: for ever). Then, and
            where it cannot wait (sync code on the thread of an event loop), the oldest go.
        typed:
            Whether it gets `Signal` objects instead of texts (`"topic:payload"`).

        Raises
        ------
        SignalClosedError
            The hub is closed.
        SettingsError
            An option makes no sense.
        PathError
            A pattern of topics is malformed.
        """
        return SignalReceiver(
            self, capacity, topics=topics, policy=policy, key=key, timeout=timeout, typed=typed
        )

    async def publish_async(self, message: Any, /) -> int:
        """Publish as `publish` does, but await room in receivers with the policy `block`."""
        refused: list[str | None] = []
        reached = self.hand_over(message, refused)
        await self.make_room_async()
        if refused:
            self.complain(refused, None)
        return reached

    def make_room(self) -> None:
        """Wait until no receiver with the policy `block` has more than its capacity.

        On the thread of an event loop nobody may wait: there the oldest messages go.
        """
        if not _in_event_loop():
            super().make_room()
            return
        for box in self.mailboxes or ():
            box.trim()

    async def make_room_async(self) -> None:
        """The same without blocking the loop; others run meanwhile."""
        for box in self.mailboxes or ():
            await _room_in(box)


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
        await _change(self, self.waiting)

    def __aiter__(self) -> SignalReceiver:
        """Receive until the hub closes."""
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.recv_async()
        except SignalClosedError:
            raise StopAsyncIteration from None


async def _change(
    owner: Receiver | Waiters, over: Callable[[], bool], rest: float | None = None
) -> None:
    """Wait for a change that `owner` tells of, `rest` seconds at most, unless it is `over`."""
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    wake = partial(_wake, loop, future)
    owner.enlist(wake)
    try:
        if over():
            return
        if rest is None:
            await future
        else:
            await asyncio.wait([future], timeout=rest)
    finally:
        owner.withdraw(wake)


async def _room_in(box: Mailbox) -> None:
    """Wait until a mailbox has room, as long as it lets publishers wait; then make room."""
    start = time.monotonic()
    while box.crowded():
        rest = box.patience(start)
        if rest <= 0:
            box.trim()
            return
        await _change(box.writers, lambda: not box.crowded(), rest)


def _in_event_loop() -> bool:
    """Whether the calling thread runs an event loop; does not import asyncio to know it."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


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
