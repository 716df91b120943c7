"""Door: locks of context objects."""

from __future__ import annotations

from theus.context.locking import LockManager
from theus.errors import LockViolationError

__all__ = ["LockManager", "LockViolationError"]
