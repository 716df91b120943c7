"""A key store with versions, and proxies and guards that show an object without handing it out.

For programs that keep objects of their own beside the state: connections, models, caches. The
store holds references and never copies; a proxy decides what may be done with what it shows.
"""

from __future__ import annotations

from theus.supervisor.guard import ContextGuard, SequenceGuard
from theus.supervisor.proxy import SequenceProxy, SupervisorProxy
from theus.supervisor.store import SupervisorCore

__all__ = ["ContextGuard", "SequenceGuard", "SequenceProxy", "SupervisorCore", "SupervisorProxy"]
