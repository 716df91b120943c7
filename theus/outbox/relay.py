"""The background thread that delivers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from theus._logs import logger
from theus.errors import OutboxError

__all__ = ["Relay"]

log = logger("outbox")


class Relay:
    """Delivers as long as there is something, sleeps, and tries again after failures.

    Parameters
    ----------
    deliver_next:
        Delivers one message; False where nothing can be delivered, `OutboxError` where the
        worker failed.
    retry_delay, longest_delay:
        Seconds before the second attempt at a message, and at most between two.
    """

    def __init__(
        self, deliver_next: Callable[[], bool], retry_delay: float, longest_delay: float
    ) -> None:
        self.wake = threading.Event()
        self.error: OutboxError | None = None
        self.thread = threading.Thread(target=self._run, name="theus-outbox", daemon=True)
        self._deliver_next = deliver_next
        self._first_delay = retry_delay
        self._longest_delay = longest_delay
        self._deadline = 0.0
        self._drain = False
        self._stopping = threading.Event()
        self.wake.set()

    def stop(self, *, drain: bool, deadline: float) -> None:
        """Ask the thread to end, after delivering what waits until `deadline` if `drain`."""
        self._drain = drain
        self._deadline = deadline
        self._stopping.set()
        self.wake.set()

    def _run(self) -> None:
        delay = self._first_delay
        while not self._stopping.is_set():
            self.wake.wait()
            self.wake.clear()
            if self._deliver_all():
                delay = self._first_delay
            else:
                self._stopping.wait(delay)
                delay = min(2 * delay, self._longest_delay)
                self.wake.set()
        self._deliver_all()

    def _deliver_all(self) -> bool:
        """Deliver message by message; False where one failed."""
        try:
            while not self._out_of_time() and self._deliver_next():
                self.error = None
        except OutboxError as error:
            self.error = error
            log.warning("%s", error, exc_info=error.__cause__)
            return False
        return True

    def _out_of_time(self) -> bool:
        if not self._stopping.is_set():
            return False
        return not self._drain or monotonic() >= self._deadline
