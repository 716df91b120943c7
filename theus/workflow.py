"""The public names of workflows; the room behind is `theus.flux`."""

from __future__ import annotations

from theus.flux.machine import FSMState
from theus.flux.workflow import WorkflowEngine

__all__ = ["FSMState", "WorkflowEngine"]
