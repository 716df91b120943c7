"""Programs that react to signals: a bus, an executor, a state machine, and who joins them.

The parts can be used alone; `WorkflowManager` runs processes and workflows of an engine when
signals arrive.
"""

from __future__ import annotations

from theus.orchestrator.bus import SignalBus, Subscription
from theus.orchestrator.executor import ThreadExecutor
from theus.orchestrator.machine import StateMachine, Transition
from theus.orchestrator.manager import Failure, WorkflowManager

__all__ = [
    "Failure",
    "SignalBus",
    "StateMachine",
    "Subscription",
    "ThreadExecutor",
    "Transition",
    "WorkflowManager",
]
