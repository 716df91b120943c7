"""Door: differences of states."""

from __future__ import annotations

from theus._core.delta import DeltaEntry, apply, diff

__all__ = ["DeltaEntry", "apply", "diff"]
