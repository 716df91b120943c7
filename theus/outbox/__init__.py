"""The outbox: messages that leave only if their transaction committed.

A transaction queues messages in its `OutboxCollector`; a rollback throws them away with it.
After the commit they go to the engine's `Outbox`, in the order of the commits, and from there
to the worker: when the program asks (`process_outbox`) or from a background thread
(`start_relay`). A message leaves the queue when the worker has returned; if the worker raises,
the message stays first in the queue and nothing behind it is delivered before it.
"""

from __future__ import annotations

from theus.outbox.message import OutboxCollector, OutboxMsg
from theus.outbox.queue import Outbox, OutboxWorker

__all__ = ["Outbox", "OutboxCollector", "OutboxMsg", "OutboxWorker"]
