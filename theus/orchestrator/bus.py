"""Handlers of signals by topic, called on one thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self, final

from theus._closing import Closing
from theus._core.pattern import CAN_READ, Position, check, compile_patterns, pattern_keys
from theus._logs import logger
from theus.errors import SignalClosedError, SignalLaggedError
from theus.signals import Signal, SignalHub, SignalReceiver

__all__ = ["SignalBus", "Subscription"]

Handler = Callable[[Signal], object]

_log = logger("orchestrator")
_END: Final = "."  # no level of a topic is named so; it closes patterns and topics


@final
class Subscription:
    """One handler of a bus; `cancel` ends it."""

    __slots__ = ("_bus", "_position", "handler", "topic")

    def __init__(self, bus: SignalBus, topic: str, handler: Handler) -> None:
        pattern_keys(topic)
        self._bus = bus
        self._position: Position = compile_patterns([f'topic.{topic}["{_END}"]'], (), False)
        self.topic = topic
        self.handler = handler

    def wants(self, topic: str) -> bool:
        """Whether the handler is for signals of this topic."""
        return bool(topic) and check(self._position, ("topic", *topic.split(_END), _END), CAN_READ)

    def cancel(self) -> None:
        """Call the handler no more. Safe to call again."""
        self._bus._forget(self)


@final
class SignalBus(Closing):
    """Calls handlers for the signals of a hub, in the order of publication.

    All handlers run on one thread of the bus, one after the other: they need no locks among
    themselves, and a slow one delays the rest; long work belongs into an executor. What a
    handler raises is logged and disturbs nobody. Signals that come between `start` and `stop`
    are delivered. Methods may be called from any thread.

    Parameters
    ----------
    hub:
        Whose signals (`engine.signal`); None: a hub of its own.
    capacity:
        How many signals the handlers may be behind. Beyond it the oldest are lost, which is
        logged and counted in `missed`.
    on_error:
        Called with (signal, error) for what a handler raises, after it was logged.
    """

    def __init__(
        self,
        hub: SignalHub | None = None,
        *,
        capacity: int = 10_000,
        on_error: Callable[[Signal, Exception], object] | None = None,
    ) -> None:
        self.hub = SignalHub() if hub is None else hub
        self.missed = 0
        self._capacity = capacity
        self._on_error = on_error
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._receiver: SignalReceiver | None = None
        self._thread: threading.Thread | None = None
        self._rest: deque[Signal] = deque()  # what was there at `stop`

    @property
    def running(self) -> bool:
        """Whether signals are being delivered."""
        return self._thread is not None and self._thread.is_alive()

    def subscribe(self, topic: str, handler: Handler) -> Subscription:
        """Call ``handler(signal)`` for signals of a topic or pattern (``orders.*``) from now on.

        Raises PathError for a malformed pattern.
        """
        made = Subscription(self, topic, handler)
        with self._lock:
            self._subscriptions = (*self._subscriptions, made)
        return made

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(
                one for one in self._subscriptions if one is not subscription
            )

    def emit(self, topic: str, payload: Any = None) -> int:
        """Publish a signal by hand, outside of any commit; how many receivers get it."""
        return self.hub.publish(Signal(topic, payload))

    def start(self) -> None:
        """Begin to deliver. Does nothing while it is running; raises SignalClosedError for a
        hub that is closed.
        """
        with self._lock:
            if self.running:
                return
            self._receiver = self.hub.subscribe(capacity=self._capacity, typed=True)
            self._thread = threading.Thread(
                target=self._deliver, args=(self._receiver,), name="theus-bus", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Take no more signals, deliver what is there, and wait for it.

        Returns whether all was delivered within `timeout` seconds. A handler may call it; it is
        then not waited for.
        """
        with self._lock:
            receiver, self._receiver = self._receiver, None
            thread = self._thread
            if receiver is not None:
                self._rest.extend(self._drained(receiver))
                receiver.close()
        if thread is None:
            return True
        if thread is not threading.current_thread():
            thread.join(timeout)
        return not thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def _leave(self, error: BaseException | None) -> None:
        self.stop()

    def _deliver(self, receiver: SignalReceiver) -> None:
        while True:
            try:
                self._hand_out(receiver.recv())
            except SignalLaggedError as error:
                self._lost(error)
            except SignalClosedError:
                break
        while self._rest:
            self._hand_out(self._rest.popleft())

    def _drained(self, receiver: SignalReceiver) -> list[Signal]:
        """What a receiver has and the thread has not taken."""
        while True:
            try:
                return receiver.drain()
            except SignalLaggedError as error:
                self._lost(error)

    def _lost(self, error: SignalLaggedError) -> None:
        self.missed += error.missed
        _log.warning("Handlers are too slow: %d signals were lost", error.missed)

    def _hand_out(self, signal: Signal) -> None:
        for subscription in self._subscriptions:
            if not subscription.wants(signal.topic):
                continue
            try:
                subscription.handler(signal)
            except Exception as error:  # noqa: BLE001 - one handler cannot stop the others
                _log.exception("A handler of %r failed", signal.topic)
                self._report(signal, error)

    def _report(self, signal: Signal, error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(signal, error)
        except Exception:  # noqa: BLE001 - nor can who is told of it
            _log.exception("on_error failed for a signal %r", signal.topic)
