"""Door: guards around contexts, and the logger of a process."""

from __future__ import annotations

from theus.context.logs import ContextLoggerAdapter
from theus.supervisor import ContextGuard

__all__ = ["ContextGuard", "ContextLoggerAdapter"]
