"""Log records of workers reach the handlers of the parent, as if they had been made there."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any, final

__all__ = ["RelayHandler", "deliver", "levels", "relay_logs"]

_PLAIN = (str, int, float, bool, type(None))


@final
class RelayHandler(logging.Handler):
    """Turns records into bytes and hands them to ``send``. `logging` locks its calls."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._send = send
        self._text = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; a parent that is gone is nobody to tell."""
        try:
            data = self._bytes(record)
        except Exception:  # noqa: BLE001 - `logging` has its own way to report these
            self.handleError(record)
            return
        try:
            self._send(data)
        except OSError:
            return

    def _bytes(self, record: logging.LogRecord) -> bytes:
        facts = dict(vars(record), msg=record.getMessage(), args=None, exc_info=None)
        if record.exc_info:
            facts["exc_text"] = record.exc_text or self._text.formatException(record.exc_info)
        try:
            return pickle.dumps(facts, 5)
        except Exception:  # noqa: BLE001 - what a program adds to its records may not be picklable
            plain = {
                name: value if isinstance(value, _PLAIN) else repr(value)
                for name, value in facts.items()
            }
            return pickle.dumps(plain, 5)


def deliver(data: bytes | bytearray) -> None:
    """Give a record from a worker to the loggers here, if they want it.

    Raises what the filters of the program raise.
    """
    facts: dict[str, Any] = pickle.loads(data)  # noqa: S301 - from a worker of ours
    record = logging.makeLogRecord(facts)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def levels() -> dict[str, int]:
    """The levels that were set here, by logger name; the root's under the empty name."""
    found = {"": logging.root.level}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level:
            found[name] = logger.level
    return found


def relay_logs(levels: dict[str, int], send: Callable[[bytes], None]) -> None:
    """In a worker: set the levels of the parent, and hand every record to ``send``."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.root.addHandler(RelayHandler(send))
